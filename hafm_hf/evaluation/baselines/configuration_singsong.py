# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Configurations of SingSong on the tokens of HAFM: its encoder-decoder, and the model that holds it and a fine stage."""

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig, T5Config

from ...modeling.configuration_hafm import HafmCoarseConfig, HafmFineConfig


# Encoder and decoder have as many layers each. Base and XL are those of T5.1.1 (Raffel et al., JMLR 2020; Shazeer, 2020).
SHAPES = {
    "tiny": {"hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 3, "intermediate_size": 512},
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 2048},
    "xl": {"hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 32, "intermediate_size": 5120},
}


@strict
class SingSongSeq2SeqConfig(HafmCoarseConfig):
    r"""
    A T5 (version 1.1) that reads vocal semantic tokens and writes instrumental semantic tokens, then coarse codes.

    It is fed with the very clips of HAFM's coarse stage, so it says of them what that says: `vocab_size` and
    `num_codebooks` of the codes, `conditioning_vocab_size` of either semantic stream, rates, `window_seconds`. The shape
    is by default Base; `SHAPES` has others.

    num_hidden_layers (`int`, defaults to 12):
        Layers of the encoder, and as many of the decoder.
    relative_attention_max_distance (`int`, defaults to 128):
        Distance from which on all share the last bucket of T5's relative position bias.
    dropout_rate (`float`, defaults to 0.0):
        T5's dropout. T5.1.1 is trained without.
    conditioning_dropout (`float`, defaults to 0.0):
        SingSong has no guidance, for which HAFM drops conditioning.
    """

    model_type = "singsong_seq2seq"
    base_config_key = "seq2seq_config"
    _auto_class = None  # unlike HAFM's own, it is loaded with the package only, so no code is saved with it

    window_seconds: float | int = 10.0
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    head_dim: int | None = 64
    intermediate_size: int = 2048
    relative_attention_max_distance: int | None = 128
    dropout_rate: float | int = 0.0
    conditioning_dropout: float | int = 0.0

    @property
    def semantic_offset(self) -> int:
        """The T5's id of semantic token 0, of vocals and instrumentals alike; what comes before is padding."""
        return 1

    @property
    def acoustic_offset(self) -> int:
        """The T5's id of code 0 of the first codebook; the other codebooks follow."""
        return self.semantic_offset + self.conditioning_vocab_size

    @property
    def t5_config(self) -> T5Config:
        """The T5 over one vocabulary of all tokens."""
        return T5Config(
            vocab_size=self.acoustic_offset + self.num_codebooks * self.vocab_size,
            d_model=self.hidden_size,
            d_kv=self.head_dim,
            d_ff=self.intermediate_size,
            num_layers=self.num_hidden_layers,
            num_heads=self.num_attention_heads,
            relative_attention_num_buckets=self.relative_attention_num_buckets,
            relative_attention_max_distance=self.relative_attention_max_distance,
            dropout_rate=self.dropout_rate,
            feed_forward_proj="gated-gelu",
            pad_token_id=0,
            decoder_start_token_id=0,
            eos_token_id=None,  # the vocal's length says where the target ends
        )


@strict
class SingSongConfig(PreTrainedConfig):
    r"""
    SingSong on the tokens of HAFM.

    seq2seq_config (`SingSongSeq2SeqConfig`, *optional*):
        Of the T5 that writes semantic tokens and coarse codes; Base by default.
    fine_config (`HafmFineConfig`, *optional*):
        Of the decoder that adds the fine codes; the paper's by default.
    """

    model_type = "singsong"
    sub_configs_defaults = {"seq2seq_config": SingSongSeq2SeqConfig, "fine_config": HafmFineConfig}

    seq2seq_config: dict | PreTrainedConfig | None = None
    fine_config: dict | PreTrainedConfig | None = None
    tie_word_embeddings: bool = False

    def validate_architecture(self):
        seq2seq, fine = self.seq2seq_config, self.fine_config
        chain = {
            "conditioning_vocab_size": seq2seq.vocab_size,
            "conditioning_num_codebooks": seq2seq.num_codebooks,
            "conditioning_frame_rate": seq2seq.frame_rate,
        }
        for name, expected in chain.items():
            if getattr(fine, name) != expected:
                raise ValueError(
                    f"`fine_config.{name}` is {getattr(fine, name)}, but the encoder-decoder has {expected}; make the two agree."
                )
