# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Which songs, and how their vocals are separated: the options that `hafm prepare` and `hafm fit-kmeans` share."""

import argparse
import inspect
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch

from ..data.corpora import CORPORA, Song
from ..data.filters import ClipFilter
from ..data.separation import SEPARATORS, Separator, make_separator


NETWORKS = ("demucs", "mdx")
CORPUS_OPTIONS = ("source", "license", "licenses", "metadata", "split")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    songs = parser.add_argument_group("songs")
    songs.add_argument("songs", type=Path, help="folder of songs")
    songs.add_argument(
        "--corpus",
        choices=CORPORA,
        default="folder",
        help="what is in it: audio files, one folder of stems a song, FMA or MUSDB18 (default: folder)",
    )
    songs.add_argument(
        "--source", metavar="NAME", help="name of the corpus (folder, stems, fma; default: the folder's)"
    )
    songs.add_argument("--license", metavar="TEXT", help="licence of all songs, to be recorded (folder, stems)")
    songs.add_argument(
        "--licenses",
        type=lambda text: set(text.split(",")),
        metavar="A,B",
        help="keep only such songs: CC0,CC-BY (fma)",
    )
    songs.add_argument("--metadata", metavar="FILE", help="tracks.csv (fma; default: ../fma_metadata/tracks.csv)")
    songs.add_argument("--split", help="train or test (musdb18; default: both)")
    separation = parser.add_argument_group("separation and clips")
    separation.add_argument(
        "--separator",
        choices=SEPARATORS,
        default="demucs",
        help="demucs, mdx, precomputed (stems at hand) or repet (no weights, for trials; default: demucs)",
    )
    separation.add_argument(
        "--separator-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="argument of the separator, such as model=FOLDER_OR_HUB_ID for demucs, model=FILE.onnx for mdx",
    )
    separation.add_argument("--clip-seconds", type=float, default=10.0, help="length of a clip (default: 10)")
    separation.add_argument(
        "--min-clip-seconds", type=float, default=3.0, help="shortest clip, and so shortest song (default: 3)"
    )
    paper = ClipFilter()
    separation.add_argument(
        "--min-instrumental-db",
        type=float,
        default=paper.min_instrumental_db,
        help="drop clips whose instrumental is quieter (default: -25)",
    )
    separation.add_argument(
        "--max-vocal-excess-db",
        type=float,
        default=paper.max_vocal_excess_db,
        help="drop clips whose vocal is louder than the instrumental by more (default: 5)",
    )
    separation.add_argument(
        "--level",
        choices=["mean_rms", "rms"],
        default=paper.definition,
        help="level as the mean of the RMS of every 40 ms, or as the RMS of the clip (default: mean_rms)",
    )


def song_lister(args: argparse.Namespace) -> Callable[[], Iterable[Song]]:
    """What lists the songs of the corpus that `args` name."""
    list_songs = CORPORA[args.corpus]
    options = {name: getattr(args, name) for name in CORPUS_OPTIONS if getattr(args, name) is not None}
    for name in options.keys() - inspect.signature(list_songs).parameters.keys():
        raise ValueError(f"--{name} is not an option of --corpus {args.corpus}; leave it out.")
    return partial(list_songs, args.songs, **options)


def load_separator(args: argparse.Namespace, device: torch.device) -> Separator:
    """The separator that `args` name, on `device` where it is a network."""
    options = {"device": str(device)} if args.separator in NETWORKS else {}
    for option in args.separator_option:
        name, equals, value = option.partition("=")
        if not equals:
            raise ValueError(f"--separator-option takes NAME=VALUE, not {option!r}.")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    try:
        return make_separator(args.separator, **options)
    except TypeError as error:
        raise ValueError(f"--separator {args.separator} cannot be made with these options: {error}.") from error
    except ImportError as error:
        raise ValueError(str(error)) from error


def clip_filter(args: argparse.Namespace) -> ClipFilter:
    """The filter that `args` describe."""
    return ClipFilter(args.min_instrumental_db, args.max_vocal_excess_db, args.level)
