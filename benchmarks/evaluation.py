# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
What scoring costs: the Fréchet distance of more and more embeddings, and hearing clips of 10 s.

    python benchmarks/evaluation.py [--embeddings 100 1000 10000] [--dimension 128] [--clips 4] [--rounds 3]

Embeddings come in batches of 20, as of one clip, and go as they are accumulated: memory that does not depend on their
number shows as equal peaks. Each number has a process of its own. Features of clips are those of `hafm evaluate`: embeddings
of mix and instrumental, and what adherence looks at. The last line is JSON. To try it:

    python benchmarks/evaluation.py --embeddings 100 --clips 1 --rounds 1
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from measuring import in_own_process, megabytes, publish, summary, turn_by_turn

from hafm_hf.evaluation.embedders import TokenizerEmbedder
from hafm_hf.evaluation.frechet import accumulate, frechet_distance
from hafm_hf.evaluation.protocol.features import FeatureFolder
from hafm_hf.modeling.audio_hafm import write_wav


RATE, SECONDS, BATCH = 24_000, 10, 20


def batches(count: int, dimension: int, seed: int):
    """Random embeddings [20, d], one batch in memory at a time."""
    generator = np.random.default_rng(seed)
    for start in range(0, count, BATCH):
        yield generator.normal(size=(min(BATCH, count - start), dimension))


def distance(dimension: int, count: int) -> tuple[float, float, float]:
    """Of two sets: embeddings accumulated a second, the milliseconds of the distance itself, and the peak in MB."""
    started = time.process_time()
    reference, generated = (accumulate(batches(count, dimension, seed)) for seed in range(2))
    accumulated = time.process_time()
    frechet_distance(reference, generated)
    finished = time.process_time()
    return 2 * count / (accumulated - started), 1000 * (finished - accumulated), megabytes("VmHWM")


def features(clips: int) -> float:
    """Clips of 10 s a CPU second through all features, the vocal's included."""
    generator, time_axis = np.random.default_rng(0), np.arange(RATE * SECONDS) / RATE
    with tempfile.TemporaryDirectory() as folder:
        for number in range(clips):
            vocal = 0.2 * np.sin(2 * np.pi * (300 + 20 * number) * time_axis + 5 * np.sin(6 * time_axis))
            band = 0.1 * generator.normal(size=len(time_axis)) * (np.sin(4 * np.pi * time_axis) > 0)
            write_wav(Path(folder, f"{number}.vocal.wav"), vocal, RATE)
            write_wav(Path(folder, f"{number}.band.wav"), band, RATE)
        heard = FeatureFolder(Path(folder, "features"), TokenizerEmbedder())
        started = time.process_time()
        for number in range(clips):
            vocal, band = Path(folder, f"{number}.vocal.wav"), Path(folder, f"{number}.band.wav")
            heard.embeddings(f"{number}", vocal, band)
            heard.track(f"{number}.vocal", vocal, sung=True)
            heard.track(f"{number}.band", band, sung=False)
        return clips / (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--embeddings", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--dimension", type=int, default=128, help="128 is VGGish's")
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    torch.set_num_threads(1)
    runs = turn_by_turn(args.embeddings, args.rounds, partial(in_own_process, distance, args.dimension))
    rows = []
    for count in args.embeddings:
        rates, milliseconds, peaks = zip(*runs[count], strict=True)
        row = {"embeddings": count, **summary("per_cpu_second", rates, 0), **summary("distance_ms", milliseconds, 1)}
        rows.append(row | summary("peak_mb", peaks, 0))
    rates = turn_by_turn([args.clips], args.rounds, features)[args.clips]
    rows.append({"clips": args.clips, **summary("per_cpu_second", rates)})
    publish("evaluation", vars(args), rows)


if __name__ == "__main__":
    main()
