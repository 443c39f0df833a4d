# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""PyTorch HAFM: one decoder-only Transformer, three stages, and the composite that chains them (paper, section 3)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from transformers.activations import ACT2FN
from transformers.cache_utils import Cache, DynamicCache
from transformers.integrations import use_kernel_forward_from_hub
from transformers.masking_utils import create_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, PreTrainedModel, slice_logits_to_keep
from transformers.processing_utils import Unpack
from transformers.utils import ModelOutput, TransformersKwargs, can_return_tuple
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from .block_attention_hafm import BLOCK, block_attention_applies, block_attention_forward
from .card_hafm import HafmCardMixin
from .configuration_hafm import HafmCoarseConfig, HafmConfig, HafmFineConfig, HafmSemanticConfig, HafmStageConfig
from .generation_hafm import HafmStageGenerationMixin
from .generation_song_hafm import HafmSongGenerationMixin, StageSettingsMixin
from .loading_hafm import HafmLoadingMixin
from .rms_norm_hafm import LeanRMSNorm, lean_rms_norm_applies


# Added to the scores of keys that are not attended. Finite in every precision, or rows of padding alone would be NaN.
MASKED = torch.finfo(torch.float16).min


@dataclass
class HafmOutputWithPast(ModelOutput):
    r"""
    loss (`torch.FloatTensor` of shape `()`, *optional*, returned when `labels` is provided):
        Cross-entropy averaged over each codebook's tokens, then over the codebooks (paper, equation 6).
    logits (`torch.FloatTensor` of shape `(batch_size, sequence_length, vocab_size)`):
        Scores of each next token. Position `t` belongs to codebook `t % num_codebooks`.
    past_key_values (`Cache`, *optional*):
        Keys and values of the conditioning and of the tokens so far.
    hidden_states (`tuple[torch.FloatTensor]`, *optional*):
        Input of the first layer and output of every layer, each of shape
        `(batch_size, conditioning_length + sequence_length, hidden_size)`.
    attentions (`tuple[torch.FloatTensor]`, *optional*):
        Attention weights of every layer, over conditioning and tokens.
    """

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    past_key_values: Cache | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None
    attentions: tuple[torch.FloatTensor, ...] | None = None


