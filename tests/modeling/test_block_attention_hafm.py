# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Training on a CPU computes attention in blocks; losses and gradients are those of attention computed step by step."""

import copy

import pytest
import torch
from tiny_stages import MODELS, make_inputs, make_stage

from hafm_hf.modeling.block_attention_hafm import BLOCK, CausalBlockAttention


FRAMES, TOKENS = BLOCK // 2, BLOCK + 5  # blocks of several lengths
LENGTH = 2 * BLOCK + 5


def padded(stage) -> dict[str, torch.Tensor]:
    """Conditioning padded behind, tokens padded in front: the first token of a row sees nothing."""
    inputs = make_inputs(stage, tokens=TOKENS, frames=FRAMES)
    inputs |= {"attention_mask": torch.ones(3, TOKENS).long(), "conditioning_mask": torch.ones(3, FRAMES).long()}
    inputs["attention_mask"][2, :4] = 0
    inputs["conditioning_mask"][1, 2:] = 0
    return inputs


def loss_and_gradients(stage, implementation: str, inputs: dict[str, torch.Tensor]):
    model = copy.deepcopy(stage)
    model.set_attn_implementation(implementation)
    labels = inputs["input_ids"].roll(-1, dims=1) % stage.config.vocab_size
    if "attention_mask" in inputs:
        labels = labels.masked_fill(inputs["attention_mask"] == 0, -100)
    loss = model(**inputs, labels=labels).loss
    loss.backward()
    return loss.detach(), {name: parameter.grad for name, parameter in model.named_parameters()}


def unpadded(stage) -> dict[str, torch.Tensor]:
    return make_inputs(stage, tokens=TOKENS, frames=FRAMES)


@pytest.mark.parametrize("make", [padded, unpadded])
@pytest.mark.parametrize("time_bias", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_losses_and_gradients_are_those_of_eager_attention(name, time_bias, make):
    stage = make_stage(name, conditioning_time_bias=time_bias)
    inputs = make(stage)
    loss, expected = loss_and_gradients(stage, "eager", inputs)
    blockwise_loss, actual = loss_and_gradients(stage, "sdpa", inputs)
    torch.testing.assert_close(blockwise_loss, loss, rtol=1e-5, atol=0)
    for parameter, gradient in expected.items():
        torch.testing.assert_close(actual[parameter], gradient, rtol=1e-5, atol=1e-5 * gradient.abs().max().item())


def test_autocast_rounds_no_more_than_eager_attention():
    stage = make_stage("coarse")
    inputs = unpadded(stage)
    _, exact = loss_and_gradients(stage, "eager", inputs)
    errors = {}
    for implementation in ("eager", "sdpa"):
        with torch.autocast("cpu", torch.bfloat16):
            _, gradients = loss_and_gradients(stage, implementation, inputs)
        errors[implementation] = {
            name: ((gradients[name] - exact[name]).norm() / exact[name].norm()).item() for name in exact
        }
    for name, error in errors["sdpa"].items():
        assert error < 2 * errors["eager"][name] + 0.01, name


@pytest.mark.parametrize("mask_length", [LENGTH, BLOCK])
@pytest.mark.parametrize("mask_rows", [1, 2])
def test_float64_gradients_are_exact(mask_rows, mask_length):
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(3, 2, 2, LENGTH, 3, generator=generator, dtype=torch.float64)
    bias = torch.randn(mask_rows, 2, LENGTH, generator=generator, dtype=torch.float64)
    inputs = [tensor.requires_grad_() for tensor in (*states, bias)]
    query, key, value, bias = inputs
    distance = torch.arange(LENGTH)[:, None] - torch.arange(LENGTH)
    mask = torch.where(distance >= 0, bias[..., distance.clamp(min=0)], -1e4)

    expected = (query @ key.mT * 0.5 + mask).softmax(dim=-1) @ value
    actual = CausalBlockAttention.apply(query, key, value, mask[:, :, -mask_length:], 0.5)
    torch.testing.assert_close(actual, expected)
    grad = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    expected, actual = (torch.autograd.grad(output, inputs, grad, retain_graph=True) for output in (expected, actual))
    torch.testing.assert_close(actual, expected)


def test_nothing_is_kept_that_grows_with_the_square_of_the_length():
    stage = make_stage("coarse")
    inputs = make_inputs(stage, tokens=4 * BLOCK, frames=FRAMES)
    length, kept = 2 * FRAMES + 4 * BLOCK, []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()) or tensor, lambda x: x):
        stage(**inputs)
    assert max(kept) <= stage.config.num_attention_heads * BLOCK * length


def test_attention_dropout_is_heeded():
    stage = make_stage("fine", attention_dropout=0.5, conditioning_dropout=0.0).train()
    inputs = unpadded(stage)
    assert not torch.equal(stage(**inputs).logits, stage(**inputs).logits)
