# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
All benchmarks one after the other, and what they measured in one file, from which `report.py` makes `RESULTS.md`.

    python benchmarks/run_all.py [--output build/benchmarks.jsonl] [--small]

What the file holds already is not measured again, so an interrupted run goes on where it was; delete the file to start
anew. `--small` takes minutes and shows that everything runs; its numbers mean nothing.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from hafm_hf.data.resume import open_journal, read_journal


COMMANDS = (
    "generation.py --windows 1 32",
    "precision.py",
    "songs.py --model random-paper --precision bfloat16 --seconds 60 --vocals 1 --rounds 1",
    "songs.py --seconds 10 --vocals 1 4 16",
    "songs.py --seconds 60 240 --vocals 1",
    "start_up.py",
    "training.py",
    "tokenizing.py",
    "tokenizing.py --model random-paper",
    "prepare.py --songs 10 100",
    "evaluation.py",
)
SMALL_COMMANDS = (
    "generation.py --small --stages coarse --windows 1 --steps 4 --rounds 1",
    "precision.py --model random-small --seconds 10",
    "songs.py --model random-small --seconds 2 --vocals 1 2 --rounds 1",
    "tokenizing.py --model random-small --seconds 2 --rounds 1",
    "start_up.py --rounds 1",
    "training.py --small --stages coarse --rounds 1",
    "prepare.py --model random-small --songs 2 --seconds 3 --rounds 1",
    "evaluation.py --embeddings 100 --clips 1 --rounds 1",
)


def run(command: str) -> dict:
    """What a benchmark prints in its last line; all it prints is shown."""
    script, *arguments = command.split()
    line = ""
    with subprocess.Popen(
        [sys.executable, Path(__file__).with_name(script), *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
    if process.returncode != 0:
        sys.exit(f"benchmarks/{command} ended with exit code {process.returncode}; mend it and start again to go on.")
    return json.loads(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument(
        "--output", type=Path, help="(default: build/benchmarks.jsonl, with --small build/benchmarks-small.jsonl)"
    )
    parser.add_argument("--small", action="store_true", help="small settings, to see that everything runs")
    args = parser.parse_args()
    output = args.output or Path("build", "benchmarks-small.jsonl" if args.small else "benchmarks.jsonl")

    with open_journal(output) as journal:
        finished = {record["command"] for record in read_journal(output)}
        for command in SMALL_COMMANDS if args.small else COMMANDS:
            print(f"\npython benchmarks/{command}", flush=True)
            if command in finished:
                print(f"is in {output} already; delete the file to measure anew.", flush=True)
            else:
                journal.append({"command": command, **run(command)})


if __name__ == "__main__":
    main()
