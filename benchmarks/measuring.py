# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What all benchmarks do alike: rounds turn by turn, medians with their spread, peak memory, a table and a line of JSON."""

import datetime
import json
import multiprocessing
import platform
import re
import statistics
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hafm_hf.provenance import versions


def turn_by_turn(settings: Iterable[Hashable], rounds: int, measure: Callable[[Any], Any]) -> dict[Hashable, list]:
    """What `measure` gives for each setting in each round; all settings have their turn before the next round starts."""
    turns = [setting for _ in range(rounds) for setting in settings]
    values = {setting: [] for setting in turns}
    for setting in tqdm(turns, unit="run", leave=False, disable=None):
        values[setting].append(measure(setting))
    return values


def summary(name: str, values: list[float], digits: int = 3) -> dict[str, Any]:
    """The median of a quantity, and from where to where its values go."""
    spread = [round(min(values), digits), round(max(values), digits)]
    return {name: round(statistics.median(values), digits), f"{name}_spread": spread}


def in_own_process(function: Callable, *args):
    """What a function of a module gives in a fresh process, so that neither its memory nor its caches are shared."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def megabytes(field: str) -> float:
    """`VmRSS` (now) or `VmHWM` (highest so far) of this process, on Linux."""
    # Not `getrusage`, whose peak of a new process includes what its parent held when it forked.
    return int(re.search(rf"{field}:\s*(\d+)", Path("/proc/self/status").read_text())[1]) * 1024 / 1e6


def publish(benchmark: str, settings: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Print results as a table and, in the last line, as JSON together with what they depend on."""
    print(table(rows))
    measured = {"date": str(datetime.date.today()), "processor": processor(), "versions": versions()}
    print(json.dumps({"benchmark": benchmark, **measured, "settings": settings, "results": rows}))


def processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def table(rows: list[dict[str, Any]]) -> str:
    """Rows of values by column name as a Markdown table; the spread of a quantity stands behind it in brackets."""
    columns = [name for name in dict.fromkeys(name for row in rows for name in row) if not name.endswith("_spread")]
    lines = [columns, ["---"] * len(columns)]
    for row in rows:
        lines.append([cell(row.get(name, ""), row.get(f"{name}_spread")) for name in columns])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(value: Any, spread: list[float] | None) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if spread is None else f"{text} [{spread[0]:g}, {spread[1]:g}]"
