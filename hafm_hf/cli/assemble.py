# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm assemble`: put trained stages and their processor into one checkpoint."""

import argparse
from pathlib import Path

from ..training import STAGES
from ..training.assemble import SINGSONG_PARTS, assemble


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write; it must not exist yet")
    parser.add_argument("--base", help="whole checkpoint that gives whatever is not named otherwise")
    for name in STAGES:
        parser.add_argument(f"--{name}", help=f"folder of the trained {name} stage, or of a LoRA adapter of it")
    parser.add_argument(
        "--seq2seq", help="folder of a trained T5; with a fine stage it makes a SingSong, for comparison"
    )
    parser.add_argument("--processor", help="checkpoint whose audio tokenizer made the data (default: a stage's own)")


def run(args: argparse.Namespace) -> int:
    names = SINGSONG_PARTS if args.seq2seq else STAGES
    stages = {name: getattr(args, name) or args.base for name in names}
    missing = [f"--{name}" for name, source in stages.items() if source is None]
    if missing:
        raise ValueError(f"{', '.join(missing)} must be given, or --base with a whole checkpoint.")
    assemble(args.output, stages, args.processor or args.base)
    print(args.output)
    return 0
