# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A convolutional front end that hears pitch from the first step on.

The seven small convolutions of the usual HuBERT take thousands of steps to find out about pitch. Two layers of the same
classes do without that, for a HuBERT may have any: the first begins as Gabor filters (windowed sinusoids) at logarithmic
frequencies in three phases, the second adds up what the activation lets through of the three, which is the magnitude. As
all else they are then trained.
"""

import math

import torch
from torch import nn
from transformers import HubertModel

from . import HOP, SAMPLING_RATE


FREQUENCIES = 128
PHASES = 3
LONGEST, SHORTEST = 2048, 640  # samples; the shortest windows still overlap by half
CYCLES = 40  # in a window, where that is neither too long nor too short: enough to tell semitones apart
FRONT_END = {
    "conv_dim": (FREQUENCIES * PHASES, FREQUENCIES),
    "conv_kernel": (LONGEST, 1),
    "conv_stride": (HOP, 1),
    "conv_bias": True,
    "feat_extract_norm": "layer",
}
"""Fields of `HubertConfig`."""


@torch.no_grad()
def begin_with_filters(hubert: HubertModel) -> None:
    """Set the convolutions of a HuBERT with this `FRONT_END`, in place."""
    filters, sums = (layer.conv for layer in hubert.feature_extractor.conv_layers)
    filters.weight.copy_(gabor_filters().flatten(0, 1)[:, None])
    magnitudes = torch.eye(FREQUENCIES).repeat_interleave(PHASES, dim=1) / PHASES
    nn.init.normal_(sums.weight, std=0.01)  # lest all other weights get the same gradients
    sums.weight += magnitudes[..., None]


def gabor_filters() -> torch.Tensor:
    """Filters `(frequencies, phases, samples)` from 60 Hz to 7.6 kHz."""
    frequencies = torch.logspace(math.log2(60), math.log2(7600), FREQUENCIES, base=2)[:, None]
    lengths = (CYCLES * SAMPLING_RATE / frequencies).clamp(SHORTEST, LONGEST)
    times = torch.arange(LONGEST) - (LONGEST - 1) / 2
    windows = (math.pi * times / lengths).cos().square() * (times.abs() < lengths / 2)
    windows *= 2 / windows.norm(dim=-1, keepdim=True)
    turns = frequencies * times / SAMPLING_RATE + torch.arange(PHASES)[:, None, None] / PHASES
    return (windows * (2 * math.pi * turns).cos()).transpose(0, 1)
