# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A SingSong small enough to generate a second in a few."""

import torch
from tiny_checkpoint import SHAPE

from hafm_hf.evaluation.baselines.configuration_singsong import SingSongConfig, SingSongSeq2SeqConfig
from hafm_hf.evaluation.baselines.modeling_singsong import SingSongForAccompaniment


def seq2seq_config(**config) -> SingSongSeq2SeqConfig:
    return SingSongSeq2SeqConfig(**(SHAPE | {"head_dim": 16, "window_seconds": 0.4} | config))


def make_singsong() -> SingSongForAccompaniment:
    """Weights are large enough that inputs, temperature and top-k change what comes out."""
    torch.manual_seed(0)
    config = SingSongConfig(seq2seq_config=seq2seq_config(), fine_config=SHAPE | {"window_seconds": 0.12})
    model = SingSongForAccompaniment(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.mul_(5 if "fine" in name else 1.5)
    return model
