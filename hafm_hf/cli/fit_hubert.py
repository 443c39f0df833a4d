# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm fit-hubert`: pre-train a small HuBERT on a folder of audio, for semantic tokens of one's own."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("audio", type=Path, help="folder of audio files, however deep")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for the HuBERT; goes on if unfinished"
    )
    parser.add_argument(
        "--steps", type=step_counts, default=(700, 600), help="steps of each iteration (default: 700,600)"
    )
    parser.add_argument("--batch-size", type=int, default=8, help="crops in a step (default: 8)")
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="the highest (default: 0.0005)")
    parser.add_argument("--layer", type=int, default=4, help="whose clusters the next iteration learns (default: 4)")
    parser.add_argument("--clusters", type=int, default=500, help="number of these clusters (default: 500)")
    parser.add_argument("--fit-crops", type=int, default=600, help="crops to fit clusters on (default: 600)")
    parser.add_argument("--seed", type=int, default=0, help="of all random choices (default: 0)")


def step_counts(text: str) -> tuple[int, ...]:
    """As in "700,1000"."""
    return tuple(int(steps) for steps in text.split(","))


def run(args: argparse.Namespace) -> int:
    try:
        from ..training.hubert.fit import HubertFit
    except ImportError as error:
        raise ValueError(f"Training a HuBERT needs {error.name}: pip install 'hafm-hf[train]'.") from error

    fit = HubertFit(
        audio=args.audio,
        output=args.output,
        steps=args.steps,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        layer=args.layer,
        clusters=args.clusters,
        fit_crops=args.fit_crops,
        seed=args.seed,
    )
    report = fit.run()
    for iteration, done in enumerate(report["iterations"], start=1):
        learnt = ", ".join(f"{name} {done['end'][f'{name}_accuracy']:.1%}" for name in done["teachers"])
        print(f"iteration {iteration}: {done['hours_heard']:.1f} h heard, masked frames told right: {learnt}")
    print(f"{args.output}: see {args.output / 'hubert_report.json'}")
    return 0
