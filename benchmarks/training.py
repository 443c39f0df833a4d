# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
What a training step costs at the paper's size: tokens per second and peak memory, beside a Llama of the same size.

    python benchmarks/training.py [--stages coarse] [--batch 1] [--rounds 3] [--dtype bfloat16] [--threads N]

For each stage, in one run and turn by turn: the stage with each attention implementation, and `LlamaForCausalLM` with as
many layers, heads, dimensions and positions. A step is forward, backward, clipping and AdamW on a batch of full windows.
Tokens are positions, conditioning included. Seconds are medians over the rounds; `x Llama` is seconds per parameter and
token over those of the Llama. Memory is what one model needs more than the bare process, at its peak, in a process of its
own. The last line is JSON. To try it:

    python benchmarks/training.py --small --stages coarse --rounds 1
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from measuring import in_own_process, megabytes, publish, summary, turn_by_turn
from models import SMALL_STAGE
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from hafm_hf.training import STAGES


def make_stage(config, attention: str, batch: int):
    """A stage with a batch of random windows."""
    model = STAGES[config.model_type.removeprefix("hafm_")]._from_config(config, attn_implementation=attention)
    frames = [batch, config.conditioning_window_frames]
    if config.conditioning_num_codebooks > 1:
        frames.insert(1, config.conditioning_num_codebooks)
    inputs = {name: torch.randint(config.conditioning_vocab_size, frames) for name in config.conditioning_sources}
    inputs["labels"] = torch.randint(config.vocab_size, (batch, config.window_frames * config.num_codebooks))
    return model, inputs


def make_llama(config, batch: int):
    """A Llama of a stage's shape, with as many tokens as the stage has positions."""
    shape = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    llama = LlamaConfig(**{name: getattr(config, name) for name in shape})
    ids = torch.randint(config.vocab_size, (batch, positions(config)))
    return LlamaForCausalLM._from_config(llama, attn_implementation="sdpa"), {"input_ids": ids, "labels": ids}


def positions(config) -> int:
    return config.conditioning_length + config.window_frames * config.num_codebooks


class Step:
    """One training step of a model on one batch, to be called again and again."""

    def __init__(self, config, path: str, batch: int, device: str, dtype: torch.dtype):
        model, inputs = make_llama(config, batch) if path == "llama" else make_stage(config, path, batch)
        self.model = model.to(device).train()
        self.inputs = {name: value.to(device) for name, value in inputs.items()}
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=3e-4, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        self.device, self.dtype = device, dtype

    def __call__(self) -> float:
        started = time.perf_counter()
        with torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32):
            loss = self.model(**self.inputs, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started


def peak_gigabytes(threads: int, make_step: Callable[[], Step]) -> float:
    """What two steps need at their peak more than the bare process; to be called in a process of its own."""
    torch.set_num_threads(threads)
    before = megabytes("VmRSS")
    step = make_step()
    step(), step()
    if step.device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return (megabytes("VmHWM") - before) / 1e3


def measure(name: str, args: argparse.Namespace, device: str) -> list[dict]:
    config = STAGES[name].config_class(**(SMALL_STAGE if args.small else {}))
    # The backward of flex attention exists on GPUs only.
    paths = ["eager", "sdpa", *(["flex_attention"] if device == "cuda" else []), "llama"]
    makers = {path: partial(Step, config, path, args.batch, device, getattr(torch, args.dtype)) for path in paths}
    memory = {path: in_own_process(peak_gigabytes, args.threads, make) for path, make in makers.items()}
    steps = {path: make() for path, make in makers.items()}
    runs = turn_by_turn(paths, args.rounds + 1, lambda path: steps[path]())  # the first round warms up
    seconds = {path: statistics.median(runs[path][1:]) for path in paths}
    parameters = {path: step.model.num_parameters() for path, step in steps.items()}
    return [
        {
            "stage": name,
            "path": path,
            "parameters_millions": round(parameters[path] / 1e6, 1),
            **summary("seconds_per_step", runs[path][1:]),
            "tokens_per_second": round(args.batch * positions(config) / seconds[path]),
            "times_llama": round(seconds[path] / parameters[path] / (seconds["llama"] / parameters["llama"]), 2),
            "peak_gb": round(memory[path], 2),
        }
        for path in paths
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--batch", type=int, default=1, help="windows in a batch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32", help="of autocast")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--small", action="store_true", help="small models, to see that it runs")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    logging.set_verbosity_error()
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    rows = [row for name in args.stages for row in measure(name, args, device)]
    publish("training", vars(args) | {"device": device}, rows)


if __name__ == "__main__":
    main()
