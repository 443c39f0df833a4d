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
from torch.nn.functional import pad, scaled_dot_product_attention

from .decoding_graph_hafm import FixedStep, StepGraph
from .key_value_cache_hafm import make_cache
from .packed_linear_hafm import INT8_ROWS, pack_linear
from .sampling_hafm import Sampler


# Positions, over all rows, that run through the layers together before the first step: they bound its memory.
PREFILL_POSITIONS = 4096
# Kernels are slow where the inner size of the feed-forward network, 1365 in the paper, is no multiple of this.
INNER_MULTIPLE = 32


class PackedLayer(NamedTuple):
    qkv: Callable[[torch.Tensor], torch.Tensor]
    out: Callable[[torch.Tensor], torch.Tensor]
    gate_up: Callable[[torch.Tensor], torch.Tensor]
    down: Callable[[torch.Tensor], torch.Tensor]
    query_gain: torch.Tensor


class Prefix(NamedTuple):
    """
    The conditioning of a window, all padding at the front of a row.

    embeddings (`torch.Tensor` of shape `(batch_size, length, hidden_size)`):
        Of the first rows; the last of them stands for all the rows after it as well.
    sources, frames (`torch.LongTensor` of shape `(rows or 1, length)`): which source, and which of its frames.
    mask (`torch.BoolTensor` of shape `(rows, length)`, *optional*): `False` for padding.
    """

    embeddings: torch.Tensor
    sources: torch.LongTensor
    frames: torch.LongTensor
    mask: torch.BoolTensor | None


