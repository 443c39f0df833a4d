# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
The fast loop of `generate`: what `modeling_hafm` computes, arranged for one token at a time.

Weights are laid out for the machine, caches allocated once for the whole window, and a step is a few dozen operations on
them. What does not depend on the tokens is done before: the gains of the norms are part of the weights, embeddings that
always come together are summed, and the position bias of a step is a slice of one row.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from .packed_linear_hafm import INT8_ROWS, pack_linear


# Positions, over all rows, that run through the layers together before the first step: they bound its memory.
PREFILL_POSITIONS = 4096
# Random numbers drawn at a time: they stay in the cache of a core.
NOISE_VALUES = 2**17


class PackedLayer(NamedTuple):
    qkv: Callable[[torch.Tensor], torch.Tensor]
    out: Callable[[torch.Tensor], torch.Tensor]
    gate_up: Callable[[torch.Tensor], torch.Tensor]
    down: Callable[[torch.Tensor], torch.Tensor]
    query_gain: torch.Tensor


class StageDecoder:
    """
    A stage that reads from left to right, with its weights and caches for one window.

    Args:
        stage (`HafmStageModel`)
        rows: read together; with guidance twice the batch.
        positions: of conditioning and tokens together, at most.
        precision: of weights and caches, "float32", "bfloat16" or "int8" (weights; caches in bfloat16). The residual
            stream, the softmax and the logits are in float32 with all of them.
    """

    def __init__(self, stage, rows: int, positions: int, precision: str):
        config, device = stage.config, stage.device
        if precision == "int8" and rows > INT8_ROWS:
            precision = "bfloat16"
        self.dtype = torch.float32 if precision == "float32" else torch.bfloat16
        self.layers = [pack_layer(layer, precision, rows) for layer in stage.decoder.layers]
        self.heads = [pack(head, "float32", rows, stage.decoder.norm) for head in stage.lm_heads]
        self.activation = stage.decoder.layers[0].mlp.act_fn
        self.token_tables = token_tables(stage)
        self.times = times(stage, positions)
        self.reversed_bias = reversed_bias(stage, positions)
        epsilon = torch.tensor(config.rms_norm_eps, device=device)
        self.epsilon, self.head_epsilon = (epsilon * config.hidden_size).sqrt(), (epsilon * config.head_dim).sqrt()

        layers, heads, size = config.num_hidden_layers, config.num_attention_heads, config.head_dim
        # As the products of queries and keys, and of weights and values, read them: along the last dimension.
        self.keys = torch.empty(layers, rows, heads, size, positions, dtype=self.dtype, device=device)
        self.values = torch.empty(layers, rows, heads, positions, size, dtype=self.dtype, device=device)
        self.positions, self.filled, self.padding = positions, 0, None
        # Where a step keeps what it computes of each layer in turn, without looking for memory and making views of it.
        self.projected = torch.empty(rows, 3, heads, size, device=device)
        self.head_lengths = torch.empty(rows, 2, heads, 1, device=device)
        self.query = torch.empty(rows, heads, size, dtype=self.dtype, device=device)
        self.attended = torch.empty(rows * heads, 1, size, dtype=self.dtype, device=device)

    def read(self, embeddings: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """
        Reads several positions at once.

        Args:
            embeddings (`torch.Tensor` of shape `(batch_size, length, hidden_size)`):
                Of the first rows; the last of them stands for all the rows after it as well.
            mask (`torch.BoolTensor` of shape `(rows, length)`, *optional*):
                False for padding, which comes before everything else in a row.

        Returns:
            `torch.Tensor` of shape `(batch_size, hidden_size)`, the last position's.
        """
        batch_size, length, _ = embeddings.shape
        start, end = self.filled, self.filled + length
        if mask is not None:
            self.padding = torch.zeros(len(mask), 1, self.positions, device=mask.device)
            self.padding[:, 0, :length].masked_fill_(~mask, torch.finfo(torch.float32).min)
        together = max(PREFILL_POSITIONS // length, 1)
        last = [
            self._read_rows(slice(first, min(first + together, batch_size)), embeddings[first : first + together])
            for first in range(0, batch_size, together)
        ]
        self.keys[:, batch_size:, ..., start:end] = self.keys[:, batch_size - 1, None, ..., start:end]
        self.values[:, batch_size:, :, start:end] = self.values[:, batch_size - 1, None, :, start:end]
        self.filled = end
        return torch.cat(last)

    def _read_rows(self, rows: slice, embeddings: torch.Tensor) -> torch.Tensor:
        batch_size, length, _ = embeddings.shape
        start, end = self.filled, self.filled + length
        positions = torch.arange(end, device=embeddings.device)
        distance = positions[start:, None] - positions
        bias = self.reversed_bias[:, self.positions - 1 - distance.clamp(min=0)]
        bias = bias.masked_fill(distance < 0, torch.finfo(torch.float32).min)[None]
        if self.padding is not None:
            bias = bias + self.padding[rows, None, :, :end]

        states = embeddings.flatten(0, 1).float()
        for index, layer in enumerate(self.layers):
            projected = layer.qkv(self._normalized(states)).float().unflatten(0, (batch_size, length))
            query, key, value = projected.unflatten(2, (3, *self.query.shape[1:])).permute(2, 0, 3, 1, 4)
            keys, values = self.keys[index, rows], self.values[index, rows]
            keys[..., start:end] = (key / lengths(key, self.head_epsilon)).mT
            values[..., start:end, :] = value
            attended = scaled_dot_product_attention(
                query / lengths(query, self.head_epsilon) * layer.query_gain,
                keys[..., :end].mT.float().contiguous(),
                values[..., :end, :].float(),
                attn_mask=bias,
                scale=1.0,
            )
            states = states + layer.out(attended.transpose(1, 2).reshape(batch_size * length, -1).to(self.dtype))
            states += self._feed_forward(layer, states)
        return states.unflatten(0, (batch_size, length))[:, -1]

    def step(self, input_ids: torch.LongTensor, index: int) -> torch.Tensor:
        """
        Reads one token of each row.

        Args:
            input_ids (`torch.LongTensor` of shape `(rows,)`)
            index: of the token in its stream, 0 for BOS.

        Returns:
            `torch.FloatTensor` of shape `(rows, vocab_size)`, the logits of the next token.
        """
        end = self.filled + 1
        bias = self.reversed_bias[:, self.positions - end :]
        bias = (bias if self.padding is None else bias + self.padding[..., :end]).expand(len(input_ids), -1, -1)
        bias = bias.reshape(-1, 1, end)
        projected, query = self.projected.flatten(1), self.query.view_as(self.attended)
        queries_and_keys, (raw_query, key, value) = self.projected[:, :2], self.projected.unbind(1)

        states = self.token_tables[index % len(self.heads)].index_select(0, input_ids)
        if self.times is not None:
            states += self.times[index // len(self.heads)]
        for layer, keys, values in zip(self.layers, self.keys, self.values, strict=True):
            projected.copy_(layer.qkv(self._normalized(states)))
            torch.linalg.vector_norm(queries_and_keys, dim=-1, keepdim=True, out=self.head_lengths)
            queries_and_keys.div_(torch.hypot(self.head_lengths, self.head_epsilon, out=self.head_lengths))
            torch.mul(raw_query, layer.query_gain, out=self.query)
            keys.select(-1, self.filled).copy_(key)
            values.select(-2, self.filled).copy_(value)
            scores = torch.bmm(query, keys.flatten(0, 1).narrow(-1, 0, end))
            weights = torch.softmax(scores + bias, dim=-1).to(self.dtype)
            torch.bmm(weights, values.flatten(0, 1).narrow(-2, 0, end), out=self.attended)
            states += layer.out(self.attended.view(len(states), -1))
            states += self._feed_forward(layer, states)
        self.filled = end
        return self.logits(states, index)

    def logits(self, states: torch.Tensor, index: int) -> torch.Tensor:
        """Logits `(rows, vocab_size)` of the token after the one at `index`."""
        return self.heads[index % len(self.heads)](states / lengths(states, self.epsilon))

    def embed_tokens(self, input_ids: torch.LongTensor) -> torch.Tensor:
        """Embeddings `(batch_size, length, hidden_size)` of streams `(batch_size, length)`, BOS first."""
        indices = torch.arange(input_ids.shape[1], device=input_ids.device)
        embeddings = self.token_tables[indices % len(self.heads), input_ids]
        return embeddings if self.times is None else embeddings + self.times[indices // len(self.heads)]

    def _normalized(self, states: torch.Tensor) -> torch.Tensor:
        return (states / lengths(states, self.epsilon)).to(self.dtype)

    def _feed_forward(self, layer: PackedLayer, states: torch.Tensor) -> torch.Tensor:
        gate, up = layer.gate_up(self._normalized(states)).chunk(2, dim=-1)
        return layer.down(self.activation(gate) * up)


def lengths(vectors: torch.Tensor, epsilon: torch.Tensor) -> torch.Tensor:
    """Euclidean lengths along the last dimension, which is kept. RMSNorm divides by them, up to a constant factor."""
    return torch.hypot(torch.linalg.vector_norm(vectors, dim=-1, keepdim=True, dtype=torch.float32), epsilon)


def gain(norm: nn.Module) -> torch.Tensor:
    """What is left of an RMSNorm to multiply with, once its input has been divided by its length."""
    return norm.weight.float() * norm.weight.shape[0] ** 0.5


def pack(module: nn.Linear, precision: str, rows: int, norm: nn.Module | None = None) -> Callable:
    """A linear layer, and the gain of the norm before it."""
    weight = module.weight.float()
    return pack_linear(weight if norm is None else weight * gain(norm), precision, rows)


def pack_layer(layer: nn.Module, precision: str, rows: int) -> PackedLayer:
    attention, mlp = layer.self_attn, layer.mlp
    return PackedLayer(
        qkv=pack(attention.qkv_proj, precision, rows, layer.input_layernorm),
        out=pack(attention.o_proj, precision, rows),
        gate_up=pack(mlp.gate_up_proj, precision, rows, layer.post_attention_layernorm),
        down=pack(mlp.down_proj, precision, rows),
        query_gain=gain(attention.q_norm) * gain(attention.k_norm) * attention.scaling,
    )


def token_tables(stage) -> torch.Tensor:
    """Summed embeddings `(num_codebooks, vocab_size + 1, hidden_size)` of tokens at index `t`, by `t % num_codebooks`."""
    embeddings = stage.embeddings
    codebook, segment = embeddings.codebook.weight.float(), embeddings.segment.weight[-1].float()
    # The token at index `t` is the prediction of index `t - 1`.
    return embeddings.tokens.weight.float().unflatten(0, (len(codebook), -1)).roll(1, 0) + codebook[:, None] + segment


def times(stage, positions: int) -> torch.Tensor | None:
    """Embeddings `(frames, hidden_size)` of the time of each frame, where the stage has any."""
    if stage.embeddings.time is None:
        return None
    frames = torch.arange(-(-positions // stage.config.num_codebooks), device=stage.device)
    return stage.embeddings.time(frames[None], stage.config.frame_rate)[0].float()


def reversed_bias(stage, positions: int) -> torch.Tensor:
    """The bias `(num_heads, positions)` of keys at distance `positions - 1` to 0: the end of it is that of any query."""
    bias = stage.decoder.relative_position_bias
    distances = torch.arange(positions - 1, -1, -1, device=stage.device)
    return bias.relative_attention_bias.weight[bias.bucket(distances)].float().T.contiguous()


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
        if self.guidance_scale is not None:
            conditional, unconditional = logits.chunk(2)
            logits = torch.lerp(unconditional, conditional, self.guidance_scale)
        if self.temperature is None:
            return logits.argmax(dim=-1)
        if 0 < self.top_k < logits.shape[-1]:
            logits = logits.masked_fill(logits < logits.topk(self.top_k).values[:, -1:], -float("inf"))
        return (logits + self._noise(index, logits)).argmax(dim=-1)

    def _noise(self, index: int, logits: torch.FloatTensor) -> torch.FloatTensor:
        if not 0 <= index - self.first < len(self.block):
            count = max(NOISE_VALUES // logits.numel(), 1)
            self.first, self.block = index, self.noise(index, count, logits.shape[-1]).mul_(self.temperature).unbind()
        return self.block[index - self.first]


def decode(
    stage,
    input_ids: torch.LongTensor,
    max_length: int,
    precision: str,
    sampler: Sampler,
    conditioning: dict[str, torch.LongTensor],
    conditioning_mask: torch.Tensor | None = None,
    streamer=None,
) -> torch.LongTensor:
    """
    Continues streams of tokens.

    Args:
        stage (`HafmStageModel`)
        input_ids (`torch.LongTensor` of shape `(batch_size, length)`): BOS and the tokens so far, without padding.
        max_length: of the streams that are returned, BOS included.
        precision: see `StageDecoder`.
        sampler: takes logits to tokens.
        conditioning, conditioning_mask, streamer: those of `HafmStageModel.forward` and of `generate`.

    Returns:
        `torch.LongTensor` of shape `(batch_size, max_length)`.
    """
    batch_size, length = input_ids.shape
    tokens = torch.nn.functional.pad(input_ids, (0, max_length - length))
    guided = sampler.guidance_scale is not None
    copies = 2 if guided else 1
    with torch.inference_mode():
        prefix, mask = embed_conditioning(stage, conditioning, conditioning_mask, guided)
        decoder = StageDecoder(stage, copies * batch_size, prefix.shape[1] + max_length - 1, precision)
        decoder.read(prefix, mask)
        logits = decoder.logits(decoder.read(decoder.embed_tokens(input_ids).repeat(copies, 1, 1)), length - 1)
        for index in range(length, max_length):
            next_ids = sampler(logits, index - 1)
            tokens[:, index] = next_ids
            if streamer is not None:
                streamer.put(next_ids.cpu())
            if index + 1 < max_length:
                logits = decoder.step(next_ids.repeat(copies), index)
    if streamer is not None:
        streamer.end()
    return tokens


def embed_conditioning(stage, conditioning, mask, guided: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    """
    Embeddings of all rows, unconditional ones last, and their mask, with all padding at the front of a row.

    Without padding, one unconditional row stands for all of them.
    """
    embed, device = stage.embeddings.embed_conditioning, stage.device
    conditioning = {source: ids.to(device) for source, ids in conditioning.items()}
    padded = mask is not None and not mask.all()
    embeddings = embed(conditioning, None)
    if guided:
        dropped = conditioning if padded else {source: ids[:1] for source, ids in conditioning.items()}
        every = torch.ones(len(dropped[stage.config.conditioning_sources[0]]), dtype=torch.bool, device=device)
        embeddings = torch.cat([embeddings, embed(dropped, every)])
    if not padded:
        return embeddings, None
    mask = mask.to(device).bool().repeat(2 if guided else 1, len(conditioning))
    order = mask.long().argsort(dim=1, stable=True)
    return embeddings.take_along_dim(order[..., None], dim=1), mask.gather(1, order)


__all__ = ["Sampler", "StageDecoder", "decode"]
