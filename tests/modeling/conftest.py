# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Tiny random tokenizers with the real rates and hops: 50 semantic and 75 acoustic frames a second, 8 codebooks."""

import numpy as np
import pytest
import torch
from transformers import (
    EncodecConfig,
    EncodecFeatureExtractor,
    EncodecModel,
    HubertConfig,
    HubertModel,
    Wav2Vec2FeatureExtractor,
)

from hafm_hf.modeling.modeling_hafm_audio_tokenizer import HafmAudioTokenizer
from hafm_hf.modeling.processing_hafm import HafmProcessor


def make_hubert(**config) -> HubertModel:
    torch.manual_seed(0)
    return HubertModel(
        HubertConfig(
            hidden_size=32,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=64,
            conv_dim=(16,) * 7,
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=4,
            initializer_range=0.2,
            **config,
        )
    )


@torch.no_grad()
def make_codec(**config) -> EncodecModel:
    """A random codec whose LSTMs remember for many seconds and whose codebooks are used."""
    torch.manual_seed(0)
    codec = EncodecModel(EncodecConfig(num_filters=4, hidden_size=16, **config)).eval()
    for lstm in (module for module in codec.modules() if isinstance(module, torch.nn.LSTM)):
        for layer in range(lstm.num_layers):
            getattr(lstm, f"bias_hh_l{layer}")[lstm.hidden_size : 2 * lstm.hidden_size] = 3.0  # the forget gates
    residual = codec.encoder(torch.from_numpy(make_audio(20.0))[None, None])[0].T
    for layer in codec.quantizer.layers:
        layer.codebook.embed.copy_(torch.randn_like(layer.codebook.embed) * residual.std(0) + residual.mean(0))
        residual = residual - layer.codebook.decode(layer.codebook.encode(residual))
    return codec


def make_audio(seconds: float, rate: int = 24000, seed: int = 0) -> np.ndarray:
    """A gliding, pulsating tone with overtones and some noise: float32 `(samples,)`."""
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (200 + 40 * seed) * (time + 0.05 * np.sin(2 * np.pi * 0.7 * time))
    tone = sum(np.sin(k * phase) / k for k in range(1, 8)) * (1 + np.sin(2 * np.pi * 1.3 * time))
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return (0.1 * tone + 0.02 * noise).astype(np.float32)


def make_tokenizer(hubert: HubertModel, codec: EncodecModel) -> HafmAudioTokenizer:
    """Chunks of 2 s, and centroids that are in use."""
    config = {"semantic_layer": 2, "chunk_seconds": 2.0, "semantic_context_seconds": 0.4}
    features = HafmAudioTokenizer.from_parts(hubert, codec, **config).semantic_features(
        torch.from_numpy(make_audio(10.0, 16000))[None] * 5
    )
    centroids = features[0, torch.randperm(features.shape[1])[:50]]
    return HafmAudioTokenizer.from_parts(hubert, codec, centroids, **config)


@pytest.fixture(scope="session")
def large_hubert() -> HubertModel:
    """Of the kind of HuBERT-Large: the normalisation comes before each layer, and once behind the last."""
    return make_hubert(do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True)


@pytest.fixture(scope="session")
def base_hubert() -> HubertModel:
    """Of the kind of HuBERT-Base: the first convolution normalises over time, so padding would change all it hears."""
    return make_hubert()


@pytest.fixture(scope="session")
def codec() -> EncodecModel:
    return make_codec()


@pytest.fixture(scope="session")
def noncausal_codec() -> EncodecModel:
    return make_codec(use_causal_conv=False)


@pytest.fixture(scope="session")
def audio_tokenizer(large_hubert, codec) -> HafmAudioTokenizer:
    return make_tokenizer(large_hubert, codec)


@pytest.fixture(scope="session")
def base_audio_tokenizer(base_hubert, noncausal_codec) -> HafmAudioTokenizer:
    """The other kind of everything: HuBERT-Base, and a codec that looks ahead."""
    return make_tokenizer(base_hubert, noncausal_codec)


@pytest.fixture(scope="session")
def processor(audio_tokenizer) -> HafmProcessor:
    return HafmProcessor(Wav2Vec2FeatureExtractor(), EncodecFeatureExtractor(), audio_tokenizer)


@pytest.fixture(scope="session", name="make_audio")
def make_audio_fixture():
    return make_audio
