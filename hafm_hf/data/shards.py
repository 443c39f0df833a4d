# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Parquet shards of aligned token columns, the same bytes for the same rows.

A shard carries in its footer the report of the songs it was made from, so it says by itself whether it is whole.
"""

import itertools
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hafm_hf.data.filters import Report
from hafm_hf.data.resume import replacing


COLUMNS = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("license", pa.string()),
        ("start", pa.float64()),
        ("duration", pa.float64()),
        ("vocal_semantic", pa.list_(pa.int16())),
        ("instrumental_semantic", pa.list_(pa.int16())),
        ("instrumental_codes", pa.list_(pa.list_(pa.int16()))),
        ("vocal_rms_db", pa.float32()),
        ("instrumental_rms_db", pa.float32()),
    ]
)
# What a reader holds in memory at once; 100 clips of 10 s are about 1 MB.
ROWS_PER_GROUP = 100
REPORT_KEY = b"hafm_report"


def write_shard(path: Path, rows: Iterable[dict[str, Any]], report: Report) -> None:
    """Write `rows`, one dict of `COLUMNS` each, to `path`, never more than `ROWS_PER_GROUP` of them in memory.

    Args:
        path: The shard; an older one is replaced.
        rows: May go on filling in `report`.
        report: Of the songs of this shard, complete once `rows` is exhausted.
    """
    rows = iter(rows)
    with replacing(path) as file, pq.ParquetWriter(file, COLUMNS, compression="zstd") as writer:
        while group := list(itertools.islice(rows, ROWS_PER_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema=COLUMNS))
        writer.add_key_value_metadata({REPORT_KEY: json.dumps(asdict(report)).encode()})


def read_report(path: Path) -> Report:
    """The report of the songs of a shard.

    Raises:
        ValueError: The file is not a whole shard.
    """
    try:
        footer = pq.read_metadata(path)
        report = Report(**json.loads(footer.metadata[REPORT_KEY]))
    except (OSError, KeyError, TypeError, ValueError) as error:  # pa.ArrowInvalid is a ValueError
        raise ValueError(f"{path} is damaged or is no shard of this package.") from error
    if footer.num_rows != report.clips.get("kept", 0):
        raise ValueError(f"{path} holds {footer.num_rows} clips, not the {report.clips.get('kept', 0)} it should.")
    return report
