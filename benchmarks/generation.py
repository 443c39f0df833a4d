# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
What a step of generation costs at the paper's size, random weights, guidance on, beside what it could and might cost.

    python benchmarks/generation.py [--windows 1 8 32] [--steps 24] [--rounds 3] [--threads N] [--no-peers]

For each stage and number of windows generated together, in one run and turn by turn, in milliseconds:

  float32, bfloat16, int8   the decoding loop of the package: one step and the choice of the next token
  bare float32, ...         prepacked matrix products and the reading of keys and values of one step, nothing else
  matmul                    the same matrix products through `torch.nn.functional.linear`, float32
  static, growing           the plainest loop over `forward`, with a preallocated cache and with one grown by concatenation
  no cache                  `forward` over everything so far
  generate                  the loop of transformers over the stage
  llama, musicgen           the same over decoders of transformers of this size, two rows a window, in float32
  llama bfloat16, ...       and in bfloat16

Every step starts from a cache filled to the middle of the stage's window, so that it is the average step of a window.
Medians over the rounds. The seconds per second of audio are those of this stage alone. The last line is JSON. To try it:

    python benchmarks/generation.py --small --stages coarse --windows 1 --steps 4 --rounds 1
"""

import argparse
import copy
import time
from collections.abc import Callable

import torch
from measuring import publish, summary, turn_by_turn
from models import SMALL_STAGE
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, MusicgenDecoderConfig, StaticCache
from transformers.models.musicgen.modeling_musicgen import MusicgenForCausalLM
from transformers.utils import logging

from hafm_hf import HafmCoarseModel, HafmFineModel, HafmSemanticModel
from hafm_hf.modeling.decoding_hafm import StageDecoder, embed_conditioning
from hafm_hf.modeling.generation_hafm import SeededSamplingLogitsProcessor
from hafm_hf.modeling.key_value_cache_hafm import make_cache
from hafm_hf.modeling.packed_linear_hafm import PRECISIONS, pack_linear
from hafm_hf.modeling.sampling_hafm import Sampler


STAGES = {"semantic": HafmSemanticModel, "coarse": HafmCoarseModel, "fine": HafmFineModel}
# Beyond so many windows the baselines take minutes, and show nothing new.
BASELINE_WINDOWS = 8

Step = Callable[[int], None]  # runs so many steps


class Setting:
    """A stage, a number of windows, and the inputs of a step in the middle of a window."""

    def __init__(self, stage, windows: int, steps: int):
        config = stage.config
        self.stage, self.windows, self.rows, self.steps = stage, windows, 2 * windows, steps
        self.half = config.window_frames // 2 * config.num_codebooks
        self.filled = config.conditioning_length + self.half
        shape = [windows, config.conditioning_window_frames]
        if config.conditioning_num_codebooks > 1:
            shape.insert(1, config.conditioning_num_codebooks)
        inputs = {name: torch.randint(config.conditioning_vocab_size, shape) for name in config.conditioning_sources}
        bos = torch.full((windows, 1), config.bos_token_id)
        self.inputs = inputs | {
            "input_ids": torch.cat([bos, torch.randint(config.vocab_size, (windows, self.half))], 1)
        }

    def forward(self, cache=None):
        """Logits after everything so far, in conditional and unconditional rows; fills the cache but for the last token."""
        rows = {name: torch.cat([value, value]) for name, value in self.inputs.items()}
        rows["input_ids"] = rows["input_ids"][:, : -1 if cache is not None else None]
        drop = torch.arange(self.rows) >= self.windows
        use = {"past_key_values": cache, "use_cache": cache is not None}
        return self.stage(**rows, drop_conditioning=drop, logits_to_keep=1, **use).logits[:, -1]


def sampler(windows: int) -> Sampler:
    seeds = torch.arange(windows)
    return Sampler(3.0, 0.9, 250, SeededSamplingLogitsProcessor(seeds, torch.zeros_like(seeds)).noise)


def decoder_steps(setting: Setting, precision: str) -> Step:
    decoder = StageDecoder(setting.stage, setting.rows, setting.filled + setting.steps, precision)
    # One row stands for all: what was read makes no difference to the time, and is overwritten.
    conditioning = {name: setting.inputs[name][:1] for name in setting.stage.config.conditioning_sources}
    decoder.read_conditioning(embed_conditioning(setting.stage, conditioning, None, guided=False))
    decoder.cache.keys.normal_(), decoder.cache.values.normal_()
    sample = sampler(setting.windows)

    def run(steps: int) -> None:
        ids, decoder.cache.filled = setting.inputs["input_ids"][:, -1], setting.filled
        for index in range(setting.half, setting.half + steps):
            ids = sample(decoder.step(ids.repeat(2), index), index)

    return run


def products(setting: Setting) -> list[torch.Tensor]:
    linears = [
        module.weight for module in setting.stage.decoder.layers.modules() if isinstance(module, torch.nn.Linear)
    ]
    return [*linears, setting.stage.lm_heads[0].weight]


def bare_steps(setting: Setting, precision: str) -> Step:
    config, filled = setting.stage.config, setting.filled
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    linears = [
        (pack_linear(weight, precision, setting.rows), torch.randn(setting.rows, weight.shape[1], dtype=dtype))
        for weight in products(setting)
    ]
    cache = make_cache(config, setting.rows, filled + 1, dtype, torch.device("cpu"))
    cache.keys.normal_(), cache.values.normal_()
    cache.filled = filled
    cache.begin_step()
    heads = setting.rows * config.num_attention_heads
    query, weights = torch.randn(heads, config.head_dim), torch.rand(heads, filled + 1).to(dtype)

    def run(steps: int) -> None:
        for _ in range(steps):
            for linear, activation in linears:
                linear(activation)
            for layer in range(config.num_hidden_layers):
                cache.scores(layer, query), cache.weighted_values(layer, weights)

    return run


def matmul_steps(setting: Setting) -> Step:
    pairs = [(torch.randn(setting.rows, weight.shape[1]), weight) for weight in products(setting)]

    def run(steps: int) -> None:
        for _ in range(steps):
            for activation, weight in pairs:
                torch.nn.functional.linear(activation, weight)

    return run


def eager_steps(setting: Setting, static: bool) -> Step:
    stage, sample = setting.stage, sampler(setting.windows)
    length = setting.filled + setting.steps
    filled = StaticCache(config=stage.config, max_cache_len=length) if static else DynamicCache()
    setting.forward(filled)
    kept = [
        (layer.keys[:, :, : setting.filled].clone(), layer.values[:, :, : setting.filled].clone())
        for layer in filled.layers
    ]

    def run(steps: int) -> None:
        cache = StaticCache(config=stage.config, max_cache_len=length) if static else DynamicCache()
        for layer, (keys, values) in enumerate(kept):
            cache.update(keys, values, layer)
        ids = setting.inputs["input_ids"][:, -1]
        for index in range(setting.half, setting.half + steps):
            position_ids = torch.full((1, 1), index)
            output = stage(input_ids=ids.repeat(2)[:, None], position_ids=position_ids, past_key_values=cache)
            ids = sample(output.logits[:, -1], index)

    return run


def no_cache_steps(setting: Setting) -> Step:
    return lambda steps: setting.forward()  # one of them


def generate_steps(model, inputs: dict, settings: dict) -> Callable[[int], float]:
    """Seconds of a step of `generate`: of so many more than one, so that what comes before the first does not count."""

    def measure(steps: int) -> float:
        seconds = []
        for count in (1, 1 + steps):
            started = time.perf_counter()
            model.generate(**inputs, **settings, max_new_tokens=count)
            seconds.append(time.perf_counter() - started)
        return (seconds[1] - seconds[0]) / steps

    return measure


def peers(setting: Setting) -> dict[str, Callable[[int], float]]:
    """Two rows a window: Llama as a batch of twice the size, MusicGen with its own guidance."""
    config = setting.stage.config
    size = {"hidden_size": config.hidden_size, "num_hidden_layers": config.num_hidden_layers}
    size |= {"num_attention_heads": config.num_attention_heads, "vocab_size": config.vocab_size}
    llama = LlamaForCausalLM(
        LlamaConfig(**size, intermediate_size=config.intermediate_size, bos_token_id=None, eos_token_id=None)
    )
    ffn_dim = 3 * config.intermediate_size // 2  # two matrices of that size for our three
    musicgen = MusicgenForCausalLM(
        MusicgenDecoderConfig(**size, ffn_dim=ffn_dim, num_codebooks=1, audio_channels=1, eos_token_id=None)
    )
    start = config.vocab_size
    musicgen.generation_config.update(pad_token_id=start, bos_token_id=start, decoder_start_token_id=start)
    musicgen.generation_config.eos_token_id = None
    sampling = {"do_sample": True, "top_k": 250, "num_return_sequences": 1}
    ids = torch.randint(config.vocab_size, (setting.rows, setting.filled))
    calls = {
        "llama": (llama, {"input_ids": ids}, sampling),
        "musicgen": (musicgen, {"inputs": ids[: setting.windows]}, sampling | {"guidance_scale": 3.0}),
    }
    paths = {}
    for name, (model, inputs, settings) in calls.items():
        paths[name] = generate_steps(model.eval(), inputs, settings)
        paths[f"{name} bfloat16"] = generate_steps(copy.deepcopy(model).bfloat16(), inputs, settings)
    return paths


def timed(run: Step) -> Callable[[int], float]:
    def measure(steps: int) -> float:
        started = time.perf_counter()
        run(steps)
        return (time.perf_counter() - started) / steps

    return measure


@torch.no_grad()
def measure(stage, windows: int, steps: int, rounds: int, with_peers: bool) -> dict[str, list[float]]:
    """Milliseconds of one step of all windows together, by path, in each round."""
    setting = Setting(stage, windows, steps)
    paths = {precision: timed(decoder_steps(setting, precision)) for precision in PRECISIONS}
    paths |= {f"bare {precision}": timed(bare_steps(setting, precision)) for precision in PRECISIONS}
    paths["matmul"] = timed(matmul_steps(setting))
    if windows <= BASELINE_WINDOWS:
        paths["static"] = timed(eager_steps(setting, static=True))
        paths["growing"] = timed(eager_steps(setting, static=False))
        no_cache = timed(no_cache_steps(setting))
        paths["no cache"] = lambda steps: no_cache(1)
        seeds = {"seeds": torch.arange(windows), "return_dict_in_generate": True}
        paths["generate"] = generate_steps(stage, setting.inputs, seeds)
        paths |= peers(setting) if with_peers else {}
    runs = turn_by_turn(paths, rounds + 1, lambda path: 1000 * paths[path](steps))
    return {path: values[1:] for path, values in runs.items()}  # the first round warms up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--windows", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--no-peers", action="store_true", help="leave out Llama and MusicGen")
    parser.add_argument("--small", action="store_true", help="small models, to see that it runs")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    logging.set_verbosity_error()
    torch.manual_seed(0)

    rows = []
    for name in args.stages:
        model_class = STAGES[name]
        stage = model_class(model_class.config_class(**(SMALL_STAGE if args.small else {}))).eval()
        steps_per_second = stage.config.frame_rate * stage.config.num_codebooks
        for windows in args.windows:
            for path, milliseconds in measure(stage, windows, args.steps, args.rounds, not args.no_peers).items():
                per_second = [value / 1000 * steps_per_second / windows for value in milliseconds]
                row = {"stage": name, "windows": windows, "path": path, **summary("ms_per_step", milliseconds, 2)}
                rows.append(row | summary("s_per_s_of_audio", per_second))
    publish("generation", vars(args), rows)


if __name__ == "__main__":
    main()
