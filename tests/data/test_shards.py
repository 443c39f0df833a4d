# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Parquet shards."""

import pyarrow.parquet as pq
import pytest

from hafm_hf.data.filters import Report
from hafm_hf.data.shards import COLUMNS, ROWS_PER_GROUP, read_report, write_shard


def rows(count):
    for number in range(count):
        tokens = {"vocal_semantic": [number], "instrumental_semantic": [499], "instrumental_codes": [[0, 1023]] * 8}
        place = {"id": f"a@{number}.00", "source": "ä\n", "license": None, "start": float(number), "duration": 0.04}
        yield place | tokens | {"vocal_rms_db": -20.5, "instrumental_rms_db": -10.25}


@pytest.mark.parametrize("count", [0, 1, 2 * ROWS_PER_GROUP + 1])
def test_a_shard_holds_its_rows_and_the_report_of_its_songs(tmp_path, count):
    report = Report(songs=3, clips={"kept": count, "vocal_dominant": 2} if count else {}, skipped={"b": "broken"})
    write_shard(tmp_path / "shard.parquet", rows(count), report)
    table = pq.read_table(tmp_path / "shard.parquet")
    assert table.to_pylist() == list(rows(count))
    assert table.schema.equals(COLUMNS)
    assert read_report(tmp_path / "shard.parquet") == report
    assert [path.name for path in tmp_path.iterdir()] == ["shard.parquet"]


def test_the_same_rows_give_the_same_bytes_in_groups_that_fit_into_memory(tmp_path):
    for name in ("a", "b"):
        write_shard(tmp_path / name, rows(250), Report(clips={"kept": 250}))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    footer = pq.read_metadata(tmp_path / "a")
    assert [footer.row_group(group).num_rows for group in range(footer.num_row_groups)] == [100, 100, 50]


def test_a_report_may_be_filled_in_while_rows_are_read(tmp_path):
    report = Report()

    def counted():
        for row in rows(5):
            report.count(None)
            yield row

    write_shard(tmp_path / "shard", counted(), report)
    assert read_report(tmp_path / "shard").clips == {"kept": 5}


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.5, 0.999])
def test_a_shard_that_was_cut_off_is_noticed(tmp_path, kept):
    path = tmp_path / "shard.parquet"
    write_shard(path, rows(10), Report(clips={"kept": 10}))
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(ValueError, match="shard.parquet is damaged"):
        read_report(path)


def test_a_table_of_somebody_else_is_no_shard(tmp_path):
    pq.write_table(COLUMNS.empty_table(), tmp_path / "theirs.parquet")
    with pytest.raises(ValueError, match="theirs.parquet is damaged or is no shard"):
        read_report(tmp_path / "theirs.parquet")


def test_a_shard_with_fewer_rows_than_it_says_is_noticed(tmp_path):
    write_shard(tmp_path / "shard", rows(3), Report(clips={"kept": 4}))
    with pytest.raises(ValueError, match="holds 3 clips, not the 4 it should"):
        read_report(tmp_path / "shard")


def test_a_failure_leaves_the_older_shard_alone(tmp_path):
    def broken():
        yield from rows(3)
        raise OSError("No space left on device")

    write_shard(tmp_path / "shard", rows(1), Report(clips={"kept": 1}))
    before = (tmp_path / "shard").read_bytes()
    with pytest.raises(OSError, match="No space left"):
        write_shard(tmp_path / "shard", broken(), Report())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"shard": before}
