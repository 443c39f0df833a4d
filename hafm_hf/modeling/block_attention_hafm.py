# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
Training with a learned mask on a CPU: attention in blocks of queries.

PyTorch's fused kernel for the CPU has no gradient for its mask, so PyTorch would compute, and keep, all scores at once.
"""

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs


# Queries at a time: the scores of so many, of one row of the batch, stay in the cache of a core.
BLOCK = 128


def block_attention_applies(query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor, dropout: float) -> bool:
    """Whether the mask learns, and this is a whole sequence on a CPU."""
    on_cpu = query.device.type == "cpu" and not torch.compiler.is_compiling()
    return on_cpu and mask.requires_grad and query.shape == key.shape and dropout == 0


def block_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float,
    **kwargs: Unpack[TransformersKwargs],
):
    """As transformers' attention functions. The mask must be causal."""
    if torch.is_autocast_enabled("cpu"):
        query, key, value = (states.to(torch.get_autocast_dtype("cpu")) for states in (query, key, value))
    attn_output = CausalBlockAttention.apply(query, key, value, attention_mask, scaling)
    return attn_output.transpose(1, 2).contiguous(), None


class CausalBlockAttention(torch.autograd.Function):
    """
    Softmax attention with a gradient for the mask, over blocks of queries and the keys up to their last one.

    The weights are computed again for the gradients instead of kept, as in FlashAttention (Dao et al., 2022).

    Args:
        query, key, value (`torch.Tensor` of shape `(batch_size, num_heads, length, head_dim)`)
        mask (`torch.Tensor` of shape `(batch_size or 1, num_heads, length, length)`):
            Added to the scaled scores. It must rule out all keys after their query: most are not even looked at.
        scaling (`float`)
    """

    @staticmethod
    def forward(ctx, query, key, value, mask, scaling):
        ctx.save_for_backward(query, key, value, mask)
        ctx.scaling = scaling
        output = torch.empty_like(query)
        for row, queries, keys, weights in weight_blocks(query, key, mask, scaling):
            output[row, :, queries] = weights @ value[row, :, keys]
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, output_grad):
        query, key, value, mask = ctx.saved_tensors
        query_grad, mask_grad = torch.empty_like(query), torch.zeros_like(mask)
        key_grad, value_grad = (torch.zeros_like(states, dtype=torch.float32) for states in (key, value))
        for row, queries, keys, weights in weight_blocks(query, key, mask, ctx.scaling):
            grad = output_grad[row, :, queries]
            value_grad[row, :, keys] += weights.mT @ grad
            scores_grad = torch._softmax_backward_data(grad @ value[row, :, keys].mT, weights, -1, weights.dtype)
            mask_grad[row % len(mask), :, queries, keys] += scores_grad
            query_grad[row, :, queries] = scores_grad @ key[row, :, keys]
            key_grad[row, :, keys] += scores_grad.mT @ query[row, :, queries]
        query_grad.mul_(ctx.scaling), key_grad.mul_(ctx.scaling)
        return query_grad, key_grad.to(key.dtype), value_grad.to(value.dtype), mask_grad, None


def weight_blocks(query, key, mask, scaling):
    """Yields a row of the batch, slices of queries and of the keys they may see, and their attention weights."""
    for start in range(0, query.shape[2], BLOCK):
        queries, keys = slice(start, start + BLOCK), slice(0, start + BLOCK)
        block_mask = mask[:, :, queries, keys].to(query.dtype)
        for row in range(query.shape[0]):
            scores = torch.baddbmm(
                block_mask[row % len(mask)], query[row, :, queries], key[row, :, keys].mT, alpha=scaling
            )
            yield row, queries, keys, scores.softmax(dim=-1)


__all__ = ["block_attention_applies", "block_attention_forward"]
