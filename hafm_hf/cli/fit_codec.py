# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm fit-codec`: train a small EnCodec on a folder of audio, where no public one fits or can be had."""

import argparse
from pathlib import Path

from transformers import EncodecConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("audio", type=Path, help="folder of audio files, such as instrumentals")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the codec")
    parser.add_argument("--test", type=Path, required=True, help="folder of held-out audio files, to measure on")
    parser.add_argument("--name", default="*", metavar="GLOB", help="use files so named: accompaniment.flac")
    parser.add_argument(
        "--filters", type=int, default=16, help="channels at the full rate; EnCodec has 32 (default: 16)"
    )
    parser.add_argument("--steps", type=int, default=5000, help="training steps (default: 5000)")


def run(args: argparse.Namespace) -> int:
    try:
        from ..data.corpora.folder import AUDIO_SUFFIXES, existing_folder, walk
        from ..training.codec import CodecFit
    except ImportError as error:
        raise ValueError(f"Training a codec needs {error.name}: pip install 'hafm-hf[train]'.") from error

    def files(root: Path) -> list[Path]:
        found = [path for _, paths in walk(existing_folder(root)) for path in paths if path.match(args.name)]
        return [path for path in found if path.suffix.lower() in AUDIO_SUFFIXES]

    config = EncodecConfig(
        target_bandwidths=[1.5, 3.0, 6.0],
        num_filters=args.filters,
        hidden_size=4 * args.filters,
        codebook_dim=4 * args.filters,
        num_lstm_layers=1,
        pad_mode="constant",
    )
    report = CodecFit(args.output, config, steps=args.steps).run(files(args.audio), files(args.test))
    print(
        f"{args.output}: log-mel distance {report['test']['log_mel']:.3f}, perplexities "
        f"{', '.join(f'{value:.0f}' for value in report['perplexity'])}; see {args.output / 'codec_report.json'}"
    )
    return 0
