# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A start for stages that are trained briefly: attention that falls with distance.

A position bias that begins at zero, as the paper's does, averages over the whole window, and a small machine spends its
steps on finding out that what is near tells most. As in ALiBi (Press et al., 2022) every head begins with another reach;
unlike there, the bias learns on.
"""

import math

import torch

from ..modeling.modeling_hafm import HafmStageModel


# Attention weights begin as `(1 + slope * distance) ** -POWER`, with slopes from a few tokens' reach to hundreds.
POWER = 3.0
STEEPEST, FLATTEST = 0.5, 0.005


@torch.no_grad()
def start_local(stage: HafmStageModel) -> None:
    """Set the position biases of a new stage, in place: near tokens, and conditioning that sounds at nearly the same time."""
    config, decoder = stage.config, stage.decoder
    slopes = torch.logspace(math.log10(STEEPEST), math.log10(FLATTEST), config.num_attention_heads)
    tokens = torch.arange(config.relative_attention_max_distance)
    bias = decoder.relative_position_bias
    fill(bias.relative_attention_bias, bias.bucket(tokens), tokens, slopes)
    if (bias := decoder.conditioning_bias) is not None:
        frames = torch.arange(-config.conditioning_window_frames, config.conditioning_window_frames + 1)
        for source in range(len(config.conditioning_sources)):
            buckets = bias.bucket(frames, torch.tensor(source))
            fill(bias.relative_attention_bias, buckets, frames.abs(), slopes)


def fill(
    table: torch.nn.Embedding, buckets: torch.LongTensor, distances: torch.LongTensor, slopes: torch.Tensor
) -> None:
    """Set the rows of the buckets by the mean of the distances that fall into each."""
    for bucket in buckets.unique():
        distance = distances[buckets == bucket].float().mean()
        table.weight[bucket] = -POWER * torch.log1p(slopes * distance)
