# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
What generation costs at the paper's size, random weights, guidance on: milliseconds a step and seconds a second of audio.

    python benchmarks/generation.py [--windows 1 8] [--steps 24] [--rounds 3] [--threads N] [--tiny]

For each stage and number of windows generated together, in one run and turn by turn:

  generate   what the package does: `stage.generate` with the dynamic cache
  eager      the plainest loop with a cache grown by concatenation: forward, guidance, temperature, top-k, multinomial
  matmul     the bare matrix products of one step at the same rows, nothing else

Every step starts from a cache filled to the middle of the stage's window, so that it is the average step of a window.
Medians over the rounds; the last line is JSON.
"""

import argparse
import json
import statistics
import time

import torch
from transformers import DynamicCache
from transformers.utils import logging

from hafm_hf import HafmCoarseModel, HafmFineModel, HafmSemanticModel


STAGES = {"semantic": HafmSemanticModel, "coarse": HafmCoarseModel, "fine": HafmFineModel}
TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def random_inputs(stage, windows: int) -> dict[str, torch.Tensor]:
    """Conditioning and the tokens of the first half of a window, BOS first."""
    config = stage.config
    shape = [windows, config.conditioning_window_frames]
    if config.conditioning_num_codebooks > 1:
        shape.insert(1, config.conditioning_num_codebooks)
    inputs = {name: torch.randint(config.conditioning_vocab_size, shape) for name in config.conditioning_sources}
    half = config.window_frames // 2 * config.num_codebooks
    bos = torch.full((windows, 1), config.bos_token_id)
    return inputs | {"input_ids": torch.cat([bos, torch.randint(config.vocab_size, (windows, half))], dim=1)}


def filled_cache(stage, inputs) -> DynamicCache:
    """Keys and values of conditional and unconditional rows, up to the last token."""
    rows = {name: torch.cat([value, value]) for name, value in inputs.items()}
    windows = len(inputs["input_ids"])
    rows["input_ids"] = rows["input_ids"][:, :-1]
    drop = torch.arange(2 * windows) >= windows
    return stage(**rows, drop_conditioning=drop, use_cache=True, logits_to_keep=1).past_key_values


def copied(cache: DynamicCache) -> DynamicCache:
    copy = DynamicCache()
    for index, layer in enumerate(cache.layers):
        copy.update(layer.keys.clone(), layer.values.clone(), index)
    return copy


def time_generate(stage, inputs, cache, steps: int) -> float:
    started = time.perf_counter()
    seeds = torch.arange(len(inputs["input_ids"]))
    mask = torch.ones_like(inputs["input_ids"])
    stage.generate(**inputs, attention_mask=mask, past_key_values=cache, max_new_tokens=steps, seeds=seeds)
    return (time.perf_counter() - started) / steps


def time_eager(stage, inputs, cache, steps: int) -> float:
    started = time.perf_counter()
    ids = inputs["input_ids"]
    for _ in range(steps):
        last = torch.cat([ids[:, -1:], ids[:, -1:]])
        position_ids = torch.full((1, 1), ids.shape[1] - 1)
        logits = stage(input_ids=last, position_ids=position_ids, past_key_values=cache).logits[:, -1]
        conditional, unconditional = logits.chunk(2)
        scores = (unconditional + 3.0 * (conditional - unconditional)) / 0.9
        threshold = scores.topk(min(250, scores.shape[-1])).values[:, -1:]
        probabilities = scores.masked_fill(scores < threshold, -float("inf")).softmax(-1)
        ids = torch.cat([ids, torch.multinomial(probabilities, 1)], dim=1)
    return (time.perf_counter() - started) / steps


def time_matmul(stage, inputs, cache, steps: int) -> float:
    weights = [module.weight for module in stage.decoder.layers.modules() if isinstance(module, torch.nn.Linear)]
    weights.append(stage.lm_heads[0].weight)
    rows = 2 * len(inputs["input_ids"])
    activations = [torch.randn(rows, weight.shape[1]) for weight in weights]
    started = time.perf_counter()
    for _ in range(steps):
        for activation, weight in zip(activations, weights, strict=True):
            torch.nn.functional.linear(activation, weight)
    return (time.perf_counter() - started) / steps


PATHS = {"generate": time_generate, "eager": time_eager, "matmul": time_matmul}


@torch.no_grad()
def measure(stage, windows: int, steps: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of one step of all windows together, by path."""
    inputs = random_inputs(stage, windows)
    cache = filled_cache(stage, inputs)
    times = {name: [] for name in PATHS}
    for round_ in range(rounds + 1):  # the first round warms up
        for name, path in PATHS.items():
            seconds = path(stage, inputs, copied(cache), steps)
            if round_ > 0:
                times[name].append(1000 * seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--tiny", action="store_true", help="a small model, to see that the benchmark runs")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    logging.set_verbosity_error()
    torch.manual_seed(0)

    print(
        f"{'stage':9} {'windows':>7} {'generate':>9} {'eager':>7} {'matmul':>7}  ms a step   s per s of audio and window"
    )
    results = []
    for name, model_class in STAGES.items():
        stage = model_class(model_class.config_class(**(TINY if args.tiny else {}))).eval()
        steps_per_second = stage.config.frame_rate * stage.config.num_codebooks
        for windows in args.windows:
            milliseconds = measure(stage, windows, args.steps, args.rounds)
            per_second = {
                path: value / 1000 * steps_per_second / windows
                for path, value in milliseconds.items()
                if path != "matmul"
            }
            results.append(
                {"stage": name, "windows": windows, "ms_per_step": milliseconds, "s_per_s_of_audio": per_second}
            )
            print(
                f"{name:9} {windows:7} {milliseconds['generate']:9.2f} {milliseconds['eager']:7.2f} "
                f"{milliseconds['matmul']:7.2f}              {per_second['generate']:.2f}"
            )
    setting = {"torch": torch.__version__, "threads": args.threads, "rounds": args.rounds, "steps": args.steps}
    print(json.dumps({"benchmark": "generation", "tiny": args.tiny, **setting, "results": results}))


if __name__ == "__main__":
    main()
