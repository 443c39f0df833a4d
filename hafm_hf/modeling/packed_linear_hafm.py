# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
Linear layers for decoding, their weights laid out for the machine once.

One or two rows at a time, a matrix product costs what it takes to read its weight. `torch.nn.functional.linear` reads at
a third of the memory's speed there; oneDNN reads a weight in its own layout at nearly all of it, and a weight in bfloat16
or int8 is half or a quarter as long.
"""

from collections.abc import Callable

import torch
from torch.nn.functional import linear, pad
from transformers.utils import logging


logger = logging.get_logger(__name__)

PRECISIONS = ("float32", "bfloat16", "int8")
# Rows up to which the int8 kernel, bound by the reading of weights, beats a product in bfloat16.
INT8_ROWS = 16
# Multiplications from which on packing a float32 weight pays for what a call of oneDNN costs by itself.
PACKED_WORK = 2**19


def pack_linear(weight: torch.Tensor, precision: str, rows: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """
    Args:
        weight (`torch.Tensor` of shape `(outputs, inputs)`), in float32
        precision: one of `PRECISIONS`. Inputs and outputs are in bfloat16 for both of the lower ones.
        rows: of the inputs that it is laid out for. It takes any number of them.

    Returns:
        The layer: inputs `(rows, inputs)` to outputs `(rows, outputs)`.
    """
    if precision == "int8":
        return Int8Linear(weight)
    weight = weight.to(getattr(torch, precision))
    if not has_packed_kernel(weight) or (precision == "float32" and rows * weight.numel() < PACKED_WORK):
        return lambda inputs: linear(inputs, weight)
    packed, kernel = torch.ops.mkldnn._reorder_linear_weight(weight, rows), torch.ops.mkldnn._linear_pointwise.default
    return lambda inputs: kernel(inputs, packed, None, "none", [], "")


def has_packed_kernel(weight: torch.Tensor) -> bool:
    """Whether oneDNN is there and has a kernel of its own for such a weight."""
    if weight.device.type != "cpu":
        return False
    has_onednn = torch.backends.mkldnn.is_available()
    if has_onednn and (weight.dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return True
    logger.warning_once(f"Generation takes longer here: oneDNN has no kernel for weights in {weight.dtype}.")
    return False


class Int8Linear:
    """Weights of eight bits, each output with a scale of its own, and inputs in bfloat16."""

    def __init__(self, weight: torch.Tensor):
        weight = pad(weight, (0, -weight.shape[1] % 16))  # the kernel reads whole vectors
        scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
        self.weight = (weight / scale).round().to(torch.int8)
        self.scale = scale.to(torch.bfloat16)

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        if (padding := self.weight.shape[1] - inputs.shape[1]) > 0:
            inputs = pad(inputs, (0, padding))
        if len(inputs) > INT8_ROWS or inputs.device.type != "cpu":
            return linear(inputs, self.weight.to(torch.bfloat16) * self.scale)
        return torch.ops.aten._weight_int8pack_mm.default(inputs, self.weight, self.scale.squeeze(1))


__all__ = ["INT8_ROWS", "PRECISIONS", "pack_linear"]
