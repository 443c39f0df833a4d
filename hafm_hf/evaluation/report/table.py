# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Results as tables of text: Table 2 of the paper with the measured rows beside the reported ones, and adherence."""

from dataclasses import dataclass
from itertools import zip_longest
from textwrap import fill
from typing import Any

from ..protocol.results import LEVELS


PLURAL = {"mix": "mixes", "instrumental": "instrumentals"}
REPORTED_NOTE = (
    "Rows of the paper are as reported, of another pipeline: VGGish, MUSDB18 test, other implementations. Do not compare "
    "them with the measured rows by their digits. The paper prints delta without a sign, its text says 2.02 where the "
    "table says 2.08, and 2.30 - 2.08 is not 0.33."
)


@dataclass(frozen=True)
class Table:
    """A table of text, its first column the names of the rows. The lines of a cell are a value and how sure it is."""

    title: str
    header: list[str]
    rows: list[list[str]]
    note: str

    def __str__(self) -> str:
        rows = [[cell.split("\n") for cell in row] for row in (self.header, *self.rows)]
        widths = [max(len(line) for cell in column for line in cell) for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            for name, *cells in zip_longest(*row, fillvalue=""):
                aligned = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
                lines.append("  ".join([name.ljust(widths[0]), *aligned]))
        rule = "-" * len(lines[0])
        return "\n".join([self.title, rule, *lines, rule, fill(self.note, max(len(rule), 72), break_on_hyphens=False)])


def results_tables(results: dict[str, Any]) -> list[Table]:
    """Everything there is to say of `results` (see `hafm_hf.evaluation.protocol.results`) in tables."""
    tables = [table_2(results, "mix"), table_2(results, "instrumental")]
    for condition in conditions(results):
        tables += [adherence_table(results, condition), prompt_adherence_table(results, condition)]
    return [table for table in tables if table.rows]


def table_2(results: dict[str, Any], kind: str) -> Table:
    """Table 2 of the paper on the `kind` "mix" or "instrumental": the measured rows, best first, then the reported ones.

    Columns in which there is nothing are left out.
    """
    header = ["system", "FAD_i", "FAD∞_i", "FAD_s", "FAD∞_s", "delta", "KAD_i", "n"]
    rows = [[name, *distance_cells(entry, kind)] for name, entry in ranked(results, kind)]
    note = distance_note(results, kind)
    if kind == "mix":
        for name, reported in results["reported"].items():
            fad_i, fad_s, delta = (f"{reported[column]:.2f}" for column in ("fad_i", "fad_s", "delta"))
            rows.append([f"{name} (reported)", fad_i, "", fad_s, "", delta, "", ""])
        note = f"{note} {REPORTED_NOTE}"
    filled = [i for i in range(len(header)) if any(row[i] not in ("", "-") for row in rows)]
    header, *rows = ([row[i] for i in filled] for row in (header, *rows))
    return Table(f"Fréchet audio distance of the {PLURAL[kind]}, lower is better", header, rows, note)


def distance_cells(entry: dict[str, Any], kind: str) -> list[str]:
    """The columns of Table 2 for one system."""
    isolated, separated = (distance_of(entry, condition, kind) for condition in ("isolated", "separated"))
    delta = (entry["delta"] or {}).get(kind, {})
    return [
        with_interval(isolated.get("fad")),
        with_standard_error(isolated.get("fad_infinity")),
        with_interval(separated.get("fad")),
        with_standard_error(separated.get("fad_infinity")),
        with_interval(delta if "value" in delta else None, sign="+"),
        number(isolated.get("kad")),
        f"{isolated.get('embeddings', 0):,}",
    ]


def distance_note(results: dict[str, Any], kind: str) -> str:
    """What the numbers stand on."""
    test_set = results["test_set"]
    separation = test_set["separation"]
    parts = [
        f"{test_set['name']}: {test_set['clips']} clips of {test_set['songs']} songs; embedder {results['embedder']}; "
        f"reference: {results['reference']}; [95 % interval over songs]; n: embeddings of isolated vocals.",
        f"FAD, KAD: Fréchet and kernel audio distance, _i given isolated vocals, _s given separated ones (by "
        f"{separation['name']}); delta: FAD_s - FAD_i."
        if separation
        else "FAD, KAD: Fréchet and kernel audio distance, _i given isolated vocals; there were no separated ones (_s).",
    ]
    found = [
        distance_of(entry, condition, kind)
        for entry in results["systems"].values()
        for condition in entry["conditions"]
    ]
    measured = [distance for distance in found if "fad" in distance]
    extrapolated = [distance["fad_infinity"] for distance in measured if "fad_infinity" in distance]
    if extrapolated:
        parts.append("FAD∞: extrapolated to infinitely many embeddings of a system, ± standard error of the fit.")
    if measured:
        parts.append(f"Two sets of one distribution would lie {number(max(d['bias'] for d in measured))} apart.")
    if any(distance["embeddings"] <= distance["dimension"] for distance in measured):
        parts.append("Some sets have no more embeddings than dimensions: their distances are mostly bias.")
    return " ".join(parts + not_computed([*found, *extrapolated]))


def not_computed(found: list[dict[str, Any]]) -> list[str]:
    """Why some of what was to be computed was not, in sentences."""
    return sorted({f"Not all could be computed: {part['error']}." for part in found if "error" in part})


def adherence_table(results: dict[str, Any], condition: str) -> Table:
    """How far each system follows the vocals of a condition beyond chance."""
    systems = part_of(results, condition, "adherence")
    measures = list(next(iter(systems.values()), {}))
    rows = [[name, *(adherence_cell(m, measured[m]) for m in measures)] for name, measured in systems.items()]
    note = (
        "Agreement with the isolated vocal less that of shuffled pairs (chance), higher is better; [95 % interval over "
        "songs]. Loudness (LU above the vocal) and silence (share of frames) are as they are, not compared with chance."
    )
    title = f"Adherence to the vocal, given {condition} vocals"
    return Table(title, ["system", *map(label, measures)], rows, note)


def adherence_cell(measure: str, parts: dict[str, Any]) -> str:
    if measure in LEVELS:
        return with_interval(parts["matched"], digits=".3f")
    return with_interval(parts["difference"], "+", ".3f")


def prompt_adherence_table(results: dict[str, Any], condition: str) -> Table:
    """Whether mixes of each system resemble true mixes or shuffled ones; without rows in results of earlier versions."""
    systems = part_of(results, condition, "prompt_adherence")
    signs = {"matched": "", "shuffled": "", "difference": "+"}
    rows = [
        [name, *(with_interval(parts.get(part), sign, ".3f") for part, sign in signs.items())]
        for name, parts in systems.items()
    ]
    note = (
        f"Accompaniment prompt adherence by {results.get('pairing_embedder')}: 1 where the mixes with the vocal are as those of the "
        "true accompaniments, 0 where they are as those of other songs' true accompaniments. Shuffled: the accompaniments "
        "of the system mixed with the vocals of other songs. The difference is what hearing the vocal brought; a system "
        "that sounds unlike the truth has little of it to show. [95 % interval over songs]. Comparable within this table."
    )
    title = f"Adherence to the true accompaniment (APA), given {condition} vocals"
    header = ["system", "APA", "shuffled", "difference"]
    return Table(title, header, rows, " ".join([note, *not_computed(list(systems.values()))]))


def part_of(results: dict[str, Any], condition: str, part: str) -> dict[str, dict[str, Any]]:
    """One part of what there is to say of each system in a condition, in the order of the tables."""
    entries = {name: entry["conditions"].get(condition, {}) for name, entry in ranked(results)}
    return {name: entry[part] for name, entry in entries.items() if part in entry}


def label(measure: str) -> str:
    return measure.replace("_f_", " F-").replace("_", " ")


def ranked(results: dict[str, Any], kind: str = "mix") -> list[tuple[str, dict[str, Any]]]:
    """Names and entries of the systems, the best first."""
    return sorted(results["systems"].items(), key=lambda entry: fad_value(entry[1], kind))


def conditions(results: dict[str, Any]) -> list[str]:
    """The conditions in which any system has played."""
    return list(dict.fromkeys(name for entry in results["systems"].values() for name in entry["conditions"]))


def distance_of(entry: dict[str, Any], condition: str, kind: str) -> dict[str, Any]:
    """What there is to say of a system's distance: empty where it did not play."""
    return entry["conditions"].get(condition, {}).get("distances", {}).get(kind, {})


def fad_value(entry: dict[str, Any], kind: str) -> float:
    """FAD_i, infinite where there is none."""
    return distance_of(entry, "isolated", kind).get("fad", {}).get("value", float("inf"))


def number(value: float | None, sign: str = "", digits: str = ".3g") -> str:
    if value is None:
        return "-"
    value = value if abs(value) > 1e-12 else 0.0  # what rounding leaves of a set's distance to itself
    return f"{value:{sign}{digits}}"


def with_interval(interval: dict[str, Any] | None, sign: str = "", digits: str = ".3g") -> str:
    """A value, and below it its interval."""
    if interval is None or interval["value"] is None:
        return "-"
    value, *ends = (number(interval[part], sign, digits) for part in ("value", "low", "high"))
    return value if interval["low"] is None else f"{value}\n[{', '.join(ends)}]"


def with_standard_error(extrapolated: dict[str, Any] | None) -> str:
    if extrapolated is None or extrapolated["value"] is None:
        return "-"
    return f"{number(extrapolated['value'])}\n± {number(extrapolated['standard_error'])}"
