# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A checkpoint on disk keeps loading and keeps its meaning: the same logits and, from the same seed, the same codes."""

import pytest
import torch
from make_golden import GOLDEN, make_codes, make_logits
from safetensors.torch import load_file

from hafm_hf.modeling.modeling_hafm import HafmModel


@pytest.fixture(scope="module")
def model() -> HafmModel:
    return HafmModel.from_pretrained(GOLDEN).eval()


@pytest.fixture(scope="module")
def examples() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "examples.safetensors")


def test_the_checkpoint_holds_every_weight(model):
    assert set(load_file(GOLDEN / "model.safetensors")) == set(model.state_dict())


def test_logits_and_losses(model, examples):
    for name, value in make_logits(model, examples).items():
        assert (value - examples[name]).abs().max() <= 1e-5 * examples[name].abs().max(), name


def test_codes(model, examples):
    for name, value in make_codes(model, examples).items():
        assert torch.equal(value, examples[name]), name
