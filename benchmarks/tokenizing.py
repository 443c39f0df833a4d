# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
What tokenizing costs, seconds per second of audio, and how many semantic tokens change with a HuBERT in bfloat16.

    python benchmarks/tokenizing.py [--model CHECKPOINT] [--seconds 60] [--rounds 3] [--threads N]

The semantic tokens of a voice with the HuBERT in float32 and in bfloat16, its codec codes, and a waveform from them,
turn by turn; the first round warms up. With random weights the times count, the changed tokens do not. The last line is
JSON. To try it:

    python benchmarks/tokenizing.py --model random-small --seconds 2 --rounds 1
"""

import argparse
import copy
import time

import models
import torch
from measuring import publish, summary, turn_by_turn


DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--model", default=models.DEFAULT, help=models.MODEL_HELP)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the voice (default: 60)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    processor = models.load_processor(args.model)
    tokenizer = processor.audio_tokenizer
    waveform = models.voice(args.seconds, processor.sampling_rate)
    heard = processor.semantic_inputs([waveform])
    codec_input = torch.from_numpy(waveform)[None]
    codes = tokenizer.encode_acoustic(codec_input)
    parts = {
        "codec, encode": lambda: tokenizer.encode_acoustic(codec_input),
        "codec, decode": lambda: tokenizer.decode(codes),
    }
    tokenizers, tokens = {}, {}
    for name, dtype in DTYPES.items():
        tokenizers[name] = copy.deepcopy(tokenizer)
        tokenizers[name].semantic_model.to(dtype)
        tokens[name] = tokenizers[name].encode_semantic(**heard)
        parts[f"semantic, {name}"] = lambda name=name: tokenizers[name].encode_semantic(**heard)

    def measure(part: str) -> float:
        started = time.perf_counter()
        parts[part]()
        return (time.perf_counter() - started) / args.seconds

    runs = turn_by_turn(parts, args.rounds + 1, measure)
    rows = [{"part": part, **summary("s_per_s_of_audio", runs[part][1:], 5)} for part in parts]
    changed = (tokens["float32"] != tokens["bfloat16"]).float().mean().item()
    rows[-1]["changed_tokens_percent"] = round(100 * changed, 2)
    publish("tokenizing", vars(args) | {"tokens": tokens["float32"].numel()}, rows)


if __name__ == "__main__":
    main()
