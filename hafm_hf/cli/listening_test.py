# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm listening-test`: make a page on which people compare systems, and score their answers."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    summary = "a page of pairs of mixes to answer in, and the key to the answers"
    make = steps.add_parser("make", help=summary, description=summary)
    make.add_argument("evaluation", type=Path, help="folder that `hafm evaluate` wrote")
    make.add_argument("-o", "--output", type=Path, required=True, help="folder for listening_test.html and key.json")
    make.add_argument(
        "--system",
        action="append",
        required=True,
        metavar="NAME",
        help="one of the systems to compare; give two or more",
    )
    make.add_argument("--clips", type=int, default=10, metavar="N", help="clips for every two systems (default: 10)")
    make.add_argument("--seed", type=int, default=0, help="of the choice of clips and of their order (default: 0)")
    summary = "the strength of each system from answers that listeners downloaded"
    score = steps.add_parser("score", help=summary, description=summary)
    score.add_argument("key", type=Path, help="the key.json made with the page")
    score.add_argument("answers", type=Path, nargs="+", help="files that listeners downloaded")


def run(args: argparse.Namespace) -> int:
    try:
        from ..evaluation.listening_test.make import make_listening_test
        from ..evaluation.listening_test.score import read_answers, score
    except ImportError as error:
        raise ValueError(f"Listening tests need {error.name}: pip install 'hafm-hf[eval]'.") from error

    if args.step == "make":
        page, key = make_listening_test(args.evaluation, args.output, args.system, args.clips, args.seed)
        print(f"{page}  (for the listeners)\n{key}  (keep it to yourself)")
        return 0
    answers = read_answers(args.key, args.answers)
    print(f"{len(answers)} answers of {len(args.answers)} files; [95 % interval over songs]")
    for result in score(answers):
        strength = result.strength
        print(
            f"{result.system:20} {strength.value:+.2f} [{strength.low:+.2f}, {strength.high:+.2f}]  preferred in "
            f"{result.preferred:.0%} of {result.answers}"
        )
    return 0
