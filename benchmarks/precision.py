# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
What weights of lower precision cost in accuracy: the loss of each stage on tokens that it sampled itself.

    python benchmarks/precision.py [--model CHECKPOINT] [--seconds 60] [--threads N]

A voice is accompanied in float32; its windows, without carried context, are then read again in each precision, token by
token, as the fast loop of `generate` does. `loss` is the cross-entropy in nats a token, `more_loss` what it is above that of
float32, `same_likeliest_percent` how often the likeliest token is that of float32, and `error_percent` how far the logits
are from those of float32, relative to these. The last line is JSON. To try it:

    python benchmarks/precision.py --model random-small --seconds 10
"""

import argparse

import models
import torch
from measuring import publish
from torch.nn.functional import cross_entropy

from hafm_hf.modeling.decoding_hafm import StageDecoder, embed_conditioning
from hafm_hf.modeling.generation_hafm import interleave_codes
from hafm_hf.modeling.packed_linear_hafm import INT8_ROWS, PRECISIONS


def make_streams(accompany, seconds: float) -> dict[str, torch.Tensor]:
    """What every stage read and wrote for a voice, `(codebooks, frames)` each."""
    rate = accompany.processor.sampling_rate
    inputs = accompany.processor(audio=models.voice(seconds, rate), sampling_rate=rate)
    output = accompany.model.generate(**inputs, seed=0)
    coarse = accompany.model.coarse.config.num_codebooks
    return {
        "vocal_semantic_ids": inputs["vocal_semantic_ids"],
        "instrumental_semantic_ids": output.instrumental_semantic_ids,
        "coarse_ids": output.codes[0, :coarse],
        "fine_ids": output.codes[0, coarse:],
    }


def windows(stage, streams: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Whole windows, as many as int8 kernels take rows: the conditioning, and the tokens `(windows, length)` with BOS."""
    config = stage.config
    target = streams[stage.prediction_name]
    count = min(target.shape[1] // config.window_frames, INT8_ROWS)

    def cut(stream: torch.Tensor, frames: int) -> torch.Tensor:
        return stream[:, : count * frames].unflatten(1, (count, frames)).transpose(0, 1)

    conditioning = {
        source: cut(streams[source], config.conditioning_window_frames).squeeze(1)
        for source in config.conditioning_sources
    }
    tokens = interleave_codes(cut(target, config.window_frames))
    return conditioning, torch.nn.functional.pad(tokens, (1, 0), value=config.bos_token_id)


@torch.inference_mode()
def read_again(stage, conditioning: dict[str, torch.Tensor], tokens: torch.Tensor, precision: str) -> torch.Tensor:
    """The logits `(windows, length, vocab_size)` of all tokens after BOS."""
    prefix = embed_conditioning(stage, conditioning, None, guided=False)
    decoder = StageDecoder(stage, len(tokens), prefix.embeddings.shape[1] + tokens.shape[1] - 1, precision)
    decoder.read_conditioning(prefix)
    return torch.stack([decoder.step(tokens[:, index], index) for index in range(tokens.shape[1] - 1)], dim=1)


def measure(name: str, stage, streams: dict[str, torch.Tensor]) -> list[dict]:
    conditioning, tokens = windows(stage, streams)
    logits = {precision: read_again(stage, conditioning, tokens, precision) for precision in PRECISIONS}
    losses = {precision: cross_entropy(found.mT, tokens[:, 1:]).item() for precision, found in logits.items()}
    exact = logits["float32"]
    return [
        {
            "stage": name,
            "precision": precision,
            "tokens": tokens[:, 1:].numel(),
            "loss": round(losses[precision], 4),
            "more_loss": round(losses[precision] - losses["float32"], 5),
            "same_likeliest_percent": round(100 * (found.argmax(-1) == exact.argmax(-1)).float().mean().item(), 2),
            "error_percent": round(100 * ((found - exact).norm() / exact.norm()).item(), 2),
        }
        for precision, found in logits.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--model", default=models.DEFAULT, help=models.MODEL_HELP)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the voice (default: 60)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    accompany = models.load(args.model)
    longest = max(stage.config.window_seconds for stage in accompany.model.stages.values())
    if args.seconds < longest:
        parser.error(f"--seconds is {args.seconds:g}, but a window takes {longest:g}; give that or more.")
    streams = make_streams(accompany, args.seconds)
    rows = [row for name, stage in accompany.model.stages.items() for row in measure(name, stage, streams)]
    publish("precision", vars(args), rows)


if __name__ == "__main__":
    main()
