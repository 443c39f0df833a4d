# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import copy

import pytest

from hafm_hf.evaluation.protocol.results import read_results
from hafm_hf.evaluation.report.table import Table, results_tables, table_2


@pytest.fixture(scope="module")
def results(evaluated):
    return read_results(evaluated)


def test_table_2_has_the_measured_rows_best_first_and_then_those_of_the_paper(results):
    table = table_2(results, "mix")
    assert [row[0] for row in table.rows[:2]] == ["truth", "noise"]
    assert table.header == ["system", "FAD_i", "FAD∞_i", "FAD_s", "FAD∞_s", "delta", "KAD_i", "n"]
    assert table.rows[-1] == ["HAFM-Base (reported)", "2.08", "", "2.30", "", "0.33", "", ""]
    assert len(table.rows) == 2 + 4
    for part in (
        "6 clips of 3 songs",
        "embedder spectrum",
        "true accompaniments",
        "95 %",
        "another pipeline",
        "leakage",
    ):
        assert part in table.note
    noise = results["systems"]["noise"]["conditions"]["isolated"]["distances"]["mix"]
    assert table.rows[1][1].startswith(f"{noise['fad']['value']:.3g}\n[")
    assert table.rows[1][2].startswith(f"{noise['fad_infinity']['value']:.3g}\n± ")


def test_both_adherences_have_their_intervals(results):
    vocal, prompt = results_tables(results)[2:4]
    parts = results["systems"]["truth"]["conditions"]["isolated"]["adherence"]["onset_correlation"]["difference"]
    assert vocal.rows[0][:2] == ["truth", f"{parts['value']:+.3f}\n[{parts['low']:+.3f}, {parts['high']:+.3f}]"]
    assert "beat F-measure" in vocal.header
    assert prompt.header == ["system", "APA", "shuffled", "difference"]
    assert [cell.split("\n")[0] for cell in prompt.rows[0]] == ["truth", "1.000", "0.000", "+1.000"]


def test_results_of_earlier_versions_have_the_tables_of_then(results):
    results = copy.deepcopy(results)
    for entry in results["systems"].values():
        for part in entry["conditions"].values():
            del part["prompt_adherence"]
            for distance in part["distances"].values():
                del distance["fad_infinity"]
    tables = results_tables(results)
    assert tables[0].header == ["system", "FAD_i", "FAD_s", "delta", "KAD_i", "n"]
    assert "∞" not in tables[0].note
    assert [table.title.split(",")[0] for table in tables[2:]] == ["Adherence to the vocal"] * 2


def test_nothing_undefined_breaks_a_table(results):
    results = copy.deepcopy(results)
    noise, truth = results["systems"]["noise"], results["systems"]["truth"]
    noise["conditions"] = {"isolated": {"clips": 0, "missing": {"x": "y"}}}
    noise["delta"] = None
    truth["conditions"]["isolated"]["distances"]["mix"] = {"error": "one embedding has no covariance"}
    truth["conditions"]["isolated"]["adherence"]["key_agreement"]["difference"].update(value=None, low=None, high=None)
    truth["conditions"]["isolated"]["prompt_adherence"] = {"error": "prompt adherence needs at least 2"}
    too_few = {"value": None, "error": "FAD-infinity needs more"}
    truth["conditions"]["separated"]["distances"]["mix"]["fad_infinity"] = too_few
    tables = results_tables(results)
    for table in (tables[0], tables[3]):
        assert "Not all could be computed: " in table.note
    assert "covariance" in tables[0].note and "FAD-infinity needs more." in tables[0].note
    assert len(list(map(str, tables))) == 6


def test_too_few_embeddings_are_said(results):
    results = copy.deepcopy(results)
    results["systems"]["noise"]["conditions"]["isolated"]["distances"]["mix"].update(embeddings=100, dimension=128)
    assert "mostly bias" in table_2(results, "mix").note
    assert "mostly bias" not in table_2(results, "instrumental").note


def test_columns_are_aligned():
    table = Table("title", ["a", "long name"], [["row", "1"], ["longer row", "22\n[2, 222222222]"]], "note")
    lines = str(table).split("\n")
    assert len({len(line) for line in lines[1:7]}) == 1
    assert lines[3].endswith(" 1") and lines[4].endswith(" 22") and lines[5].endswith("  [2, 222222222]")
