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
    assert table.rows[-1][:4] == ["HAFM-Base (reported)", "2.08", "2.30", "0.33"]
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
    assert table.rows[1][1].startswith(
        f"{results['systems']['noise']['conditions']['isolated']['distances']['mix']['fad']['value']:.3g} ["
    )


def test_nothing_undefined_breaks_a_table(results):
    results = copy.deepcopy(results)
    noise, truth = results["systems"]["noise"], results["systems"]["truth"]
    noise["conditions"] = {"isolated": {"clips": 0, "missing": {"x": "y"}}}
    noise["delta"] = None
    truth["conditions"]["isolated"]["distances"]["mix"] = {"error": "one embedding has no covariance"}
    truth["conditions"]["isolated"]["adherence"]["key_agreement"]["difference"].update(value=None, low=None, high=None)
    texts = list(map(str, results_tables(results)))
    assert "Not all could be computed: one embedding has no covariance." in texts[0]
    assert len(texts) == 4


def test_too_few_embeddings_are_said(results):
    results = copy.deepcopy(results)
    results["systems"]["noise"]["conditions"]["isolated"]["distances"]["mix"].update(embeddings=100, dimension=128)
    assert "mostly bias" in table_2(results, "mix").note
    assert "mostly bias" not in table_2(results, "instrumental").note


def test_columns_are_aligned():
    lines = str(Table("title", ["a", "long name"], [["row", "1"], ["longer row", "22"]], "note")).split("\n")
    assert len({len(line) for line in lines[1:6]}) == 1
    assert lines[3].endswith(" 1") and lines[4].endswith("22")
