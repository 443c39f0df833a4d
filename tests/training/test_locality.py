# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Stages that start local: the position bias falls with distance, in time for the conditioning, faster in some heads."""

import pytest
import torch
from training.clips import stage_config

from hafm_hf.training import STAGES
from hafm_hf.training.locality import start_local
from hafm_hf.training.recipes import Recipe
from hafm_hf.training.run import start


def stage(**config):
    return STAGES["coarse"](stage_config("coarse", window_seconds=2.0, **config))


@torch.no_grad()
def test_the_bias_falls_with_distance_and_fastest_in_the_first_head():
    model = stage(num_attention_heads=4)
    start_local(model)
    length = model.config.relative_attention_max_distance
    bias = model.decoder.relative_position_bias(torch.tensor([[length - 1]]), torch.arange(length)[None])[
        0, :, 0
    ].flip(-1)
    assert (bias[:, 0] == 0).all()
    assert (bias.diff(dim=-1) <= 0).all()
    assert (bias[:, 5:].diff(dim=0) > 0).all()


@torch.no_grad()
def test_conditioning_that_sounds_with_the_token_is_nearest():
    model = stage(conditioning_time_bias=True)
    start_local(model)
    tokens, frames = 4 * 75 + 1, 100
    timeline = model._timeline(2 * frames, torch.arange(tokens)[None], None, None, None)
    bias = model.decoder.conditioning_bias(timeline)[0, 0, -1]  # of the token at one second
    for source in range(2):
        assert bias[source * frames : (source + 1) * frames].argmax() == 50
    torch.testing.assert_close(bias[40], bias[60])


def test_the_start_is_a_start_and_learns_on():
    model = stage(conditioning_time_bias=True)
    start_local(model)
    biases = (model.decoder.relative_position_bias, model.decoder.conditioning_bias)
    assert all(bias.relative_attention_bias.weight.requires_grad for bias in biases)


def test_what_is_no_stage_of_hafm_cannot_start_local():
    recipe = Recipe(stage="seq2seq", train_data="data", training={}, start_local=True)
    with pytest.raises(ValueError, match="are for HAFM's own stages; a seq2seq has neither"):
        start(None, recipe, None)
