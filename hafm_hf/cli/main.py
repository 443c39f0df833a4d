# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm VERB ...`: finds the verb and turns what goes wrong into one sentence and exit code 2."""

import argparse
import sys

from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars
from transformers.utils import logging

from .. import __version__
from . import (
    accompany,
    assemble,
    evaluate,
    fit_codec,
    fit_hubert,
    fit_kmeans,
    listening_test,
    prepare,
    push,
    render_band,
    train,
)


VERBS = {
    "accompany": accompany,
    "render-band": render_band,
    "fit-codec": fit_codec,
    "fit-hubert": fit_hubert,
    "fit-kmeans": fit_kmeans,
    "prepare": prepare,
    "train": train,
    "assemble": assemble,
    "evaluate": evaluate,
    "listening-test": listening_test,
    "push": push,
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, 2 for what the user can mend, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="hafm", description="Sing, and get the band.")
    parser.add_argument("--version", action="version", version=f"hafm_hf {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, module in VERBS.items():
        summary = module.__doc__.split("\n")[0].split(": ", 1)[1]
        module.add_arguments(verbs.add_parser(name, help=summary, description=summary))
    args = parser.parse_args(arguments)

    logging.set_verbosity_error()
    shown = not are_progress_bars_disabled()
    logging.disable_progress_bar()
    if shown:
        enable_progress_bars()  # those of downloads, which are worth showing but went with the others
    try:
        return VERBS[args.verb].run(args)
    except (ValueError, OSError) as error:
        print(f"hafm {args.verb}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
