# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
The steps of the fast loop on a GPU, as one CUDA graph.

A step is some hundreds of small kernels, and a GPU that is given them one by one waits for Python. Recorded once for a
window, one call starts them all. But a recording repeats to the letter what it has seen: so where a step is lies in a
tensor, each step reads the cache in its full length, with what is not there yet ruled out, and the choice of the token is
part of it.
"""

from collections.abc import Callable

import torch
from torch.nn.functional import linear
from transformers.utils import logging

from .key_value_cache_hafm import FixedCache
from .sampling_hafm import Sampler


logger = logging.get_logger(__name__)


class FixedStep:
    """
    Adds a token to each stream, by operations that are the same in every step.

    Args:
        decoder (`StageDecoder`): that has read all tokens before `index`.
        sampler (`Sampler`)
        tokens (`torch.LongTensor` of shape `(batch_size, max_length)`): the streams; calls write to them in turn.
        index: of the last token there is, BOS included.
    """

    def __init__(self, decoder, sampler: Sampler, tokens: torch.LongTensor, index: int):
        self.decoder, self.sampler, self.tokens = decoder, sampler, tokens
        self.cache = decoder.cache = FixedCache(decoder.cache)
        self.index = torch.tensor([index], device=tokens.device)
        self.slots = torch.arange(decoder.positions, device=tokens.device)
        self.heads = torch.stack(decoder.head_weights)

    def __call__(self) -> None:
        decoder, index = self.decoder, self.index
        codebook = index % len(self.heads)
        table = decoder.token_tables.index_select(0, codebook)[0]
        last = self.tokens.index_select(1, index)[:, 0]
        states = table.index_select(0, last.repeat(decoder.rows // len(last)))
        states = decoder.normalized(decoder.read_states(states, self._bias()))
        logits = linear(states, self.heads.index_select(0, codebook)[0])
        chosen = self.sampler.choose(logits, lambda: self._noise(logits.shape[-1]))
        index += 1
        self.cache.place += 1
        self.tokens.index_copy_(1, index, chosen[:, None])

    def _bias(self) -> torch.Tensor:
        """The bias `(rows or 1, num_heads, positions)` of all keys for the last token."""
        decoder, distance = self.decoder, self.cache.place - self.slots
        bias = decoder.reversed_bias[None, :, decoder.positions - 1 - distance.clamp(min=0)]
        if decoder.conditioning_bias is not None:
            frame = decoder.frame_of(self.index)[None]
            bias = decoder.conditioning_bias.put_before(bias[:, :, None], frame, slice(None))[:, :, 0]
        bias = bias.masked_fill(distance < 0, -float("inf"))
        return bias if decoder.padding is None else bias + decoder.padding

    def _noise(self, vocab_size: int) -> torch.Tensor:
        return self.sampler.noise(self.index, 1, vocab_size)[0].mul_(self.sampler.temperature)


class StepGraph:
    """
    A step that is recorded after it ran for the first time, which makes ready whatever is made at first use.

    Where it cannot be recorded it runs kernel by kernel, and says so once.
    """

    def __init__(self, step: Callable[[], None], device: torch.device):
        self.step, self.device = step, device
        self.run = self._run_and_record

    def __call__(self, index: int) -> None:
        self.run()

    def _run_and_record(self) -> None:
        self.step()
        try:
            graph = torch.cuda.CUDAGraph()
            # Of this thread alone: while one is recorded, another thread may decode what was generated before.
            with torch.cuda.device(self.device), torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self.step()
            self.run = graph.replay
        except RuntimeError as error:
            logger.warning_once(f"Generation runs without CUDA graphs, which is slower: {error}")
            self.run = self.step


__all__ = ["FixedStep", "StepGraph"]