@use_kernel_forward_from_hub("RMSNorm")
class HafmRMSNorm(nn.Module):
    """Root mean square normalisation, in float32 (paper, equation 2)."""

    def __init__(self, hidden_size: int, eps: float = 1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.variance_epsilon = eps

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        weight = self.weight.to(hidden_states.dtype)
        if lean_rms_norm_applies(hidden_states):
            return LeanRMSNorm.apply(hidden_states, weight, self.variance_epsilon)
        return nn.functional.rms_norm(hidden_states, weight.shape, weight, self.variance_epsilon)

    def extra_repr(self):
        return f"{tuple(self.weight.shape)}, eps={self.variance_epsilon}"


def t5_bucket(distance: torch.LongTensor, num_buckets: int, max_distance: int) -> torch.LongTensor:
    """Bucket of each distance (0 and up): exact in the first half, logarithmic up to `max_distance` in the second."""
    exact = num_buckets // 2
    scale = (num_buckets - exact) / math.log(max_distance / exact)
    logarithmic = exact + (torch.log(distance.clamp(min=exact).float() / exact) * scale).long()
    return torch.where(distance < exact, distance, logarithmic.clamp(max=num_buckets - 1))


class HafmRelativePositionBias(nn.Module):
    """Causal T5 relative position bias, one table shared by all layers (paper, section 3.4)."""

    def __init__(self, config: HafmStageConfig):
        super().__init__()
        self.num_buckets = config.relative_attention_num_buckets
        self.max_distance = config.relative_attention_max_distance
        self.relative_attention_bias = nn.Embedding(self.num_buckets, config.num_attention_heads)

    def bucket(self, distance: torch.LongTensor) -> torch.LongTensor:
        """Bucket of each distance, 0 and up."""
        return t5_bucket(distance, self.num_buckets, self.max_distance)

    def forward(self, query_positions: torch.LongTensor, key_positions: torch.LongTensor) -> torch.Tensor:
        """
        Args:
            query_positions (`torch.LongTensor` of shape `(batch_size or 1, query_length)`), key_positions (`... key_length)`):
                Positions in the sequence. Keys after their query get the bias of distance 0; the causal mask removes them.

        Returns:
            `torch.Tensor` of shape `(batch_size or 1, num_heads, query_length, key_length)`.
        """
        distance = (query_positions[:, :, None] - key_positions[:, None, :]).clamp(min=0)
        distances = torch.arange(key_positions.shape[1], device=distance.device)
        bias_by_distance = self.relative_attention_bias(self.bucket(distances))
        return bias_by_distance[distance].permute(0, 3, 1, 2)


class Timeline(NamedTuple):
    """
    Where a sequence is in time, in frames of the conditioning.

    query_frames (`torch.LongTensor` of shape `(batch_size or 1, query_length)`)
    key_frames (`torch.LongTensor` of shape `(batch_size or 1, key_length)`): of the conditioning; any number for tokens.
    key_sources (`torch.LongTensor` of shape `(1, key_length)`): index of the conditioning source, -1 for tokens.
    """

    query_frames: torch.LongTensor
    key_frames: torch.LongTensor
    key_sources: torch.LongTensor


class HafmConditioningBias(nn.Module):
    """T5 bias in both directions of conditioning keys, by how far in time they are from the query; a table a source."""

    def __init__(self, config: HafmStageConfig):
        super().__init__()
        self.num_buckets = config.relative_attention_num_buckets
        self.max_distance = config.relative_attention_max_distance
        num_sources = len(config.conditioning_sources)
        self.relative_attention_bias = nn.Embedding(num_sources * self.num_buckets, config.num_attention_heads)

    def bucket(self, distance: torch.LongTensor, source: torch.LongTensor) -> torch.LongTensor:
        """Bucket of keys so many frames before (positive) or after (negative) their query."""
        half = self.num_buckets // 2
        buckets = t5_bucket(distance.abs(), half, self.max_distance) + half * (distance < 0)
        return buckets + source * self.num_buckets

    def forward(self, timeline: Timeline) -> torch.Tensor:
        """The bias `(batch_size or 1, num_heads, query_length, key_length)`; that of keys which are tokens means nothing."""
        distance = timeline.query_frames[:, :, None] - timeline.key_frames[:, None, :]
        buckets = self.bucket(distance, timeline.key_sources.clamp(min=0)[:, None, :])
        return self.relative_attention_bias(buckets).permute(0, 3, 1, 2)


def eager_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Unpack[TransformersKwargs],
):
    attn_weights = torch.matmul(query, key.transpose(2, 3)) * scaling + attention_mask
    attn_weights = nn.functional.softmax(attn_weights, dim=-1, dtype=torch.float32).to(query.dtype)
    attn_weights = nn.functional.dropout(attn_weights, p=dropout, training=module.training)
    attn_output = torch.matmul(attn_weights, value).transpose(1, 2).contiguous()
    return attn_output, attn_weights


