# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
What preparing data costs: seconds of audio a second, and peak memory, for more and more songs.

    python benchmarks/prepare.py [--songs 10 100 1000] [--seconds 20] [--separator repet] [--model CHECKPOINT] [--rounds 3]

Each number of songs is prepared in a process of its own, on one thread, with all that `hafm prepare` does: decoding,
separation (none by default), filters, tokens, shards, card. Memory that does not depend on the number of songs shows as
equal peaks. The last line is JSON. To try it:

    python benchmarks/prepare.py --model random-small --songs 2 --seconds 3 --rounds 1
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import models
import numpy as np
import soundfile
import torch
from measuring import in_own_process, megabytes, publish, summary, turn_by_turn

from hafm_hf.data.corpora import stem_folder_songs
from hafm_hf.data.prepare import Preparation
from hafm_hf.data.separation import make_separator


RATE = 44_100


def make_songs(root: Path, count: int, seconds: float) -> None:
    """Folders of two stems and their mixture, all links to the same three files."""
    time_axis = np.arange(round(seconds * RATE)) / RATE
    vocals = 0.2 * np.sin(2 * np.pi * 330 * time_axis + 5 * np.sin(6 * time_axis))
    band = 0.3 * np.sin(2 * np.pi * 110 * time_axis) * (1 + np.sin(4 * np.pi * time_axis)) / 2
    for name, samples in {"vocals": vocals, "band": band, "mixture": vocals + band}.items():
        soundfile.write(root / f"{name}.wav", np.stack([samples, samples], axis=1), RATE)
    for number in range(count):
        folder = root / "songs" / f"{number:06d}"
        folder.mkdir(parents=True)
        for name in ("vocals", "band", "mixture"):
            (folder / f"{name}.wav").symlink_to(root / f"{name}.wav")


def prepare(root: Path, args: argparse.Namespace) -> tuple[float, float]:
    """Prepare the songs below `root`; the seconds it took and the peak of memory in MB."""
    torch.set_num_threads(1)
    processor = models.load_processor(args.model)
    preparation = Preparation(root / "data", make_separator(args.separator), processor, songs_per_shard=args.shard)
    started = time.perf_counter()
    preparation.run(partial(stem_folder_songs, root / "songs"))
    return time.perf_counter() - started, megabytes("VmHWM")


def measure(args: argparse.Namespace, songs: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        make_songs(Path(folder), songs, args.seconds)
        return in_own_process(prepare, Path(folder), args)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--songs", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a song")
    parser.add_argument("--shard", type=int, default=50, help="songs in a shard")
    parser.add_argument("--separator", choices=["precomputed", "repet"], default="precomputed")
    parser.add_argument("--model", default=models.DEFAULT, help=models.MODEL_HELP)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    runs = turn_by_turn(args.songs, args.rounds, partial(measure, args))
    rows = []
    for songs in args.songs:
        seconds, peaks = zip(*runs[songs], strict=True)
        rates = [songs * args.seconds / elapsed for elapsed in seconds]
        rows.append({"songs": songs, **summary("s_of_audio_per_s", rates, 2), **summary("peak_mb", peaks, 0)})
    publish("prepare", vars(args), rows)


if __name__ == "__main__":
    main()
