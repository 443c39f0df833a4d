# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Muon beside AdamW: who trains what, under one schedule, and a state that is saved and taken up again."""

import copy

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR
from training.clips import stage_config

from hafm_hf.training import STAGES
from hafm_hf.training.muon import MuonWithAdamW


SETTINGS = {"muon_lr": 0.02, "lr": 2e-3, "betas": (0.9, 0.98), "eps": 1e-8, "weight_decay": 0.01}


@pytest.fixture
def stage():
    torch.manual_seed(0)
    return STAGES["coarse"](stage_config("coarse"))


def learn(stage, optimizer, steps: int) -> None:
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        for parameter in stage.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()


def test_every_weight_is_trained_by_one_of_the_two(stage):
    optimizer = MuonWithAdamW(stage, **SETTINGS)
    of_muon = {id(p) for p in optimizer.parts[0].param_groups[0]["params"]}
    names = {name for name, parameter in stage.named_parameters() if id(parameter) in of_muon}
    linear = ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj")
    layers = range(stage.config.num_hidden_layers)
    assert names == {f"decoder.layers.{layer}.{name}.weight" for layer in layers for name in linear}
    everything = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(everything) == sorted(id(p) for p in stage.parameters())


def test_a_step_of_muon_does_not_depend_on_the_size_of_the_gradient(stage):
    other = copy.deepcopy(stage)
    for model, scale in ((stage, 1.0), (other, 1000.0)):
        optimizer = MuonWithAdamW(model, **SETTINGS)
        for parameter in model.parameters():
            parameter.grad = scale * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
        optimizer.step()
    for name, weight in stage.named_parameters():
        torch.testing.assert_close(other.get_parameter(name), weight, rtol=0, atol=1e-3)


def test_one_schedule_moves_both(stage):
    optimizer = MuonWithAdamW(stage, **SETTINGS)
    before = {name: weight.clone() for name, weight in stage.named_parameters()}
    LambdaLR(optimizer, lambda step: 0.0)
    learn(stage, optimizer, 1)
    assert all(torch.equal(weight, before[name]) for name, weight in stage.named_parameters())


def test_a_loaded_state_goes_on_as_the_saved_one(stage):
    optimizer = MuonWithAdamW(stage, **SETTINGS)
    learn(stage, optimizer, 2)
    resumed = copy.deepcopy(stage)
    continued = MuonWithAdamW(resumed, **SETTINGS)
    continued.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    learn(stage, optimizer, 2)
    learn(resumed, continued, 2)
    for name, weight in stage.named_parameters():
        assert torch.equal(resumed.get_parameter(name), weight), name


def test_a_closure_is_refused(stage):
    with pytest.raises(ValueError, match="takes no closure"):
        MuonWithAdamW(stage, **SETTINGS).step(lambda: 0.0)
