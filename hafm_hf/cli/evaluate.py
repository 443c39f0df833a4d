# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm evaluate`: score accompaniments beside baselines, with a report to look at; the same under `accelerate launch`."""

import argparse
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from ..data.corpora import Song, musdb18_songs, stem_folder_songs
from ..picture import require_matplotlib
from .loading import load_pipeline
from .songs import load_separator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    songs = parser.add_mutually_exclusive_group(required=True)
    songs.add_argument(
        "--pairs", type=Path, metavar="FOLDER", help="X_vocals.* with X_accompaniment.*, or a folder of stems a song"
    )
    songs.add_argument(
        "--musdb18", "--musdb18-hq", type=Path, metavar="FOLDER", help="the test songs of MUSDB18 or MUSDB18-HQ"
    )
    songs.add_argument("--band", type=int, metavar="N", help="N held-out songs of the built-in band")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to, or to go on in")
    parser.add_argument(
        "--model", action="append", default=[], metavar="CHECKPOINT", help="folder or Hub id; may be repeated"
    )
    parser.add_argument(
        "--system",
        action="append",
        default=[],
        metavar="NAME",
        help="beside it truth, codec, noise, random=SONGS, retrieval=SONGS, singsong=CHECKPOINT, folder=OUTPUTS; may be repeated",
    )
    parser.add_argument(
        "--guidance-scale",
        type=float,
        action="append",
        metavar="SCALE",
        help="let the models play with this guidance (default: their own); may be repeated",
    )
    parser.add_argument("--clips-per-song", type=int, metavar="N", help="the first N clips of a song (default: all)")
    parser.add_argument(
        "--separator",
        choices=["none", "leakage", "demucs", "mdx", "repet"],
        help="what separates vocals; leakage simulates it (default: leakage for the band, else none)",
    )
    parser.add_argument(
        "--separator-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="argument of the separator, such as model=FOLDER_OR_HUB_ID for demucs, model=FILE.onnx for mdx",
    )
    parser.add_argument(
        "--vggish", metavar="WEIGHTS", help="measure distances with VGGish (default: with hafm-tiny's codec)"
    )
    parser.add_argument(
        "--preset", choices=["google", "torchvggish"], default="google", help="of VGGish (default: google)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all random choices (default: 0)")
    parser.add_argument("--batch-size", type=int, default=8, help="clips to accompany together (default: 8)")


def run(args: argparse.Namespace) -> int:
    require_matplotlib()
    try:
        from ..data.launch import join_processes
        from ..evaluation.embedders import TokenizerEmbedder, VggishEmbedder
        from ..evaluation.protocol.contenders import NamedSystems, checkpoint_contender
        from ..evaluation.protocol.evaluation import Evaluation
        from ..evaluation.report.page import write_report
        from ..evaluation.report.table import results_tables
    except ImportError as error:
        raise ValueError(f"Evaluation needs {error.name}: pip install 'hafm-hf[eval]'.") from error

    state = join_processes()
    with state.main_process_first():  # the band's songs are rendered once
        name, list_songs = which_songs(args)
    device = str(state.device)
    pipelines = [load_pipeline(checkpoint, device) for checkpoint in args.model]
    scales = args.guidance_scale or [None]
    contenders = [checkpoint_contender(accompany, scale) for accompany in pipelines for scale in scales]
    for process in range(state.num_processes):  # in turn, since one at a time may analyse a pool of songs
        if process == state.process_index:
            contenders += map(NamedSystems(args.output / "pool", device).make, args.system)
        state.wait_for_everyone()
    evaluation = Evaluation(
        output=args.output,
        name=name,
        embedder=VggishEmbedder(args.vggish, args.preset, device) if args.vggish else TokenizerEmbedder(device=device),
        # The codec's latents hear hardly any harmony.
        pairing_embedder=TokenizerEmbedder(part="semantic", device=device),
        voice_of_mix=voice_of_mix(args, state.device),
        clips_per_song=args.clips_per_song,
        seed=args.seed,
        batch_size=args.batch_size,
    )
    results = evaluation.run(list_songs, contenders)
    if state.is_main_process:
        write_report(args.output)
        print("\n\n".join(map(str, results_tables(results))))
        print(f"\n{args.output / 'report.html'}\n{args.output / 'results.json'}")
    state.destroy_process_group()
    return 0


def which_songs(args: argparse.Namespace) -> tuple[str, Callable[[], Iterable[Song]]]:
    """The name of the test set, and what lists its songs."""
    from ..evaluation.protocol.clips import pair_songs

    if args.musdb18:
        return "MUSDB18 test", partial(musdb18_songs, args.musdb18, split="test")
    if args.pairs:
        return args.pairs.resolve().name, partial(pair_songs, args.pairs)
    return f"{args.band} held-out songs of the band", partial(stem_folder_songs, render_band(args), "band")


def render_band(args: argparse.Namespace) -> Path:
    from ..data.band import SPLITS, render_songs

    try:
        render_songs(args.output / "band", SPLITS["test"][: args.band])
    except (ImportError, FileNotFoundError) as error:
        raise ValueError(str(error)) from error
    return args.output / "band" / "test"


def voice_of_mix(args: argparse.Namespace, device):
    """What separates vocals, or `None`."""
    from ..evaluation.protocol.separated import SeparatedVoice, SimulatedLeakage

    name = args.separator or ("leakage" if args.band else "none")
    if name == "none":
        return None
    return SimulatedLeakage() if name == "leakage" else SeparatedVoice(load_separator(args, device))
