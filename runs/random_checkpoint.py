# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
Makes the checkpoint that ships with the package: every part there, small, and untrained.

    python runs/random_checkpoint.py [FOLDER]

Its lengths, rates and files are those of a trained one; its sound is noise. Trained weights replace it.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import (
    EncodecConfig,
    EncodecFeatureExtractor,
    EncodecModel,
    HubertConfig,
    HubertModel,
    Wav2Vec2FeatureExtractor,
)

from hafm_hf import DEFAULT_CHECKPOINT, HafmAudioTokenizer, HafmConfig, HafmModel, HafmProcessor


SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 85}


def make_processor() -> HafmProcessor:
    hubert = HubertModel(
        HubertConfig(
            hidden_size=32,
            num_hidden_layers=9,
            num_attention_heads=2,
            intermediate_size=64,
            conv_dim=(32,) * 7,
            num_conv_pos_embeddings=32,
            num_conv_pos_embedding_groups=4,
        )
    )
    codec = EncodecModel(
        EncodecConfig(
            target_bandwidths=[1.5, 3.0, 6.0], num_filters=4, hidden_size=32, codebook_dim=32, num_lstm_layers=1
        )
    )
    for quantizer in codec.quantizer.layers:
        torch.nn.init.normal_(quantizer.codebook.embed)
    tokenizer = HafmAudioTokenizer.from_parts(hubert, codec, torch.randn(500, 32))
    extractors = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True), EncodecFeatureExtractor()
    return HafmProcessor(*extractors, tokenizer)


def main(folder: str) -> None:
    torch.manual_seed(0)
    model = HafmModel(HafmConfig(semantic_config=SHAPE, coarse_config=SHAPE, fine_config=SHAPE))
    model.save_pretrained(folder)
    make_processor().save_pretrained(folder)
    leave_out_code(Path(folder))
    size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB")


def leave_out_code(folder: Path) -> None:
    """Inside the package a checkpoint uses the package's code, not the copy that travels with one on the Hub."""
    for path in folder.rglob("*.py"):
        path.unlink()
    for path in folder.rglob("*.json"):
        content = json.loads(path.read_text())
        if content.pop("auto_map", None):
            path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_CHECKPOINT)
