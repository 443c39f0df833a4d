# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The choice of the next tokens in the fast loop of `generate`."""

from collections.abc import Callable

import torch


# Random numbers drawn at a time: they stay in the cache of a core.
NOISE_VALUES = 2**17


class Sampler:
    """
    Next tokens from logits: the logits processors of `generate` in a few operations.

    Args:
        guidance_scale: of rows that are first all conditional, then all unconditional; `None` without the latter.
        temperature, top_k: of sampling; `None` takes the likeliest token, 0 filters nothing.
        noise: takes the index of the first token to predict, a number of tokens and the vocabulary's size, and returns
            Gumbel noise `(tokens, batch_size, vocab_size)`.
    """

    def __init__(self, guidance_scale: float | None, temperature: float | None, top_k: int, noise: Callable):
        self.guidance_scale, self.temperature, self.top_k, self.noise = guidance_scale, temperature, top_k, noise
        self.first, self.block = 0, ()

    def __call__(self, logits: torch.FloatTensor, index: int) -> torch.LongTensor:
        """Token `index` (0 for the first after BOS) of each sample from its logits `(rows, vocab_size)`."""
        return self.choose(logits, lambda: self._noise(index, logits))

    def choose(self, logits: torch.FloatTensor, noise: Callable[[], torch.FloatTensor]) -> torch.LongTensor:
        """The same with what `noise`, called where tokens are drawn, returns: `(batch_size, vocab_size)`."""
        if self.guidance_scale is not None:
            conditional, unconditional = logits.chunk(2)
            logits = torch.lerp(unconditional, conditional, self.guidance_scale)
        if self.temperature is None:
            return logits.argmax(dim=-1)
        if 0 < self.top_k < logits.shape[-1]:
            logits = logits.masked_fill(logits < logits.topk(self.top_k).values[:, -1:], -float("inf"))
        return (logits + noise()).argmax(dim=-1)

    def _noise(self, index: int, logits: torch.FloatTensor) -> torch.FloatTensor:
        if not 0 <= index - self.first < len(self.block):
            count = max(NOISE_VALUES // logits.numel(), 1)
            self.first, self.block = index, self.noise(index, count, logits.shape[-1]).mul_(self.temperature).unbind()
        return self.block[index - self.first]


__all__ = ["Sampler"]
