# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Packed linear layers of any shape compute what `torch.nn.functional.linear` does, as closely as their precision allows."""

import pytest
import torch
from torch.nn.functional import linear

from hafm_hf.modeling.packed_linear_hafm import INT8_ROWS, PACKED_WORK, pack_linear


# The second is the paper's feed-forward network, whose odd inner size no kernel likes.
SHAPES = [(40, 24), (512, 1365), (1365, 512)]
TOLERANCE = {"float32": 1e-6, "bfloat16": 5e-3, "int8": 1.5e-2}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("rows", [1, 2, INT8_ROWS + 1])
def test_outputs_are_those_of_linear(shape, precision, rows):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(shape, generator=generator) * torch.rand(shape[0], 1, generator=generator)
    inputs = torch.randn(rows, shape[1], generator=generator)
    if precision != "float32":
        inputs = inputs.bfloat16()
    expected = linear(inputs.float(), weight)
    layer = pack_linear(weight, precision, rows)
    outputs = layer(inputs)
    assert outputs.dtype == inputs.dtype
    assert (outputs - expected).norm() / expected.norm() < TOLERANCE[precision]
    # Packed for so many rows, it takes others.
    torch.testing.assert_close(layer(inputs.repeat(3, 1))[:rows], outputs, rtol=2e-2, atol=2e-2)


def test_small_float32_weights_are_used_as_they_are():
    small, large = torch.ones(8, 8), torch.ones(PACKED_WORK // 512, 512)
    for weight, follows in ((small, True), (large, False)):
        layer, inputs = pack_linear(weight, "float32", 1), torch.ones(1, weight.shape[1])
        weight.zero_()
        assert (layer(inputs) == 0).all() == follows


def test_int8_keeps_outputs_of_different_size_apart():
    weight = torch.tensor([[1.0] * 16, [1000.0] * 16])
    outputs = pack_linear(weight, "int8", 1)(torch.ones(1, 16, dtype=torch.bfloat16))
    torch.testing.assert_close(outputs.float(), torch.tensor([[16.0, 16000.0]]), rtol=1e-2, atol=0)


def test_a_weight_of_zeros_stays_zero_in_int8():
    assert (pack_linear(torch.zeros(4, 16), "int8", 1)(torch.ones(1, 16, dtype=torch.bfloat16)) == 0).all()
