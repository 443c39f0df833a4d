# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""HAFM model configurations: one for each of the three stages, and the composite that holds them."""

from huggingface_hub.dataclasses import strict
from transformers.configuration_utils import PreTrainedConfig


@strict
class HafmStageConfig(PreTrainedConfig):
    r"""
    What the three stages share: a decoder-only Transformer (paper, section 3.4) that reads conditioning tokens and
    predicts `num_codebooks` interleaved token streams. The defaults are the paper's.

    vocab_size (`int`):
        Size `V_p` of each predicted codebook. Every codebook has one further embedding, the BOS token, whose id is
        `vocab_size`.
    num_codebooks (`int`):
        Number `Q` of predicted codebooks, interleaved frame by frame into one stream of `Q * frames` tokens.
    frame_rate (`int`):
        Frames per second of the prediction.
    conditioning_sources (`list[str]`):
        Names of the conditioning inputs, in the order in which they precede the prediction.
    conditioning_vocab_size (`int`):
        Size `V` of each conditioning codebook. One further embedding is the mask token.
    conditioning_num_codebooks (`int`):
        Codebooks of each conditioning source; their embeddings are summed, so a source takes one position a frame.
    conditioning_frame_rate (`int`):
        Frames per second of the conditioning.
    window_seconds (`float`):
        Clip length the stage is trained on (paper, Table 1), and the window it generates in.
    hidden_size (`int`, defaults to 512), num_hidden_layers (`int`, defaults to 12), num_attention_heads (`int`, defaults to 8):
        Shape of the Transformer.
    head_dim (`int`, *optional*):
        Size of each attention head, `hidden_size // num_attention_heads` by default.
    intermediate_size (`int`, defaults to 1365):
        Inner size of the GEGLU feed-forward network: two thirds of `4 * hidden_size`, rounded down.
    hidden_act (`str`, defaults to `"gelu"`):
        Activation of the gate.
    rms_norm_eps (`float`, defaults to 1e-6):
        Epsilon of every RMSNorm, those of queries and keys included.
    relative_attention_num_buckets (`int`, defaults to 32):
        Buckets of the causal T5 relative position bias: the first half exact, the rest logarithmic.
    relative_attention_max_distance (`int`, *optional*):
        Distance from which on all share the last bucket. By default the length of the trained sequence, conditioning
        and prediction together.
    conditioning_time_bias (`bool`, defaults to `False`):
        Whether conditioning keys get a position bias of their own, by how far in time they are from the query. In the
        paper all keys share one by the distance in the sequence, which does not tell what sounds together.
    attention_dropout (`float`, defaults to 0.0):
        Dropout on the attention weights. The paper uses none.
    conditioning_dropout (`float`, defaults to 0.1):
        Probability of training a sample without its conditioning, for classifier-free guidance (section 3.5).
    conditioning_dropout_mode (`str`, defaults to `"zeros"`):
        What replaces dropped conditioning: `"zeros"` in place of its token embeddings (section 3.5) or the
        `"mask_token"` (section 3.4). The segment embedding stays in both.
    """

    base_config_key = ""
    keys_to_ignore_at_inference = ["past_key_values"]

    vocab_size: int = 1024
    num_codebooks: int = 1
    frame_rate: int = 75
    conditioning_sources: list[str] | tuple[str, ...] = ("vocal_semantic_ids",)
    conditioning_vocab_size: int = 500
    conditioning_num_codebooks: int = 1
    conditioning_frame_rate: int = 50
    window_seconds: float | int = 10.0
    hidden_size: int = 512
    num_hidden_layers: int = 12
    num_attention_heads: int = 8
    head_dim: int | None = None
    intermediate_size: int = 1365
    hidden_act: str = "gelu"
    rms_norm_eps: float = 1e-6
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int | None = None
    conditioning_time_bias: bool = False
    attention_dropout: float | int = 0.0
    conditioning_dropout: float | int = 0.1
    conditioning_dropout_mode: str = "zeros"
    initializer_range: float = 0.02
    use_cache: bool = True
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    pad_token_id: int | None = None
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs):
        self.conditioning_sources = list(self.conditioning_sources)
        if self.head_dim is None:
            self.head_dim = self.hidden_size // self.num_attention_heads
        self.bos_token_id = self.vocab_size
        if self.relative_attention_max_distance is None:
            self.relative_attention_max_distance = self.conditioning_length + self.window_frames * self.num_codebooks
        super().__post_init__(**kwargs)

    @property
    def window_frames(self) -> int:
        """Predicted frames in one window."""
        return round(self.window_seconds * self.frame_rate)

    @property
    def conditioning_window_frames(self) -> int:
        """Conditioning frames of each source in one window."""
        return round(self.window_seconds * self.conditioning_frame_rate)

    @property
    def conditioning_length(self) -> int:
        """Positions the conditioning takes before the prediction in one window."""
        return self.conditioning_window_frames * len(self.conditioning_sources)

    def prediction_frames(self, conditioning_frames: int) -> int:
        """Frames to predict for so many conditioning frames: `T_a = T_v * 75 / 50` in the coarse stage (section 3.5)."""
        return -(-conditioning_frames * self.frame_rate // self.conditioning_frame_rate)

    def validate_architecture(self):
        for name in ("vocab_size", "num_codebooks", "frame_rate", "conditioning_frame_rate", "window_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"`{name}` is {getattr(self, name)}; it must be positive.")
        if self.relative_attention_max_distance <= self.relative_attention_num_buckets // 2:
            raise ValueError(
                f"`relative_attention_max_distance` is {self.relative_attention_max_distance}; it must exceed the "
                f"{self.relative_attention_num_buckets // 2} distances that have a bucket each."
            )
        if self.conditioning_dropout_mode not in ("zeros", "mask_token"):
            raise ValueError(
                f"`conditioning_dropout_mode` is {self.conditioning_dropout_mode!r}; use 'zeros' or 'mask_token'."
            )
        for name in ("frame_rate", "conditioning_frame_rate"):
            frames = self.window_seconds * getattr(self, name)
            if abs(frames - round(frames)) > 1e-6:
                raise ValueError(
                    f"A window of {self.window_seconds} s is not a whole number of frames at `{name}` {getattr(self, name)}; "
                    "choose `window_seconds` on the grid common to both rates (40 ms for 50 and 75 Hz)."
                )

    def validate_token_ids(self):
        """BOS is one past the vocabulary on purpose, so the range check of the base class does not apply."""


@strict
class HafmSemanticConfig(HafmStageConfig):
    """Stage 1: vocal semantic tokens to instrumental semantic tokens, both 50 a second (paper, section 3.3)."""

    model_type = "hafm_semantic"
    base_config_key = "semantic_config"

    vocab_size: int = 500
    frame_rate: int = 50


@strict
class HafmCoarseConfig(HafmStageConfig):
    """Stage 2: vocal and instrumental semantic tokens to codebooks 1-4, 75 frames a second (paper, section 3.3)."""

    model_type = "hafm_coarse"
    base_config_key = "coarse_config"

    num_codebooks: int = 4
    conditioning_sources: list[str] | tuple[str, ...] = ("vocal_semantic_ids", "instrumental_semantic_ids")
    window_seconds: float | int = 5.0


@strict
class HafmFineConfig(HafmStageConfig):
    """Stage 3: codebooks 1-4 to codebooks 5-8, 75 frames a second (paper, section 3.3)."""

    model_type = "hafm_fine"
    base_config_key = "fine_config"

    num_codebooks: int = 4
    conditioning_sources: list[str] | tuple[str, ...] = ("coarse_ids",)
    conditioning_vocab_size: int = 1024
    conditioning_num_codebooks: int = 4
    conditioning_frame_rate: int = 75
    window_seconds: float | int = 3.0


@strict
class HafmConfig(PreTrainedConfig):
    r"""
    The three stages of one HAFM checkpoint.

    semantic_config, coarse_config, fine_config (`HafmSemanticConfig`, `HafmCoarseConfig`, `HafmFineConfig`, *optional*):
        Configurations of the stages; the paper's by default.
    """

    model_type = "hafm"
    sub_configs_defaults = {
        "semantic_config": HafmSemanticConfig,
        "coarse_config": HafmCoarseConfig,
        "fine_config": HafmFineConfig,
    }

    semantic_config: dict | PreTrainedConfig | None = None
    coarse_config: dict | PreTrainedConfig | None = None
    fine_config: dict | PreTrainedConfig | None = None
    initializer_range: float = 0.02
    tie_word_embeddings: bool = False

    @property
    def stage_configs(self) -> tuple[PreTrainedConfig, PreTrainedConfig, PreTrainedConfig]:
        """The stages in the order in which they run."""
        return self.semantic_config, self.coarse_config, self.fine_config

    def validate_architecture(self):
        semantic, coarse, fine = self.stage_configs
        chain = {
            "coarse_config.conditioning_vocab_size": (coarse.conditioning_vocab_size, semantic.vocab_size),
            "coarse_config.conditioning_frame_rate": (coarse.conditioning_frame_rate, semantic.frame_rate),
            "fine_config.conditioning_vocab_size": (fine.conditioning_vocab_size, coarse.vocab_size),
            "fine_config.conditioning_num_codebooks": (fine.conditioning_num_codebooks, coarse.num_codebooks),
            "fine_config.conditioning_frame_rate": (fine.conditioning_frame_rate, coarse.frame_rate),
            "fine_config.frame_rate": (fine.frame_rate, coarse.frame_rate),
            "semantic_config.conditioning_vocab_size": (
                semantic.conditioning_vocab_size,
                coarse.conditioning_vocab_size,
            ),
            "semantic_config.conditioning_frame_rate": (
                semantic.conditioning_frame_rate,
                coarse.conditioning_frame_rate,
            ),
            "semantic_config.num_codebooks": (semantic.num_codebooks, coarse.conditioning_num_codebooks),
        }
        for name, (value, expected) in chain.items():
            if value != expected:
                raise ValueError(f"`{name}` is {value}, but the stage next to it has {expected}; make the two agree.")


HafmSemanticConfig.register_for_auto_class()
HafmCoarseConfig.register_for_auto_class()
HafmFineConfig.register_for_auto_class()
HafmConfig.register_for_auto_class()

__all__ = ["HafmCoarseConfig", "HafmConfig", "HafmFineConfig", "HafmSemanticConfig", "HafmStageConfig"]
