# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
What preparing data costs: seconds of audio a second, and peak memory, for more and more songs.

    python benchmarks/prepare.py [--songs 10 100 1000] [--seconds 20] [--separator precomputed] [--tokenizer CHECKPOINT]

Each number of songs is prepared in a process of its own, on one thread, with all that `hafm prepare` does: decoding,
separation (none by default), filters, tokens, shards, card. Memory that does not depend on the number of songs shows as
equal peaks. The last line is JSON.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch

from hafm_hf import DEFAULT_CHECKPOINT, HafmProcessor
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


def measure(root: Path, args: argparse.Namespace, results) -> None:
    """Prepare the songs below `root`, and send the seconds it took and the peak of memory in MB."""
    torch.set_num_threads(1)
    processor = HafmProcessor.from_pretrained(args.tokenizer)
    preparation = Preparation(root / "data", make_separator(args.separator), processor, songs_per_shard=args.shard)
    started = time.perf_counter()
    preparation.run(partial(stem_folder_songs, root / "songs"))
    elapsed = time.perf_counter() - started
    unit = 1 if sys.platform == "darwin" else 1024
    results.send((elapsed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--songs", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a song")
    parser.add_argument("--shard", type=int, default=50, help="songs in a shard")
    parser.add_argument("--separator", choices=["precomputed", "repet"], default="precomputed")
    parser.add_argument("--tokenizer", default=DEFAULT_CHECKPOINT)
    args = parser.parse_args()

    context = multiprocessing.get_context("spawn")
    results = []
    print(f"{'songs':>6} {'s of audio a s':>15} {'peak MB':>8}")
    for songs in args.songs:
        with tempfile.TemporaryDirectory() as folder:
            make_songs(Path(folder), songs, args.seconds)
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=measure, args=(Path(folder), args, sender))
            process.start()
            sender.close()
            elapsed, peak = receiver.recv()
            process.join()
        rate = songs * args.seconds / elapsed
        results.append({"songs": songs, "audio_seconds_per_second": round(rate, 2), "peak_mb": round(peak, 1)})
        print(f"{songs:6} {rate:15.2f} {peak:8.1f}")
    setting = {"song_seconds": args.seconds, "separator": args.separator, "songs_per_shard": args.shard}
    print(json.dumps({"benchmark": "prepare", "torch": torch.__version__, **setting, "results": results}))


if __name__ == "__main__":
    main()
