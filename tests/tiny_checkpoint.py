# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A whole checkpoint, random and so small that a second of audio takes a few: real rates, hops and codebooks, short windows."""

import torch
from transformers import (
    EncodecConfig,
    EncodecFeatureExtractor,
    EncodecModel,
    HubertConfig,
    HubertModel,
    Wav2Vec2FeatureExtractor,
)

from hafm_hf import HafmAudioTokenizer, HafmConfig, HafmModel, HafmProcessor


SHAPE = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
WINDOWS = {"semantic": 0.4, "coarse": 0.24, "fine": 0.12}


def make_model() -> HafmModel:
    """Weights are large enough that guidance, temperature and top-k change what comes out."""
    torch.manual_seed(0)
    stages = {f"{name}_config": SHAPE | {"window_seconds": seconds} for name, seconds in WINDOWS.items()}
    model = HafmModel(HafmConfig(**stages)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.mul_(5)
    return model


def make_processor() -> HafmProcessor:
    torch.manual_seed(0)
    hubert = HubertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    codec = EncodecModel(EncodecConfig(num_filters=4, hidden_size=16, codebook_dim=16, num_lstm_layers=1))
    for quantizer in codec.quantizer.layers:
        torch.nn.init.normal_(quantizer.codebook.embed, std=20.0)
    tokenizer = HafmAudioTokenizer.from_parts(HubertModel(hubert), codec, torch.randn(500, 32), semantic_layer=2)
    return HafmProcessor(Wav2Vec2FeatureExtractor(), EncodecFeatureExtractor(), tokenizer)
