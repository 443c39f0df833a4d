# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The model computes the paper's equations: it agrees with `reference_hafm`, which writes them out row by row."""

import numpy as np
import pytest
import tiny_stages
import torch
from reference_hafm import ReferenceStage
from transformers.models.t5.modeling_t5 import T5Attention

from hafm_hf.modeling.modeling_hafm import HafmRelativePositionBias


STAGES = ("semantic", "coarse", "fine")
# Conditioning and tokens together are longer than the exact buckets reach and than `relative_attention_max_distance`.
FRAMES, TOKENS = 24, 41


def make_stage(name: str, **config):
    codebooks = {"num_codebooks": 3, "conditioning_num_codebooks": 2} if name == "fine" else {}
    shape = {"num_attention_heads": 3, "head_dim": 10}
    buckets = {"relative_attention_num_buckets": 32, "relative_attention_max_distance": 50}
    return tiny_stages.make_stage(name, **codebooks | shape | buckets | config)


def make_inputs(model):
    """Three rows: tokens from BOS on, and conditioning as the model takes it."""
    conditioning = tiny_stages.make_inputs(model, rows=3, tokens=TOKENS, frames=FRAMES)
    return conditioning.pop("input_ids"), conditioning


def reference_row(conditioning: dict[str, torch.Tensor], row: int, keep=slice(None)) -> dict[str, np.ndarray]:
    return {source: np.atleast_2d(ids[row].numpy())[:, keep] for source, ids in conditioning.items()}


def assert_same(actual: torch.Tensor, expected: np.ndarray):
    """Equal to 1e-5 of the largest logit."""
    assert np.abs(expected).max() > 0.5
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("time_bias", [False, True])
@pytest.mark.parametrize("attn_implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("name", STAGES)
def test_logits(name, attn_implementation, time_bias):
    model = make_stage(name, attn_implementation=attn_implementation, conditioning_time_bias=time_bias)
    tokens, conditioning = make_inputs(model)
    reference = ReferenceStage(model)
    expected = [reference.logits(tokens[row].tolist(), reference_row(conditioning, row)) for row in range(3)]
    assert_same(model(input_ids=tokens, **conditioning).logits, np.array(expected))


@pytest.mark.parametrize("time_bias", [False, True])
@pytest.mark.parametrize("name", STAGES)
def test_padding_of_the_conditioning_has_no_effect(name, time_bias):
    model = make_stage(name, conditioning_time_bias=time_bias)
    tokens, conditioning = make_inputs(model)
    mask = torch.ones(3, FRAMES, dtype=torch.long)
    mask[0, 15:] = 0
    mask[1, :4] = 0
    reference = ReferenceStage(model)
    expected = [
        reference.logits(tokens[row].tolist(), reference_row(conditioning, row, mask[row].numpy() == 1))
        for row in range(3)
    ]
    assert_same(model(input_ids=tokens, conditioning_mask=mask, **conditioning).logits, np.array(expected))


@pytest.mark.parametrize("mode", ["zeros", "mask_token"])
@pytest.mark.parametrize("name", STAGES)
def test_dropped_conditioning(name, mode):
    model = make_stage(name, conditioning_dropout_mode=mode)
    tokens, conditioning = make_inputs(model)
    reference = ReferenceStage(model)
    dropped = torch.tensor([True, False, True])
    expected = [
        reference.logits(tokens[row].tolist(), reference_row(conditioning, row), dropped=bool(dropped[row]))
        for row in range(3)
    ]
    assert_same(model(input_ids=tokens, drop_conditioning=dropped, **conditioning).logits, np.array(expected))


@pytest.mark.parametrize("name", STAGES)
def test_loss_is_the_mean_over_each_codebook_then_over_codebooks(name):
    model = make_stage(name)
    tokens, conditioning = make_inputs(model)
    labels = tokens.roll(-1, dims=1)
    labels[:, -1] = 3
    labels[0, 30:] = -100
    labels[1, ::3] = -100  # not alike in all codebooks
    expected = ReferenceStage(model).loss(labels.tolist(), [reference_row(conditioning, row) for row in range(3)])
    assert model(labels=labels, **conditioning).loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", STAGES)
def test_every_step_of_guided_generation(name):
    """Equation 5, token by token: cached steps, a padded batch of conditional and unconditional rows, active heads."""
    model = make_stage(name)
    _, conditioning = make_inputs(model)
    mask = torch.ones(3, FRAMES, dtype=torch.long)
    mask[1, 15:] = 0
    steps = 10
    output = model.generate(
        **conditioning,
        conditioning_mask=mask,
        max_new_tokens=steps,
        do_sample=False,
        guidance_scale=2.5,
        return_dict_in_generate=True,
        output_scores=True,
    )
    reference = ReferenceStage(model)
    expected = [
        reference.guided_logits(
            output.sequences[row, :steps].tolist(), reference_row(conditioning, row, mask[row].numpy() == 1), 2.5
        )
        for row in range(3)
    ]
    assert_same(torch.stack(output.scores, dim=1), np.array(expected))


@pytest.mark.parametrize("num_buckets", [8, 32])
@pytest.mark.parametrize("max_distance", [50, 1000, 1125, 2000])  # the last three: the stages of the paper
def test_buckets_are_those_of_t5_and_of_the_reference(num_buckets, max_distance):
    model = make_stage(
        "semantic", relative_attention_num_buckets=num_buckets, relative_attention_max_distance=max_distance
    )
    distances = torch.arange(2500)
    buckets = HafmRelativePositionBias(model.config).bucket(distances)
    t5 = T5Attention._relative_position_bucket(
        -distances, bidirectional=False, num_buckets=num_buckets, max_distance=max_distance
    )
    assert torch.equal(buckets, t5)
    reference = ReferenceStage(model)
    assert buckets.tolist() == [reference.bucket(distance) for distance in range(2500)]