class HafmAttention(nn.Module):
    """Multi-head attention with normalised queries and keys and one fused projection (paper, equation 3)."""

    def __init__(self, config: HafmStageConfig, layer_idx: int):
        super().__init__()
        self.config = config
        self.layer_idx = layer_idx
        self.num_heads = config.num_attention_heads
        self.head_dim = config.head_dim
        self.scaling = self.head_dim**-0.5
        self.attention_dropout = config.attention_dropout
        self.is_causal = True
        self.qkv_proj = nn.Linear(config.hidden_size, 3 * self.num_heads * self.head_dim, bias=False)
        self.o_proj = nn.Linear(self.num_heads * self.head_dim, config.hidden_size, bias=False)
        self.q_norm = HafmRMSNorm(self.head_dim, eps=config.rms_norm_eps)
        self.k_norm = HafmRMSNorm(self.head_dim, eps=config.rms_norm_eps)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None,
        past_key_values: Cache | None = None,
        in_blocks: bool = False,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        input_shape = hidden_states.shape[:-1]
        qkv = self.qkv_proj(hidden_states).view(*input_shape, 3, self.num_heads, self.head_dim)
        query, key, value = qkv.unbind(2)
        query_states, key_states, value_states = (
            states.transpose(1, 2) for states in (self.q_norm(query), self.k_norm(key), value)
        )

        if past_key_values is not None:
            key_states, value_states = past_key_values.update(key_states, value_states, self.layer_idx)

        dropout = self.attention_dropout if self.training else 0.0
        attention_interface: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        if in_blocks:
            attention_interface = block_attention_forward
        attn_output, attn_weights = attention_interface(
            self,
            query_states,
            key_states,
            value_states,
            attention_mask,
            dropout=dropout,
            scaling=self.scaling,
            **kwargs,
        )
        return self.o_proj(attn_output.reshape(*input_shape, -1)), attn_weights


class HafmMLP(nn.Module):
    """GEGLU feed-forward network whose gate and value share one input projection (paper, equation 4)."""

    def __init__(self, config: HafmStageConfig):
        super().__init__()
        self.gate_up_proj = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.act_fn = ACT2FN[config.hidden_act]

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        gate, up = self.gate_up_proj(hidden_states).chunk(2, dim=-1)
        return self.down_proj(self.act_fn(gate) * up)


class HafmDecoderLayer(GradientCheckpointingLayer):
    def __init__(self, config: HafmStageConfig, layer_idx: int):
        super().__init__()
        self.self_attn = HafmAttention(config, layer_idx)
        self.mlp = HafmMLP(config)
        self.input_layernorm = HafmRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = HafmRMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> torch.Tensor:
        attn_output, _ = self.self_attn(
            self.input_layernorm(hidden_states), attention_mask, past_key_values=past_key_values, **kwargs
        )
        hidden_states = hidden_states + attn_output
        return hidden_states + self.mlp(self.post_attention_layernorm(hidden_states))


class HafmPreTrainedModel(HafmLoadingMixin, PreTrainedModel):
    config: HafmStageConfig
    base_model_prefix = "model"
    input_modalities = ("audio",)
    supports_gradient_checkpointing = True
    _no_split_modules = ["HafmDecoderLayer"]
    _skip_keys_device_placement = ["past_key_values"]
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _can_record_outputs = {"hidden_states": HafmDecoderLayer, "attentions": HafmAttention}


