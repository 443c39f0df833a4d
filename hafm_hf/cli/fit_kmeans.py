# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm fit-kmeans`: fit the centroids of the semantic tokens on songs; the same under `accelerate launch`."""

import argparse
from pathlib import Path

from huggingface_hub.errors import HFValidationError
from transformers import AutoFeatureExtractor

from .. import HafmAudioTokenizer, HafmProcessor
from . import songs
from .prepare import load_processor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    songs.add_arguments(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the processor with its tokenizer")
    parser.add_argument(
        "--tokenizer", help="checkpoint whose processor gets new centroids (default: made of two parts)"
    )
    parser.add_argument("--hubert", default="facebook/hubert-large-ll60k", help="folder or Hub id of the HuBERT")
    parser.add_argument("--layer", type=int, default=9, help="layer of it whose output is clustered (default: 9)")
    parser.add_argument("--codec", default="facebook/encodec_24khz", help="folder or Hub id of the EnCodec")
    parser.add_argument("--clusters", type=int, default=500, help="number of centroids (default: 500)")
    parser.add_argument("--max-songs", type=int, default=1000, help="fit on this many songs (default: 1000)")
    parser.add_argument("--max-frames", type=int, default=1_000_000, help="and this many frames (default: 1000000)")
    parser.add_argument("--seed", type=int, default=0, help="of all random choices (default: 0)")


def run(args: argparse.Namespace) -> int:
    try:
        from ..data.launch import join_processes
        from ..training.kmeans import CentroidFit
    except ImportError as error:
        raise ValueError(f"Fitting centroids needs {error.name}: pip install 'hafm-hf[train]'.") from error

    state = join_processes()
    fit = CentroidFit(
        output=args.output,
        separator=songs.load_separator(args, state.device),
        processor=load_processor(args.tokenizer) if args.tokenizer else make_processor(args),
        num_clusters=args.clusters,
        max_songs=args.max_songs,
        max_frames=args.max_frames,
        seed=args.seed,
        clip_filter=songs.clip_filter(args),
        clip_seconds=args.clip_seconds,
        min_clip_seconds=args.min_clip_seconds,
    )
    report = fit.run(songs.song_lister(args))
    if state.is_main_process:
        print(
            f"{args.output}: {args.clusters} centroids of {report['frames']['all']} frames, perplexity "
            f"{report['perplexity']['all']:.1f}, {report['unused_clusters']} unused, inertia {report['inertia']:.4g} "
            f"(of one cluster: {report['inertia_of_one_cluster']:.4g}); see {args.output / 'kmeans_report.json'}"
        )
    state.destroy_process_group()
    return 0


def make_processor(args: argparse.Namespace) -> HafmProcessor:
    """A processor of the two networks, with random centroids."""
    try:
        extractors = [AutoFeatureExtractor.from_pretrained(part) for part in (args.hubert, args.codec)]
        return HafmProcessor(
            *extractors, HafmAudioTokenizer.from_parts(args.hubert, args.codec, semantic_layer=args.layer)
        )
    except (OSError, HFValidationError) as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise ValueError(f"{args.hubert} and {args.codec} do not make a tokenizer: {reason}.") from error
