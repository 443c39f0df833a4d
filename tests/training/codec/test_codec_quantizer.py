# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The quantizer in training computes what transformers' computes in use, and its codebooks come to be used."""

import pytest
import torch
from transformers import EncodecConfig, EncodecModel

from hafm_hf.training.codec.quantizer import initialize_codebooks, perplexity, quantize


@pytest.fixture
def quantizer():
    torch.manual_seed(0)
    config = EncodecConfig(codebook_size=16, codebook_dim=8, hidden_size=8, num_filters=4, target_bandwidths=[1.2])
    quantizer = EncodecModel(config).quantizer
    for layer in quantizer.layers:
        torch.nn.init.normal_(layer.codebook.embed)
        layer.codebook.embed_avg.copy_(layer.codebook.embed)
        layer.codebook.cluster_size.fill_(1.0)
    return quantizer


def decode(quantizer, latents, num_codebooks):
    """As transformers does."""
    return quantizer.decode(quantizer.encode(latents)[:num_codebooks])


@pytest.mark.parametrize("num_codebooks", [1, 3])
def test_quantizing_is_that_of_transformers(quantizer, num_codebooks):
    latents = torch.randn(2, 8, 20)
    expected = decode(quantizer, latents, num_codebooks)
    quantized, commitment = quantize(quantizer, latents, num_codebooks)
    torch.testing.assert_close(quantized, expected)
    assert commitment > 0


def test_gradients_pass_as_if_nothing_was_quantized(quantizer):
    latents = torch.randn(2, 8, 20, requires_grad=True)
    quantized, _ = quantize(quantizer, latents, 3)
    weights = torch.randn_like(quantized)
    (quantized * weights).sum().backward()
    torch.testing.assert_close(latents.grad, weights)


def test_commitment_draws_latents_to_their_codes(quantizer):
    latents = torch.randn(2, 8, 20, requires_grad=True)
    quantized, commitment = quantize(quantizer, latents, 1)
    commitment.backward()
    towards = quantized.detach() - latents.detach()
    assert torch.nn.functional.cosine_similarity((-latents.grad).flatten(), towards.flatten(), dim=0) > 0.999


def test_dead_codes_come_to_life(quantizer):
    torch.manual_seed(1)
    for layer in quantizer.layers:
        layer.codebook.embed[1:] += 100.0
        layer.codebook.embed_avg.copy_(layer.codebook.embed)
    latents = torch.randn(8, 8, 50)
    before = perplexity(quantizer.encode(latents).transpose(0, 1), 16)
    for _ in range(400):
        quantize(quantizer, torch.randn(8, 8, 50), len(quantizer.layers))
    after = perplexity(quantizer.encode(latents).transpose(0, 1), 16)
    assert before[0] == 1 and min(after) > 10


def test_each_codebook_takes_away_from_the_error(quantizer):
    latents = torch.randn(4000, 8)
    initialize_codebooks(quantizer, latents, fair_use=10.0, seed=0)
    frames = latents.T[None]
    errors = [
        (decode(quantizer, frames, count) - frames).square().mean() for count in range(1, len(quantizer.layers) + 1)
    ]
    assert errors[0] < latents.var() and all(
        later < earlier for earlier, later in zip(errors, errors[1:], strict=False)
    )


def test_perplexity_counts_codes_in_use():
    codes = torch.stack([torch.arange(64) % 16, torch.zeros(64, dtype=torch.long), torch.arange(64) % 2])[None]
    assert perplexity(codes, 16) == pytest.approx([16, 1, 2])
