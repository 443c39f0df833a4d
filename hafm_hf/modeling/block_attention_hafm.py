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


def block_attention_applies(states: torch.Tensor, key_length: int) -> bool:
    """Whether gradients are wanted, and `states` `(batch_size, length, hidden_size)` are a whole sequence on a CPU."""
    on_cpu = states.device.type == "cpu" and not torch.compiler.is_compiling()
    return on_cpu and torch.is_grad_enabled() and states.shape[1] == key_length


def block_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float,
    **kwargs: Unpack[TransformersKwargs],
):
    """As transformers' attention functions, with a mask as `CausalBlockAttention` takes it."""
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
        mask (`torch.Tensor` of shape `(batch_size or 1, num_heads, length or BLOCK, length)`):
            Added to the scaled scores. It must rule out all keys after their query: most are not even looked at. That of
            the last `BLOCK` queries is enough where it depends on distances alone: it holds, shifted, for all queries.
        scaling (`float`)
    """

    @staticmethod
    def forward(ctx, query, key, value, mask, scaling):
        ctx.save_for_backward(query, key, value, mask)
        ctx.scaling = scaling
        output = torch.empty_like(query)
        for queries, keys, _, weights in weight_blocks(query, key, mask, scaling):
            output[queries] = weights @ value[keys]
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, output_grad):
        query, key, value, mask = ctx.saved_tensors
        query_grad, mask_grad = torch.empty_like(query), torch.zeros_like(mask)
        precise = torch.promote_types(query.dtype, torch.float32)
        key_grad, value_grad = (torch.zeros_like(states, dtype=precise) for states in (key, value))
        for queries, keys, scores, weights in weight_blocks(query, key, mask, ctx.scaling):
            grad = output_grad[queries]
            add_product(value_grad[keys], weights.mT, grad)
            scores_grad = torch._softmax_backward_data(grad @ value[keys].mT, weights, -1, weights.dtype)
            mask_grad[scores] += scores_grad
            query_grad[queries] = scores_grad @ key[keys]
            add_product(key_grad[keys], scores_grad.mT, query[queries])
        query_grad.mul_(ctx.scaling), key_grad.mul_(ctx.scaling)
        return query_grad, key_grad.to(key.dtype), value_grad.to(value.dtype), mask_grad, None


def weight_blocks(query, key, mask, scaling):
    """Yields indices of a block in `query`, of the keys it may see in `key`, and of both in `mask`; and their weights."""
    length = query.shape[2]
    for stop in range(length, 0, -BLOCK):
        start = max(0, stop - BLOCK)
        if mask.shape[2] == length:
            part = (slice(None), slice(start, stop), slice(0, stop))
        else:  # counted from the end, the mask of the last block is that of this one
            part = (slice(None), slice(start - stop, None), slice(-stop, None))
        block_mask = mask[:, *part].to(query.dtype)
        for row in range(len(query)):
            queries, keys = (row, slice(None), slice(start, stop)), (row, slice(None), slice(0, stop))
            scores = torch.baddbmm(block_mask[row % len(mask)], query[queries], key[keys].mT, alpha=scaling)
            yield queries, keys, (row % len(mask), *part), scores.softmax(dim=-1)


def add_product(total: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
    if total.dtype == left.dtype:
        total.baddbmm_(left, right)
    else:
        total += left @ right


__all__ = ["BLOCK", "block_attention_applies", "block_attention_forward"]
