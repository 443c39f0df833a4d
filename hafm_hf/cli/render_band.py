# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm render-band`: render songs of the built-in band, sung and accompanied, to train or to evaluate on."""

import argparse
from pathlib import Path


SPLITS = ("train", "validation", "test")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for <split>/<seed>/vocals.flac, ...")
    parser.add_argument("--split", choices=SPLITS, default="train", help="which seeds (default: train)")
    parser.add_argument("--songs", type=int, default=100, help="number of songs, of about a minute (default: 100)")
    parser.add_argument("--processes", type=int, default=1, help="processes that share the work (default: 1)")
    parser.add_argument("--soundfont", type=Path, help="General MIDI .sf2 file (default: one installed by the system)")


def run(args: argparse.Namespace) -> int:
    from ..data.band import SPLITS as seeds
    from ..data.band import render_songs

    if not 0 < args.songs <= len(seeds[args.split]):
        raise ValueError(f"--songs must be from 1 to {len(seeds[args.split])}, not {args.songs}.")
    try:
        folders = render_songs(args.output, seeds[args.split][: args.songs], args.processes, args.soundfont)
    except ImportError as error:
        raise ValueError(str(error)) from error
    print(f"{args.output / args.split}: {len(folders)} {'song' if len(folders) == 1 else 'songs'}")
    return 0
