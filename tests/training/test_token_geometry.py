# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Stages that start from the tokenizer: embeddings keep the distances of what the tokens stand for, at the usual scale."""

import pytest
import torch
from tiny_checkpoint import SHAPE, make_processor

from hafm_hf.training import STAGES
from hafm_hf.training.token_geometry import project, start_from_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return make_processor().audio_tokenizer


def stage(name, **config):
    torch.manual_seed(0)
    return STAGES[name](STAGES[name].config_class(**(SHAPE | {"hidden_size": 256} | config)))


def distances(vectors):
    return torch.pdist(vectors.detach().float())


def agreement(table, vectors):
    return torch.corrcoef(torch.stack([distances(table[:100]), distances(vectors[:100])]))[0, 1]


@pytest.mark.parametrize("name, first_codebook", [("coarse", 0), ("fine", 4)])
def test_tokens_and_heads_lie_as_the_codes_do(tokenizer, name, first_codebook):
    model = stage(name)
    start_from_tokenizer(model, tokenizer)
    tables = model.get_input_embeddings().weight.unflatten(0, (4, 1025))
    for q in range(4):
        codes = tokenizer.acoustic_model.quantizer.layers[first_codebook + q].codebook.embed
        assert agreement(tables[q], codes) > 0.9
        assert agreement(model.lm_heads[q].weight, codes) > 0.9
        assert tables[q, :-1].std().item() == pytest.approx(model.config.initializer_range, rel=1e-3)


def test_conditioning_lies_as_the_centroids_do(tokenizer):
    model = stage("semantic")
    masks = {name: table.weight[-1].clone() for name, table in model.embeddings.conditioning.items()}
    start_from_tokenizer(model, tokenizer)
    for name, table in model.embeddings.conditioning.items():
        assert agreement(table.weight, tokenizer.centroids) > 0.9
        assert torch.equal(table.weight[-1], masks[name])  # the mask token is no sound


def test_another_vocabulary_is_an_error(tokenizer):
    with pytest.raises(ValueError, match="knows 512 tokens but the audio tokenizer 1024"):
        start_from_tokenizer(stage("coarse", vocab_size=512), tokenizer)


def test_a_projection_has_the_scale_asked_for():
    projected = project(torch.randn(50, 8) * 300 + 7, 64, 0.02)
    assert projected.shape == (50, 64) and projected.std().item() == pytest.approx(0.02)
