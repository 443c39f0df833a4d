# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
What whole songs cost from the recording to the mix: seconds per second of audio, the share of every part, peak memory.

    python benchmarks/songs.py [--model CHECKPOINT] [--seconds 10 60] [--vocals 1 4 16] [--precision int8] [--rounds 3]
        [--device cuda]

Vocals of one length go through the pipeline in one batch. Each measurement has a process of its own and follows a short
vocal, which warms it up. `rest` is what no part takes: reading, resampling, mixing. Memory is that of the process, or of a
GPU's tensors. The last line is JSON. To try it:

    python benchmarks/songs.py --model random-small --seconds 2 --vocals 1 2 --rounds 1
"""

import argparse
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import models
import torch
from measuring import in_own_process, megabytes, publish, summary, turn_by_turn

from hafm_hf.modeling.packed_linear_hafm import PRECISIONS


STAGES = ("semantic", "coarse", "fine")
PARTS = ("tokenizer", *STAGES, "codec", "rest")


def stopwatch(function: Callable, seconds: Counter, part: str) -> Callable:
    """The function, whose time is added to that of a part."""

    def timed(*args, **kwargs):
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            if torch.cuda.is_available():  # it returns before its work is done
                torch.cuda.synchronize()
            seconds[part] += time.perf_counter() - started

    return timed


def measure(args: argparse.Namespace, setting: tuple[float, int]) -> dict[str, float]:
    """Seconds of all and of each part, and the peak of memory, for vocals of so many seconds and so many of them."""
    length, count = setting
    torch.set_num_threads(args.threads)
    accompany = models.load(args.model, args.device)
    tokenizer, seconds = accompany.processor.audio_tokenizer, Counter()
    tokenizer.encode_semantic = stopwatch(tokenizer.encode_semantic, seconds, "tokenizer")
    tokenizer.decode = stopwatch(tokenizer.decode, seconds, "codec")
    for name in STAGES:
        stage = accompany.model.stages[name]
        stage.generate = stopwatch(stage.generate, seconds, name)
    rate = accompany.processor.sampling_rate
    vocals = [{"array": models.voice(length, rate, start), "sampling_rate": rate} for start in range(count)]

    settings = {"seed": 0, "progress": False, "precision": args.precision}
    accompany(vocals[0], seconds=1, **settings)
    seconds.clear()
    started = time.perf_counter()
    accompany(vocals, batch_size=count, **settings)
    total = time.perf_counter() - started
    seconds["rest"] = total - seconds.total()
    peak = torch.cuda.max_memory_allocated() / 1e6 if args.device != "cpu" else megabytes("VmHWM")
    return {"total": total, "peak_mb": peak, **seconds}


def row(setting: tuple[float, int], runs: list[dict[str, float]]) -> dict:
    length, count = setting
    shares = {
        f"{part}_percent": round(statistics.median(100 * run[part] / run["total"] for run in runs), 1)
        for part in PARTS
    }
    return {
        "song_seconds": length,
        "vocals": count,
        **summary("s_per_s_of_audio", [run["total"] / (length * count) for run in runs]),
        **shares,
        **summary("peak_mb", [run["peak_mb"] for run in runs], 0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--model", default=models.DEFAULT, help=models.MODEL_HELP)
    parser.add_argument("--seconds", type=float, nargs="+", default=[10, 60], help="length of a song (default: 10 60)")
    parser.add_argument("--vocals", type=int, nargs="+", default=[1, 4, 16], help="at a time (default: 1 4 16)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="(default: cpu)")
    parser.add_argument("--precision", choices=PRECISIONS, help="of the stages (default: that of the checkpoint)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()

    settings = list(itertools.product(args.seconds, args.vocals))
    runs = turn_by_turn(settings, args.rounds, partial(in_own_process, measure, args))
    rows = [row(setting, runs[setting]) for setting in settings]
    publish("songs", vars(args), rows)


if __name__ == "__main__":
    main()
