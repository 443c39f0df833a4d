# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Training on a CPU normalises as PyTorch does, and keeps less for it."""

import pytest
import torch
from torch.nn.functional import rms_norm

from hafm_hf.modeling.modeling_hafm import HafmRMSNorm
from hafm_hf.modeling.rms_norm_hafm import LeanRMSNorm


def make_states(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    states = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    states[0] *= 1e-3  # where `eps` counts
    return states.to(dtype).requires_grad_()


def make_norm(size: int) -> HafmRMSNorm:
    norm = HafmRMSNorm(size)
    torch.nn.init.uniform_(norm.weight, 0.5, 2, generator=torch.Generator().manual_seed(1))
    return norm


@pytest.mark.parametrize("shape", [(2, 5, 12), (2, 5, 3, 8), (7, 16)])
def test_outputs_and_gradients_are_those_of_pytorch(shape):
    norm, states = make_norm(shape[-1]), make_states(*shape)
    grad = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    expected = rms_norm(states, norm.weight.shape, norm.weight, norm.variance_epsilon)
    actual = norm(states)
    assert type(actual.grad_fn).__name__ == "LeanRMSNormBackward"
    torch.testing.assert_close(actual, expected)
    for inputs in (states, norm.weight):
        torch.testing.assert_close(*(torch.autograd.grad(out, inputs, grad, True)[0] for out in (actual, expected)))


def test_float64_gradients_are_exact():
    states, weight = make_states(3, 2, 6, dtype=torch.float64), make_norm(6).weight.double().detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda *inputs: LeanRMSNorm.apply(*inputs, 1e-6), (states, weight))


def test_no_second_tensor_of_the_size_of_the_input_is_kept():
    norm, states, kept = make_norm(64), make_states(10, 64), []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda x: x):
        norm(states)
    large = [tensor for tensor in kept if tensor.numel() >= states.numel()]
    assert len(large) == 1 and large[0].data_ptr() == states.data_ptr()


def test_lower_precision_is_left_to_pytorch():
    norm, states = make_norm(12), make_states(4, 12, dtype=torch.bfloat16)
    expected = rms_norm(states, norm.weight.shape, norm.weight.bfloat16(), norm.variance_epsilon)
    assert torch.equal(norm(states), expected)