class StageDecoder:
    """
    A stage that reads from left to right, with its weights and caches for one window.

    Args:
        stage (`HafmStageModel`)
        rows: read together; with guidance twice the batch.
        positions: of conditioning and tokens together, at most.
        precision: of weights and caches, "float32", "bfloat16" or "int8" (weights; caches in bfloat16). The residual
            stream and the logits are in float32 with all of them.
    """

    def __init__(self, stage, rows: int, positions: int, precision: str):
        config, device = stage.config, stage.device
        self.config = config
        if precision == "int8" and rows > INT8_ROWS:
            precision = "bfloat16"
        self.dtype = torch.float32 if precision == "float32" else torch.bfloat16
        self.layers = [pack_layer(layer, precision, rows) for layer in stage.decoder.layers]
        self.head_weights = [weight_of(head, stage.decoder.norm) for head in stage.lm_heads]
        self.heads = [pack_linear(weight, "float32", rows) for weight in self.head_weights]
        self.activation = stage.decoder.layers[0].mlp.act_fn
        self.token_tables = token_tables(stage)
        self.reversed_bias = reversed_bias(stage, positions)
        self.conditioning_bias = ConditioningBias(stage, positions) if config.conditioning_time_bias else None
        epsilon = torch.tensor(config.rms_norm_eps, device=device)
        self.epsilon, self.head_epsilon = (epsilon * config.hidden_size).sqrt(), (epsilon * config.head_dim).sqrt()

        self.cache = make_cache(config, rows, positions, self.dtype, device)
        self.rows, self.positions, self.padding = rows, positions, None
        heads, size = config.num_attention_heads, config.head_dim
        # Where a step keeps what it computes of each layer in turn, without looking for memory and making views of it.
        self.projected = torch.empty(rows, 3, heads, size, device=device)
        self.head_lengths = torch.empty(rows, 2, heads, 1, device=device)

    def read_conditioning(self, prefix: Prefix) -> None:
        """Reads the conditioning, which comes before everything else."""
        if prefix.mask is not None:
            self.padding = torch.zeros(len(prefix.mask), 1, self.positions, device=prefix.mask.device)
            self.padding[:, 0, : prefix.mask.shape[1]].masked_fill_(~prefix.mask, torch.finfo(torch.float32).min)
        if self.conditioning_bias is not None:
            self.conditioning_bias.set_keys(prefix)
        self._read(prefix.embeddings, prefix.frames)

    def read_tokens(self, input_ids: torch.LongTensor) -> None:
        """Reads the beginnings `(rows, length)` of the streams, BOS first."""
        indices = torch.arange(input_ids.shape[1], device=input_ids.device)
        self._read(self.token_tables[indices % len(self.heads), input_ids], self.frame_of(indices)[None])

    def _read(self, embeddings: torch.Tensor, frames: torch.LongTensor) -> None:
        batch_size, length, _ = embeddings.shape
        together = max(PREFILL_POSITIONS // length, 1)
        for first in range(0, batch_size, together):
            rows = slice(first, min(first + together, batch_size))
            self._read_rows(rows, embeddings[rows], frames)
        self.cache.filled += length
        self.cache.repeat_row(batch_size - 1)

    def _read_rows(self, rows: slice, embeddings: torch.Tensor, frames: torch.LongTensor) -> None:
        batch_size, length, _ = embeddings.shape
        start, end = self.cache.filled, self.cache.filled + length
        positions = torch.arange(end, device=embeddings.device)
        distance = positions[start:, None] - positions
        bias = self.reversed_bias[:, self.positions - 1 - distance.clamp(min=0)][None]
        if self.conditioning_bias is not None:
            bias = self.conditioning_bias.put_before(bias, frames, rows)
        bias = bias.masked_fill(distance < 0, torch.finfo(torch.float32).min)
        if self.padding is not None:
            bias = bias + self.padding[rows, None, :, :end]

        states = embeddings.flatten(0, 1).float()
        for index, layer in enumerate(self.layers):
            projected = layer.qkv(self.normalized(states).to(self.dtype)).float().unflatten(0, (batch_size, length))
            query, key, value = projected.unflatten(2, self.projected.shape[1:]).permute(2, 0, 3, 1, 4)
            self.cache.write(index, rows, key / lengths(key, self.head_epsilon), value)
            attended = scaled_dot_product_attention(
                query / lengths(query, self.head_epsilon) * layer.query_gain,
                *self.cache.read(index, rows, end),
                attn_mask=bias,
                scale=1.0,
            )
            states = states + layer.out(attended.transpose(1, 2).reshape(batch_size * length, -1).to(self.dtype))
            states += self._feed_forward(layer, states)

    def step(self, input_ids: torch.LongTensor, index: int) -> torch.Tensor:
        """
        Reads one token of each row.

        Args:
            input_ids (`torch.LongTensor` of shape `(rows,)`)
            index: of the token in its stream, 0 for BOS.

        Returns:
            `torch.FloatTensor` of shape `(rows, vocab_size)`, the logits of the next token.
        """
        self.cache.begin_step()
        states = self.token_tables[index % len(self.heads)].index_select(0, input_ids)
        states = self.read_states(states, self._step_bias(index, self.cache.filled))
        return self.heads[index % len(self.heads)](self.normalized(states))

    def read_states(self, states: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """
        What the layers make of one new position of each row.

        Args:
            states (`torch.FloatTensor` of shape `(rows, hidden_size)`): its embeddings, which are overwritten.
            bias (`torch.FloatTensor` of shape `(rows or 1, num_heads, keys)`): of all keys for it.
        """
        bias = bias.to(self.dtype).expand(len(states), -1, -1).flatten(0, 1)
        projected = self.projected.flatten(1)
        queries_and_keys, (raw_query, key, value) = self.projected[:, :2], self.projected.unbind(1)
        for number, layer in enumerate(self.layers):
            projected.copy_(layer.qkv(self.normalized(states).to(self.dtype)))
            torch.linalg.vector_norm(queries_and_keys, dim=-1, keepdim=True, out=self.head_lengths)
            queries_and_keys.div_(torch.hypot(self.head_lengths, self.head_epsilon, out=self.head_lengths))
            attended = self.cache.attend(number, raw_query * layer.query_gain, key, value, bias)
            states += layer.out(attended)
            states += self._feed_forward(layer, states)
        return states

    def normalized(self, states: torch.Tensor) -> torch.Tensor:
        """States as the weights expect them, which hold the gain of the norm."""
        return states / lengths(states, self.epsilon)

    def frame_of(self, index):
        """The frame of the conditioning that sounds with the token at `index`."""
        return index // len(self.heads) * self.config.conditioning_frame_rate // self.config.frame_rate

    def _step_bias(self, index: int, end: int) -> torch.Tensor:
        """The bias `(rows or 1, num_heads, end)` of all keys for the token at `index`."""
        bias = self.reversed_bias[None, :, self.positions - end :]
        if self.conditioning_bias is not None:
            bias = self.conditioning_bias.put_before_step(bias, self.frame_of(index))
        return bias if self.padding is None else bias + self.padding[..., :end]

    def _feed_forward(self, layer: PackedLayer, states: torch.Tensor) -> torch.Tensor:
        gate, up = layer.gate_up(self.normalized(states).to(self.dtype)).chunk(2, dim=-1)
        return layer.down(self.activation(gate) * up)


def lengths(vectors: torch.Tensor, epsilon: torch.Tensor) -> torch.Tensor:
    """Euclidean lengths along the last dimension, which is kept. RMSNorm divides by them, up to a constant factor."""
    return torch.hypot(torch.linalg.vector_norm(vectors, dim=-1, keepdim=True, dtype=torch.float32), epsilon)


def gain(norm: nn.Module) -> torch.Tensor:
    """What is left of an RMSNorm to multiply with, once its input has been divided by its length."""
    return norm.weight.float() * norm.weight.shape[0] ** 0.5


def weight_of(module: nn.Linear, norm: nn.Module | None = None) -> torch.Tensor:
    """The weight of a linear layer, with the gain of the norm before it."""
    weight = module.weight.float()
    return weight if norm is None else weight * gain(norm)


def pack_layer(layer: nn.Module, precision: str, rows: int) -> PackedLayer:
    attention, mlp = layer.self_attn, layer.mlp
    gate_up = weight_of(mlp.gate_up_proj, layer.post_attention_layernorm).unflatten(0, (2, -1))
    # More gates and ups, of zeros, which nothing reads.
    padding = -gate_up.shape[1] % INNER_MULTIPLE
    weights = {
        "qkv": weight_of(attention.qkv_proj, layer.input_layernorm),
        "out": weight_of(attention.o_proj),
        "gate_up": pad(gate_up, (0, 0, 0, padding)).flatten(0, 1),
        "down": pad(weight_of(mlp.down_proj), (0, padding)),
    }
    packed = {name: pack_linear(weight, precision, rows) for name, weight in weights.items()}
    return PackedLayer(**packed, query_gain=gain(attention.q_norm) * gain(attention.k_norm) * attention.scaling)


def token_tables(stage) -> torch.Tensor:
    """Summed embeddings `(num_codebooks, vocab_size + 1, hidden_size)` of tokens at index `t`, by `t % num_codebooks`."""
    embeddings = stage.embeddings
    codebook, segment = embeddings.codebook.weight.float(), embeddings.segment.weight[-1].float()
    # The token at index `t` is the prediction of index `t - 1`.
    return embeddings.tokens.weight.float().unflatten(0, (len(codebook), -1)).roll(1, 0) + codebook[:, None] + segment


def reversed_bias(stage, positions: int) -> torch.Tensor:
    """The bias `(num_heads, positions)` of keys at distance `positions - 1` to 0: the end of it is that of any query."""
    bias = stage.decoder.relative_position_bias
    distances = torch.arange(positions - 1, -1, -1, device=stage.device)
    return bias.relative_attention_bias.weight[bias.bucket(distances)].float().T.contiguous()


class ConditioningBias:
    """The bias of conditioning keys by their distance in time, for the queries of one window."""

    def __init__(self, stage, positions: int):
        bias, num_sources = stage.decoder.conditioning_bias, len(stage.config.conditioning_sources)
        # No two frames of a window are further apart than it has positions.
        distances = torch.arange(-positions, positions + 1, device=stage.device)
        buckets = bias.bucket(distances, torch.arange(num_sources, device=stage.device)[:, None])
        self.by_distance = bias.relative_attention_bias.weight[buckets.flatten()].float()
        self.positions, self.frame = positions, None

    def set_keys(self, prefix: Prefix) -> None:
        # Where in the table the bias of each key lies for a query at frame 0; that of frame `n` lies `n` further.
        self.places = prefix.sources * (2 * self.positions + 1) + self.positions - prefix.frames

    def put_before(self, bias: torch.Tensor, frames: torch.LongTensor, rows: slice) -> torch.Tensor:
        """In `bias` of shape `(1, num_heads, queries, keys)`, that of the conditioning for queries at `frames`."""
        places = self.places if len(self.places) == 1 else self.places[rows]
        frames = frames if len(frames) == 1 else frames[rows]
        own = self.by_distance[places[:, None, :] + frames[:, :, None]].permute(0, 3, 1, 2)
        rest = bias[..., places.shape[1] :]
        return torch.cat([own, rest.expand(len(own), -1, -1, -1)], dim=-1)

    def put_before_step(self, bias: torch.Tensor, frame: int) -> torch.Tensor:
        """In `bias` of shape `(1, num_heads, keys)`, that of the conditioning for a query at `frame`."""
        if frame != self.frame:  # several tokens share one
            self.frame, self.own = frame, self.by_distance[self.places + frame].mT
        rest = bias[..., self.places.shape[1] :]
        return torch.cat([self.own, rest.expand(len(self.own), -1, -1)], dim=-1)


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
    tokens = pad(input_ids, (0, max_length - length))
    guided = sampler.guidance_scale is not None
    copies = 2 if guided else 1
    with torch.inference_mode():
        prefix = embed_conditioning(stage, conditioning, conditioning_mask, guided)
        decoder = StageDecoder(stage, copies * batch_size, prefix.embeddings.shape[1] + max_length - 1, precision)
        decoder.read_conditioning(prefix)
        if length > 1:
            decoder.read_tokens(input_ids[:, :-1].repeat(copies, 1))
        add_token = make_step(decoder, sampler, tokens, length - 1)
        for index in range(length, max_length):
            add_token(index)
            if streamer is not None:
                streamer.put(tokens[:, index].cpu())
    if streamer is not None:
        streamer.end()
    return tokens


def make_step(decoder: StageDecoder, sampler: Sampler, tokens: torch.LongTensor, index: int) -> Callable[[int], None]:
    """What adds a token to the streams `(batch_size, max_length)` at each place after `index`, the last there is, in turn."""
    if tokens.device.type == "cuda":
        return StepGraph(FixedStep(decoder, sampler, tokens, index), tokens.device)
    copies = decoder.rows // len(tokens)

    def add_token(index: int) -> None:
        logits = decoder.step(tokens[:, index - 1].repeat(copies), index - 1)
        tokens[:, index] = sampler(logits, index - 1)

    return add_token


def embed_conditioning(stage, conditioning, mask, guided: bool) -> Prefix:
    """The conditioning of all rows, unconditional ones last. Without padding, one of those stands for all of them."""
    embed, device = stage.embeddings.embed_conditioning, stage.device
    conditioning = {source: ids.to(device) for source, ids in conditioning.items()}
    padded = mask is not None and not mask.all()
    embeddings = embed(conditioning, None)
    if guided:
        dropped = conditioning if padded else {source: ids[:1] for source, ids in conditioning.items()}
        every = torch.ones(len(dropped[stage.config.conditioning_sources[0]]), dtype=torch.bool, device=device)
        embeddings = torch.cat([embeddings, embed(dropped, every)])
    slots = torch.arange(embeddings.shape[1], device=device)[None]
    source_length = slots.shape[1] // len(conditioning)
    if not padded:
        return Prefix(embeddings, slots // source_length, slots % source_length, None)
    mask = mask.to(device).bool().repeat(2 if guided else 1, len(conditioning))
    order = mask.long().argsort(dim=1, stable=True)
    real_frames = (mask[:, :source_length].cumsum(1) - 1).clamp(min=0)
    frames = real_frames.gather(1, order % source_length)
    return Prefix(
        embeddings.take_along_dim(order[..., None], dim=1), order // source_length, frames, mask.gather(1, order)
    )


__all__ = ["StageDecoder", "decode"]
