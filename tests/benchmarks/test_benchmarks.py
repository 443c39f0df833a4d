# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The benchmarks still run with the package as it is, and their results become a page that says how they came about."""

import json
import runpy
import sys
from pathlib import Path

import pytest


BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def beside_the_benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def run(monkeypatch, capsys, command: str) -> str:
    """What a benchmark prints."""
    script, *arguments = command.split()
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
    return capsys.readouterr().out


# Those that start no further process, each of which would take seconds to load its libraries.
@pytest.mark.parametrize("name", ["generation", "precision", "tokenizing"])
def test_small_settings_run_and_give_a_page(monkeypatch, capsys, tmp_path, name):
    import run_all

    (command,) = (command for command in run_all.SMALL_COMMANDS if command.startswith(name))
    *table, last = run(monkeypatch, capsys, command).splitlines()
    record = json.loads(last)
    assert record["benchmark"] == name and len(record["results"]) == len(table) - 2

    measured, page = tmp_path / "measured.jsonl", tmp_path / "RESULTS.md"
    measured.write_text(json.dumps({"command": command, **record}) + "\n")
    run(monkeypatch, capsys, f"report.py --input {measured} --output {page}")
    lines = page.read_text().splitlines()
    assert f"python benchmarks/{command}" in lines and set(table) <= set(lines)


def test_what_was_measured_is_not_measured_again(monkeypatch, capsys, tmp_path):
    import run_all

    (tmp_path / "hello.py").write_text('print("a table")\nprint(\'{"benchmark": "hello"}\')\n')
    (tmp_path / "broken.py").write_text("raise SystemExit(3)\n")
    monkeypatch.setattr(run_all, "__file__", str(tmp_path / "run_all.py"))
    monkeypatch.setattr(sys, "argv", ["run_all.py", "--output", str(tmp_path / "measured.jsonl")])
    monkeypatch.setattr(run_all, "COMMANDS", ("hello.py", "broken.py"))
    for _ in range(2):
        with pytest.raises(SystemExit, match="broken.py ended with exit code 3"):
            run_all.main()
    assert capsys.readouterr().out.count("a table") == 1
    records = (tmp_path / "measured.jsonl").read_text().splitlines()
    assert [json.loads(record) for record in records] == [{"command": "hello.py", "benchmark": "hello"}]


def test_settings_take_turns_and_the_spread_goes_from_the_lowest_to_the_highest():
    from measuring import summary, table, turn_by_turn

    order = []
    runs = turn_by_turn(["a", "b"], 3, lambda name: order.append(name) or float(len(order)))
    assert order == ["a", "b"] * 3 and runs == {"a": [1, 3, 5], "b": [2, 4, 6]}
    rows = [{"name": "a", **summary("seconds", runs["a"])}, {"name": "b", "left": 1.5}]
    assert table(rows).splitlines() == [
        "| name | seconds | left |",
        "| --- | --- | --- |",
        "| a | 3 [1, 5] |  |",
        "| b |  | 1.5 |",
    ]
