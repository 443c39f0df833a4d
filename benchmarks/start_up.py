# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
How long it takes until one can begin: the command, the import and the pipeline, beside the libraries they stand on.

    python benchmarks/start_up.py [--rounds 5]

Each is a fresh process, and all have their turn before the next round starts; the first round, which fills the file
cache, does not count. CPU seconds are those of all threads. The last line is JSON. To try it:

    python benchmarks/start_up.py --rounds 1
"""

import argparse
import os
import subprocess
import sys
import time

from measuring import publish, summary, turn_by_turn

from hafm_hf import TASK


COMMANDS = {
    "python": ("-c", ""),
    "import torch": ("-c", "import torch"),
    "import transformers.pipelines": ("-c", "import transformers.pipelines"),
    "import hafm_hf": ("-c", "import hafm_hf"),
    "hafm --version": ("-m", "hafm_hf.cli", "--version"),
    "hafm accompany --help": ("-m", "hafm_hf.cli", "accompany", "--help"),
    "pipeline(...)": ("-c", f"import hafm_hf, transformers; transformers.pipeline({TASK!r}, device='cpu')"),
}


def measure(name: str) -> tuple[float, float]:
    """Seconds and CPU seconds of a process."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *COMMANDS[name]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{name} ended with exit code {process.returncode}; run it by hand to see why.")
    return seconds, usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    runs = turn_by_turn(COMMANDS, args.rounds + 1, measure)
    rows = []
    for name in COMMANDS:
        seconds, cpu_seconds = zip(*runs[name][1:], strict=True)
        rows.append({"what": name, **summary("seconds", seconds, 2), **summary("cpu_seconds", cpu_seconds, 2)})
    publish("start_up", vars(args), rows)


if __name__ == "__main__":
    main()
