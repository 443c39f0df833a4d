# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Training on a CPU computes attention in blocks; losses and gradients are those of attention computed step by step."""

import copy

import pytest
import torch
from tiny_stages import MODELS, make_inputs, make_stage

from hafm_hf.modeling.block_attention_hafm import BLOCK


FRAMES, TOKENS = BLOCK // 2, BLOCK + 5  # blocks of several lengths


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


@pytest.mark.parametrize("make", [padded, lambda stage: make_inputs(stage, tokens=TOKENS, frames=FRAMES)])
@pytest.mark.parametrize("name", MODELS)
def test_losses_and_gradients_are_those_of_eager_attention(name, make):
    stage = make_stage(name)
    inputs = make(stage)
    loss, expected = loss_and_gradients(stage, "eager", inputs)
    blockwise_loss, actual = loss_and_gradients(stage, "sdpa", inputs)
    torch.testing.assert_close(blockwise_loss, loss, rtol=1e-5, atol=0)
    for parameter, gradient in expected.items():
        torch.testing.assert_close(actual[parameter], gradient, rtol=1e-5, atol=1e-5 * gradient.abs().max().item())


def test_autocast_rounds_no_more_than_eager_attention():
    stage = make_stage("coarse")
    inputs = make_inputs(stage, tokens=TOKENS, frames=FRAMES)
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
