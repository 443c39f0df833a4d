# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A T5 learns in blocks of queries what it learns from all scores at once."""

import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from hafm_hf.evaluation.baselines import block_attention_t5
from hafm_hf.evaluation.baselines.block_attention_t5 import T5_BLOCKS


@pytest.fixture
def blocks_used(monkeypatch) -> list[int]:
    """Lengths of the sequences that were attended in blocks."""
    lengths, attend = [], block_attention_t5.block_attention_forward

    def count(module, query, *args, **kwargs):
        lengths.append(query.shape[2])
        return attend(module, query, *args, **kwargs)

    monkeypatch.setattr(block_attention_t5, "block_attention_forward", count)
    return lengths


def make_t5(dropout_rate: float = 0.0) -> T5ForConditionalGeneration:
    torch.manual_seed(0)
    shape = {"d_model": 32, "d_kv": 8, "num_heads": 4, "d_ff": 64, "num_layers": 2, "vocab_size": 50}
    return T5ForConditionalGeneration(T5Config(**shape, dropout_rate=dropout_rate, decoder_start_token_id=0)).train()


def make_batch(length: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    mask = torch.ones(3, 40, dtype=torch.long)
    mask[0, 25:] = 0
    return {
        "input_ids": torch.randint(1, 50, (3, 40)),
        "attention_mask": mask,
        "labels": torch.randint(1, 50, (3, length)),
    }


@pytest.mark.parametrize("length", [5, 128, 300])
def test_loss_and_gradients_are_those_of_all_scores_at_once(length, blocks_used):
    t5, batch, gradients, losses = make_t5(), make_batch(length), {}, {}
    for attention in ("sdpa", T5_BLOCKS):
        t5.set_attn_implementation(attention)
        t5.zero_grad()
        losses[attention] = t5(**batch).loss
        losses[attention].backward()
        gradients[attention] = {name: weight.grad.clone() for name, weight in t5.named_parameters()}
    assert blocks_used == [length, length], "each layer of the decoder, and nothing else"
    torch.testing.assert_close(losses[T5_BLOCKS], losses["sdpa"])
    bias = gradients["sdpa"]["decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
    assert bias.abs().max() > 1e-6
    for name, gradient in gradients["sdpa"].items():
        torch.testing.assert_close(gradients[T5_BLOCKS][name], gradient, rtol=1e-4, atol=1e-6)


def test_generation_and_dropout_are_left_to_sdpa(blocks_used):
    t5, batch = make_t5(dropout_rate=0.1), make_batch(20)
    del batch["labels"]
    t5.set_attn_implementation(T5_BLOCKS)
    t5(**make_batch(20)).loss.backward()
    t5.eval()
    written = t5.generate(**batch, max_new_tokens=10)
    t5.set_attn_implementation("sdpa")
    assert torch.equal(t5.generate(**batch, max_new_tokens=10), written)
    assert blocks_used == []