class HafmDecoder(HafmPreTrainedModel):
    """The causal Transformer of every stage, from embeddings to normalised hidden states."""

    def __init__(self, config: HafmStageConfig):
        super().__init__(config)
        self.relative_position_bias = HafmRelativePositionBias(config)
        self.conditioning_bias = HafmConditioningBias(config) if config.conditioning_time_bias else None
        self.layers = nn.ModuleList([HafmDecoderLayer(config, idx) for idx in range(config.num_hidden_layers)])
        self.norm = HafmRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.gradient_checkpointing = False
        self.post_init()

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self,
        inputs_embeds: torch.FloatTensor,
        attention_mask: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        timeline: Timeline | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> BaseModelOutputWithPast:
        r"""
        inputs_embeds (`torch.FloatTensor` of shape `(batch_size, sequence_length, hidden_size)`):
            Embeddings of the conditioning and the tokens.
        attention_mask (`torch.Tensor` of shape `(batch_size, key_length)`, *optional*):
            1 where a key, cached ones included, is real and 0 where it is padding.
        timeline (`Timeline`, *optional*):
            Where the sequence is in time; needed with `config.conditioning_time_bias`.
        """
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)

        attention_mask, extra = self._mask_and_bias(inputs_embeds, attention_mask, past_key_values, timeline)
        hidden_states = inputs_embeds
        for layer in self.layers:
            hidden_states = layer(hidden_states, attention_mask, past_key_values=past_key_values, **extra, **kwargs)

        return BaseModelOutputWithPast(
            last_hidden_state=self.norm(hidden_states), past_key_values=past_key_values if use_cache else None
        )

    def _mask_and_bias(self, inputs_embeds, attention_mask, past_key_values, timeline):
        """The position bias and the causal and padding masks, once for all layers: one mask where the kernel allows it."""
        query_length, device = inputs_embeds.shape[1], inputs_embeds.device
        query_slots, key_length = torch.arange(query_length, device=device), query_length
        if past_key_values is not None:
            query_slots = query_slots + past_key_values.get_seq_length()
            key_length = past_key_values.get_mask_sizes(query_length, 0)[0]
        key_slots = torch.arange(key_length, device=device)
        in_blocks = self._attends_in_blocks(inputs_embeds, key_length)
        if in_blocks and attention_mask is None and self.conditioning_bias is None:
            # The mask is one of distances alone, so that of the last block of queries holds for every block.
            query_slots = query_slots[-BLOCK:]

        # Positions count real tokens only, so that padding between conditioning and tokens does not push them apart.
        if attention_mask is None:
            query_positions, key_positions = query_slots[None], key_slots[None]
        else:
            key_positions = attention_mask.bool().cumsum(-1) - 1
            query_positions = key_positions.index_select(1, query_slots)
        bias = self.relative_position_bias(query_positions, key_positions)
        if self.conditioning_bias is not None:
            is_token = (timeline.key_sources < 0)[:, None, None, :]
            bias = torch.where(is_token, bias, self.conditioning_bias(timeline))
        bias = bias.to(inputs_embeds.dtype)

        if self.config._attn_implementation == "flex_attention":
            block_mask = create_causal_mask(self.config, inputs_embeds, attention_mask, past_key_values)
            return block_mask, {"position_bias": bias.expand(inputs_embeds.shape[0], -1, -1, -1)}
        allowed = (key_slots[None, :] <= query_slots[:, None])[None, None]
        if attention_mask is not None:
            allowed = allowed & attention_mask.bool()[:, None, None, :]
        return torch.where(allowed, bias, MASKED), {"in_blocks": in_blocks}

    def _attends_in_blocks(self, inputs_embeds, key_length) -> bool:
        """Whether all layers leave attention to `block_attention_forward`."""
        if self.config._attn_implementation != "sdpa" or not block_attention_applies(inputs_embeds, key_length):
            return False
        return not (self.training and any(layer.self_attn.attention_dropout for layer in self.layers))


