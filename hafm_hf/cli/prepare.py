# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm prepare`: turn songs into a dataset of aligned tokens; the same under `accelerate launch`."""

import argparse
from pathlib import Path

import torch
from huggingface_hub.errors import HFValidationError

from .. import DEFAULT_CHECKPOINT, HafmProcessor
from . import songs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    songs.add_arguments(parser)
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("data"), help="folder to write to, or to go on in (default: data)"
    )
    parser.add_argument(
        "--tokenizer", default=DEFAULT_CHECKPOINT, help="checkpoint with the processor to use (default: hafm-tiny)"
    )
    parser.add_argument("--songs-per-shard", type=int, default=256, help="what bounds a file (default: 256)")


def run(args: argparse.Namespace) -> int:
    try:
        from ..data.launch import join_processes
        from ..data.prepare import Preparation
    except ImportError as error:
        raise ValueError(f"Preparing data needs {error.name}: pip install 'hafm-hf[train]'.") from error

    # More processes and not more threads: threads change the order of sums, and so now and then a token.
    torch.set_num_threads(1)
    state = join_processes()
    preparation = Preparation(
        output=args.output,
        separator=songs.load_separator(args, state.device),
        processor=load_processor(args.tokenizer),
        clip_filter=songs.clip_filter(args),
        clip_seconds=args.clip_seconds,
        min_clip_seconds=args.min_clip_seconds,
        songs_per_shard=args.songs_per_shard,
    )
    report = preparation.run(songs.song_lister(args))
    if state.is_main_process:
        print(f"{args.output}: {str(report).splitlines()[0]}; see {args.output / 'report.json'}")
    state.destroy_process_group()
    return 0


def load_processor(checkpoint: str) -> HafmProcessor:
    """The processor of a checkpoint.

    Raises:
        ValueError: There is none.
    """
    try:
        return HafmProcessor.from_pretrained(checkpoint)
    except (OSError, HFValidationError) as error:
        raise ValueError(
            f"{checkpoint} is neither a folder nor a Hub repository with a HAFM processor that can be reached."
        ) from error
