# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What the benchmarks run: a checkpoint, or random weights where the size matters and the sound does not; and a voice."""

from pathlib import Path

import numpy as np
import torch
from transformers import EncodecFeatureExtractor, Wav2Vec2FeatureExtractor

from hafm_hf import (
    DEFAULT_CHECKPOINT,
    HafmAudioTokenizer,
    HafmAudioTokenizerConfig,
    HafmConfig,
    HafmModel,
    HafmPipeline,
    HafmProcessor,
    load_audio,
)
from hafm_hf.modeling.audio_hafm import resample, to_mono


VOCAL = Path(__file__).parent.parent / "examples" / "vocadito_10.flac"
DEFAULT = "hafm-tiny"
RANDOM = ("random-paper", "random-small")
MODEL_HELP = (
    "folder or Hub id of a checkpoint, or random weights: random-paper or, to see that it runs, random-small "
    "(default: hafm-tiny)"
)

SMALL_STAGE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
SMALL_TOKENIZER = {
    "semantic_model_config": {
        "model_type": "hubert",
        **SMALL_STAGE,
        "conv_dim": [16] * 7,
        "num_conv_pos_embedding_groups": 4,
    },
    "acoustic_model_config": {"model_type": "encodec", "num_filters": 4, "hidden_size": 16},
    "semantic_layer": 2,
}


def load(model: str, device: str = "cpu") -> HafmPipeline:
    """The pipeline of what `MODEL_HELP` says."""
    processor = load_processor(model)
    if model not in RANDOM:
        return HafmPipeline(HafmModel.from_pretrained(path(model)), processor=processor, device=device)
    torch.manual_seed(0)
    stages = {
        f"{name}_config": SMALL_STAGE if model == "random-small" else {} for name in ("semantic", "coarse", "fine")
    }
    return HafmPipeline(HafmModel(HafmConfig(**stages)).eval(), processor=processor, device=device)


def load_processor(model: str) -> HafmProcessor:
    """The processor of the same."""
    if model not in RANDOM:
        return HafmProcessor.from_pretrained(path(model))
    torch.manual_seed(0)
    config = HafmAudioTokenizerConfig(**(SMALL_TOKENIZER if model == "random-small" else {}))
    return HafmProcessor(Wav2Vec2FeatureExtractor(), EncodecFeatureExtractor(), HafmAudioTokenizer(config))


def path(model: str) -> str:
    # By name: where the package lies on a machine does not belong into results.
    return DEFAULT_CHECKPOINT if model == DEFAULT else model


def voice(seconds: float, rate: int, start: float = 0.0) -> np.ndarray:
    """The example vocal `(samples,)` from a second on, again and again where it is too short."""
    clip = load_audio(VOCAL)
    waveform = resample(to_mono(clip.waveform), clip.sampling_rate, rate)
    return np.resize(np.roll(waveform, -round(start * rate)), round(seconds * rate))