class HafmEmbeddings(nn.Module):
    """Embeddings of the conditioning and of the prediction tokens (paper, section 3.4, "Input Embeddings")."""

    def __init__(self, config: HafmStageConfig):
        super().__init__()
        self.config = config
        # The tables of several codebooks lie one after the other in one embedding, each with its extra last row.
        self.conditioning = nn.ModuleDict(
            {
                source: nn.Embedding(
                    config.conditioning_num_codebooks * (config.conditioning_vocab_size + 1), config.hidden_size
                )
                for source in config.conditioning_sources
            }
        )
        self.tokens = nn.Embedding(config.num_codebooks * (config.vocab_size + 1), config.hidden_size)
        self.codebook = nn.Embedding(config.num_codebooks, config.hidden_size)
        self.segment = nn.Embedding(len(config.conditioning_sources) + 1, config.hidden_size)

    def embed_tokens(self, input_ids: torch.LongTensor, position_ids: torch.LongTensor) -> torch.Tensor:
        """
        The token at position `t` is the prediction of position `t - 1`, so its table is that of codebook `(t - 1) % Q`
        (BOS stands where the last codebook of the frame before would). The codebook embedding names what position `t`
        is about to predict, `t % Q`.
        """
        num_codebooks = self.config.num_codebooks
        tables = (position_ids - 1) % num_codebooks * (self.config.vocab_size + 1)
        segment = self.segment.weight.shape[0] - 1
        return (
            self.tokens(input_ids + tables)
            + self.codebook(position_ids % num_codebooks)
            + self.segment(torch.full_like(position_ids, segment))
        )

    def embed_conditioning(
        self, conditioning: dict[str, torch.LongTensor], drop_conditioning: torch.BoolTensor | None
    ) -> torch.Tensor:
        """Sources of shape `(batch_size[, codebooks], frames)` to `(batch_size, sources * frames, hidden_size)`."""
        embedded = []
        for segment, (source, table) in enumerate(self.conditioning.items()):
            embeds = self._embed_source(table, conditioning[source], drop_conditioning)
            segment_ids = torch.full(embeds.shape[:2], segment, dtype=torch.long, device=embeds.device)
            embedded.append(embeds + self.segment(segment_ids))
        return torch.cat(embedded, dim=1)

    def _embed_source(self, table, ids, drop_conditioning):
        vocab_size = self.config.conditioning_vocab_size
        if ids.ndim == 2:
            ids = ids[:, None]
        if drop_conditioning is not None and self.config.conditioning_dropout_mode == "mask_token":
            ids = torch.where(drop_conditioning[:, None, None], vocab_size, ids)
        offsets = torch.arange(ids.shape[1], device=ids.device)[:, None] * (vocab_size + 1)
        embeds = table(ids + offsets).sum(dim=1)
        if drop_conditioning is not None and self.config.conditioning_dropout_mode == "zeros":
            embeds = torch.where(drop_conditioning[:, None, None], torch.zeros_like(embeds), embeds)
        return embeds


