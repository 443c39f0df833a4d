# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The sampler of the fast loop, by itself; that it chooses as `generate` does is in `test_decoding_hafm`."""

import pytest
import torch

from hafm_hf.modeling import sampling_hafm
from hafm_hf.modeling.generation_hafm import SeededSamplingLogitsProcessor
from hafm_hf.modeling.sampling_hafm import Sampler


ROWS, VOCAB = 3, 20
LOGITS = torch.randn(12, ROWS, VOCAB, generator=torch.Generator().manual_seed(0))


def sample(first: int = 0, **settings) -> torch.Tensor:
    """Tokens from the first index on, one after the other."""
    seeds = torch.arange(ROWS)
    noise = SeededSamplingLogitsProcessor(seeds, torch.zeros_like(seeds)).noise
    sampler = Sampler(**{"guidance_scale": None, "temperature": 1.0, "top_k": 0} | settings, noise=noise)
    return torch.stack([sampler(logits, index) for index, logits in enumerate(LOGITS[first:], first)])


@pytest.mark.parametrize("tokens", [0, 1, 5])
def test_noise_in_blocks_is_the_same_noise(monkeypatch, tokens):
    expected = sample()
    monkeypatch.setattr(sampling_hafm, "NOISE_VALUES", tokens * ROWS * VOCAB)
    assert torch.equal(sample(), expected)


def test_tokens_depend_on_their_index_alone():
    assert torch.equal(sample(first=5), sample()[5:])


def test_no_token_is_beyond_the_likeliest():
    chosen = sample(top_k=3, temperature=100.0)
    ranks = (LOGITS.gather(-1, chosen[..., None]) < LOGITS).sum(-1)
    assert set(ranks.flatten().tolist()) == {0, 1, 2}


def test_a_low_temperature_takes_the_likeliest():
    assert torch.equal(sample(temperature=1e-6), LOGITS.argmax(-1))
    assert torch.equal(sample(temperature=None), LOGITS.argmax(-1))
    assert not torch.equal(sample(), LOGITS.argmax(-1))
