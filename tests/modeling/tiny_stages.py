# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Tiny stages whose weights are large enough that a wrong mask, bias, position or cache changes what they compute."""

import torch

from hafm_hf.modeling.configuration_hafm import HafmCoarseConfig, HafmFineConfig, HafmSemanticConfig
from hafm_hf.modeling.modeling_hafm import HafmCoarseModel, HafmFineModel, HafmSemanticModel, HafmStageModel


MODELS = {
    "semantic": (HafmSemanticModel, HafmSemanticConfig),
    "coarse": (HafmCoarseModel, HafmCoarseConfig),
    "fine": (HafmFineModel, HafmFineConfig),
}
# Few buckets, so that distances within a test reach the logarithmic ones.
SHAPE = {
    "vocab_size": 40,
    "conditioning_vocab_size": 30,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 16,
}


def enlarge(model: torch.nn.Module) -> None:
    """Eight times the initial weights, and more for the position bias: as they are, all logits are nearly equal."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)
            else:
                parameter.mul_(64 if "relative_attention_bias" in name else 8)


def make_stage(name: str, **config) -> HafmStageModel:
    model_class, config_class = MODELS[name]
    torch.manual_seed(0)
    stage = model_class(config_class(**SHAPE | config)).eval()
    enlarge(stage)
    return stage


def make_inputs(
    stage: HafmStageModel, rows: int = 3, tokens: int = 1, frames: int = 6, seed: int = 1
) -> dict[str, torch.Tensor]:
    """BOS and `tokens - 1` random tokens, and `frames` of random conditioning."""
    config, generator = stage.config, torch.Generator().manual_seed(seed)
    input_ids = torch.randint(config.vocab_size, (rows, tokens), generator=generator)
    input_ids[:, 0] = config.bos_token_id
    shape = (rows, config.conditioning_num_codebooks, frames)
    conditioning = {
        source: torch.randint(config.conditioning_vocab_size, shape, generator=generator).squeeze(1)
        for source in config.conditioning_sources
    }
    return {"input_ids": input_ids, **conditioning}


def row_of(inputs: dict[str, torch.Tensor], row: int) -> dict[str, torch.Tensor]:
    return {name: value[row : row + 1] for name, value in inputs.items()}