class HafmStageModel(HafmPreTrainedModel):
    """
    A stage: embeddings, decoder and one prediction head for each codebook.

    The sequence is `[conditioning source, ...] [BOS, token, token, ...]`, codebooks interleaved frame by frame
    (paper, sections 3.3 and 3.5). Instances are `HafmSemanticModel`, `HafmCoarseModel` and `HafmFineModel`.
    """

    # The loss is a mean over the batch, so Trainer must divide it by the accumulation steps itself.
    accepts_loss_kwargs = False
    # Loading one stage out of a composite leaves the others aside.
    _keys_to_ignore_on_load_unexpected = [r"^semantic\.", r"^coarse\.", r"^fine\."]

    def __init__(self, config: HafmStageConfig):
        super().__init__(config)
        self.embeddings = HafmEmbeddings(config)
        self.decoder = HafmDecoder(config)
        self.lm_heads = nn.ModuleList(
            [nn.Linear(config.hidden_size, config.vocab_size, bias=False) for _ in range(config.num_codebooks)]
        )
        self.post_init()
        self.generation_config._from_model_config = False  # saved whole, with the settings below
        self.generation_config.update(allow_custom_entries=True, **self.default_generation_settings())

    def get_input_embeddings(self):
        return self.embeddings.tokens

    def set_input_embeddings(self, value):
        self.embeddings.tokens = value

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        vocal_semantic_ids: torch.LongTensor | None = None,
        instrumental_semantic_ids: torch.LongTensor | None = None,
        coarse_ids: torch.LongTensor | None = None,
        conditioning_mask: torch.Tensor | None = None,
        drop_conditioning: torch.BoolTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        labels: torch.LongTensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs: Unpack[TransformersKwargs],
    ) -> HafmOutputWithPast:
        r"""
        A stage takes the conditioning inputs that `config.conditioning_sources` names, all of the same number of
        frames. They are needed whenever the cache is empty, and must be left out once it holds them.

        input_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`, *optional*):
            BOS and the interleaved tokens so far. Derived from `labels` (shifted right) when only those are given.
        vocal_semantic_ids (`torch.LongTensor` of shape `(batch_size, frames)`, *optional*):
            Semantic tokens of the vocal, 50 a second; condition the semantic and the coarse stage.
        instrumental_semantic_ids (`torch.LongTensor` of shape `(batch_size, frames)`, *optional*):
            Semantic tokens of the instrumental, 50 a second; condition the coarse stage.
        coarse_ids (`torch.LongTensor` of shape `(batch_size, codebooks, frames)`, *optional*):
            Codec codes of the first codebooks, 75 frames a second; condition the fine stage.
        conditioning_mask (`torch.Tensor` of shape `(batch_size, frames)`, *optional*):
            1 for real conditioning frames, 0 for padding; shared by all sources.
        drop_conditioning (`torch.BoolTensor` of shape `(batch_size,)`, *optional*):
            Rows to run unconditionally. Drawn with probability `config.conditioning_dropout` in training.
        attention_mask (`torch.Tensor` of shape `(batch_size, past_length + sequence_length)`, *optional*):
            1 for real tokens (BOS included), 0 for padding. With a static cache it covers the rest of the cache too.
        position_ids (`torch.LongTensor` of shape `(batch_size or 1, sequence_length)`, *optional*):
            Index of each token in the prediction stream, 0 for BOS. Required once the cache holds tokens.
        labels (`torch.LongTensor` of shape `(batch_size, sequence_length)`, *optional*):
            Target tokens, interleaved, without BOS; `-100` is ignored. Logits at `t` predict `labels[:, t]`.
        logits_to_keep (`int` or `torch.Tensor`, defaults to 0):
            Compute logits for this many last tokens only (0: all), or for these token indices.
        """
        if input_ids is None:
            if labels is None:
                raise ValueError("Pass `input_ids` (BOS first) or `labels`.")
            input_ids = self.shift_right(labels)
        given = {
            "vocal_semantic_ids": vocal_semantic_ids,
            "instrumental_semantic_ids": instrumental_semantic_ids,
            "coarse_ids": coarse_ids,
        }
        conditioning = self._check_conditioning(given, past_key_values)
        if not conditioning and position_ids is None:
            raise ValueError(
                "Pass `position_ids` with a cache: it holds the conditioning, so it does not tell the token's index."
            )
        if self.training and conditioning and drop_conditioning is None and self.config.conditioning_dropout > 0:
            chance = torch.rand(input_ids.shape[0], device=input_ids.device)
            drop_conditioning = chance < self.config.conditioning_dropout

        token_positions = position_ids
        if token_positions is None:
            token_positions = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
        inputs_embeds = self.embeddings.embed_tokens(input_ids, token_positions)
        prefix_length = 0
        if conditioning:
            prefix = self.embeddings.embed_conditioning(conditioning, drop_conditioning)
            prefix_length = prefix.shape[1]
            inputs_embeds = torch.cat([prefix, inputs_embeds], dim=1)

        if self.config.conditioning_time_bias:
            kwargs["timeline"] = self._timeline(
                prefix_length, token_positions, conditioning_mask, attention_mask, past_key_values
            )
        outputs = self.decoder(
            inputs_embeds,
            attention_mask=self._key_mask(inputs_embeds, conditioning_mask, attention_mask, past_key_values),
            past_key_values=past_key_values,
            use_cache=use_cache,
            **kwargs,
        )
        hidden_states = slice_logits_to_keep(outputs.last_hidden_state[:, prefix_length:], logits_to_keep)
        if position_ids is not None or not (isinstance(logits_to_keep, int) and logits_to_keep == 0):
            token_positions = token_positions.expand(input_ids.shape[0], -1)[..., None]
            token_positions = slice_logits_to_keep(token_positions, logits_to_keep).squeeze(-1)
            logits = self._logits_at(hidden_states, token_positions)
        else:
            logits = self._logits(hidden_states)

        return HafmOutputWithPast(
            loss=self._loss(logits, labels) if labels is not None else None,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def shift_right(self, labels: torch.LongTensor) -> torch.LongTensor:
        """Teacher-forcing inputs of `labels`: BOS first, the last label dropped, ignored labels replaced by token 0."""
        input_ids = nn.functional.pad(labels[:, :-1], (1, 0), value=self.config.bos_token_id)
        return input_ids.masked_fill(input_ids == -100, 0)

    def _check_conditioning(self, given, past_key_values) -> dict[str, torch.LongTensor]:
        conditioning = {name: ids for name, ids in given.items() if ids is not None}
        if not conditioning and past_key_values is not None:
            return {}
        sources = self.config.conditioning_sources
        if sorted(conditioning) != sorted(sources):
            raise ValueError(
                f"{type(self).__name__} is conditioned on {', '.join(sources)}, but got "
                f"{', '.join(conditioning) or 'none of them'}; pass exactly those."
            )
        frames = [ids.shape[-1] for ids in conditioning.values()]
        if any(count != frames[0] for count in frames):
            raise ValueError(
                f"The conditioning sources of {type(self).__name__} differ in frames ({frames}); "
                "pad them alike and pass `conditioning_mask`."
            )
        return conditioning

    def _key_mask(self, inputs_embeds, conditioning_mask, attention_mask, past_key_values):
        """One mask over all keys: the conditioning's, once for each source, and the tokens'."""
        if conditioning_mask is None and attention_mask is None:
            return None
        batch_size, key_length = inputs_embeds.shape[:2]
        if past_key_values is not None:
            key_length = past_key_values.get_mask_sizes(key_length, 0)[0]
        if conditioning_mask is None:
            prefix_length = key_length - attention_mask.shape[1]
            conditioning_mask = attention_mask.new_ones(batch_size, prefix_length)
        else:
            conditioning_mask = conditioning_mask.repeat(1, len(self.config.conditioning_sources))
        if attention_mask is None:
            attention_mask = conditioning_mask.new_ones(batch_size, key_length - conditioning_mask.shape[1])
        return torch.cat([conditioning_mask.to(attention_mask.dtype), attention_mask], dim=1)

    def _timeline(
        self, prefix_length: int, token_positions, conditioning_mask, attention_mask, past_key_values
    ) -> Timeline:
        """Frames of the conditioning (`prefix_length` positions are given now, or it is in the cache) and of the tokens."""
        num_sources, past_length = len(self.config.conditioning_sources), 0
        key_length = query_length = prefix_length + token_positions.shape[1]
        if past_key_values is not None:
            past_length = past_key_values.get_seq_length()
            key_length = past_key_values.get_mask_sizes(query_length, 0)[0]
        # Conditioning in the cache: its mask tells its length, or what the tokens' mask leaves, or where the tokens began.
        if not prefix_length and conditioning_mask is not None:
            source_length = conditioning_mask.shape[1]
        elif not prefix_length and attention_mask is not None:
            source_length = (key_length - attention_mask.shape[1]) // num_sources
        else:
            source_length = (prefix_length or past_length - token_positions[:1, :1]) // num_sources

        slots = torch.arange(key_length, device=token_positions.device)[None]
        key_sources = torch.where(slots < num_sources * source_length, slots // source_length, -1)
        key_frames = slots % source_length
        if conditioning_mask is not None:
            frames = conditioning_mask.bool().cumsum(-1) - 1  # of real conditioning, as positions are
            key_frames = frames.gather(1, key_frames.expand(len(frames), -1))
        token_frames = token_positions // self.config.num_codebooks * self.config.conditioning_frame_rate
        token_frames = token_frames // self.config.frame_rate
        rows = max(len(key_frames), len(token_frames))
        query_frames = torch.cat(
            [key_frames[:, :prefix_length].expand(rows, -1), token_frames.expand(rows, -1)], dim=1
        )
        return Timeline(query_frames, key_frames, key_sources)

    def _logits(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Logits of a whole stream from BOS on: position `t` is routed to head `t % num_codebooks`."""
        num_codebooks, length = self.config.num_codebooks, hidden_states.shape[1]
        frames = nn.functional.pad(hidden_states, (0, 0, 0, -length % num_codebooks)).unflatten(1, (-1, num_codebooks))
        logits = torch.stack([head(frames[:, :, q]) for q, head in enumerate(self.lm_heads)], dim=2)
        return logits.flatten(1, 2)[:, :length]

    def _logits_at(self, hidden_states: torch.Tensor, position_ids: torch.LongTensor) -> torch.Tensor:
        """Logits at arbitrary stream positions; rows may differ (left padding), so every head runs and one is taken."""
        logits = torch.stack([head(hidden_states) for head in self.lm_heads], dim=-2)
        active = (position_ids % self.config.num_codebooks)[..., None, None]
        return logits.take_along_dim(active, dim=-2).squeeze(-2)

    def _loss(self, logits: torch.Tensor, labels: torch.LongTensor) -> torch.Tensor:
        losses = nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="none")
        losses, real = losses.view_as(labels), labels != -100
        codebooks = [slice(q, None, self.config.num_codebooks) for q in range(self.config.num_codebooks)]
        return torch.stack([losses[:, q].sum() / real[:, q].sum() for q in codebooks]).mean()


class HafmSemanticModel(HafmStageModel, HafmStageGenerationMixin):
    """Stage 1, `P(s_i | s_v)`: instrumental semantic tokens from vocal semantic tokens (paper, section 3.3)."""

    config: HafmSemanticConfig
    base_model_prefix = "semantic"
    prediction_name = "instrumental_semantic_ids"
    carries_context = True


class HafmCoarseModel(HafmStageModel, HafmStageGenerationMixin):
    """Stage 2, `P(a_c | s_v, s_i)`: the first codec codebooks from both semantic streams (paper, section 3.3)."""

    config: HafmCoarseConfig
    base_model_prefix = "coarse"
    prediction_name = "coarse_ids"
    carries_context = True


class HafmFineModel(HafmStageModel, HafmStageGenerationMixin):
    """Stage 3, `P(a_f | a_c)`: the remaining codec codebooks from the first ones (paper, section 3.3)."""

    config: HafmFineConfig
    base_model_prefix = "fine"
    prediction_name = "fine_ids"


class HafmModel(HafmCardMixin, StageSettingsMixin, HafmPreTrainedModel, HafmSongGenerationMixin):
    """
    The three stages of one checkpoint. `generate` and `stream` turn vocal semantic tokens into codec codes; for
    training and for logits use the stages, `model.semantic`, `model.coarse` and `model.fine`.
    """

    config: HafmConfig
    base_model_prefix = "hafm"

    def __init__(self, config: HafmConfig):
        super().__init__(config)
        self.semantic = HafmSemanticModel._from_config(config.semantic_config)
        self.coarse = HafmCoarseModel._from_config(config.coarse_config)
        self.fine = HafmFineModel._from_config(config.fine_config)
        self.post_init()

    @property
    def stages(self) -> dict[str, HafmStageModel]:
        """The stages by name, in the order in which they run."""
        return {"semantic": self.semantic, "coarse": self.coarse, "fine": self.fine}

    def get_input_embeddings(self):
        return self.semantic.get_input_embeddings()


HafmSemanticModel.register_for_auto_class("AutoModel")
HafmCoarseModel.register_for_auto_class("AutoModel")
HafmFineModel.register_for_auto_class("AutoModel")
HafmModel.register_for_auto_class("AutoModel")

__all__ = [
    "HafmCoarseModel",
    "HafmDecoder",
    "HafmFineModel",
    "HafmModel",
    "HafmOutputWithPast",
    "HafmPreTrainedModel",
    "HafmSemanticModel",
    "HafmStageModel",
]
