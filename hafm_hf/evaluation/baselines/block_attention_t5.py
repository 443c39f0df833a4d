# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Training a T5's decoder on a CPU: its causal self-attention, whose position bias is learnt, in blocks of queries."""

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from ...modeling.block_attention_hafm import BLOCK, block_attention_applies, block_attention_forward
from ...modeling.modeling_hafm import MASKED


T5_BLOCKS = "sdpa_t5_blocks"


def t5_block_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    position_bias: torch.Tensor | None = None,
    **kwargs,
) -> tuple[torch.Tensor, None]:
    """As transformers' attention functions; "sdpa" but for a decoder that reads a whole target, without padding, to learn."""
    whole = block_attention_applies(query.transpose(1, 2), key.shape[2])
    if not (module.is_causal and whole and dropout == 0):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, position_bias=position_bias, **kwargs
        )
    # The bias is one of distances, so that of the last block of queries holds for every block.
    positions = torch.arange(key.shape[2], device=key.device)
    future = positions > positions[-BLOCK:, None]
    bias = position_bias[:, :, -BLOCK:].masked_fill(future, MASKED)
    return block_attention_forward(module, query, key, value, bias, scaling)


AttentionInterface.register(T5_BLOCKS, t5_block_attention_forward)
AttentionMaskInterface.register(T5_BLOCKS, sdpa_mask)
