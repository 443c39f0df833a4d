# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Configuration of the audio tokenizer: a HuBERT with k-means centroids, and an EnCodec (paper, section 3.2)."""

import math

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import PreTrainedConfig, SubConfigSpec


# HuBERT-Large, as in the paper.
HUBERT_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "conv_bias": True,
    "do_stable_layer_norm": True,
}


@strict
class HafmAudioTokenizerConfig(PreTrainedConfig):
    r"""
    The defaults are the paper's: HuBERT-Large, layer 9, 500 clusters; EnCodec at 24 kHz and 6 kbps, 8 codebooks.

    semantic_model_config (`HubertConfig` or `dict`, *optional*):
        The whole HuBERT; the tokenizer holds its first `semantic_layer` layers.
    acoustic_model_config (`EncodecConfig` or `dict`, *optional*):
        The codec: mono, one pass over the whole input, no loudness normalisation.
    semantic_layer (`int`, defaults to 9):
        Transformer layer whose output is clustered, counted from 1.
    num_clusters (`int`, defaults to 500):
        Number of k-means centroids, the size of the semantic vocabulary.
    semantic_sampling_rate (`int`, defaults to 16000):
        Samples per second that the HuBERT takes.
    bandwidth (`float`, defaults to 6.0):
        Bandwidth of the codec in kbit/s; it sets the number of codebooks.
    chunk_seconds (`float`, defaults to 10.0):
        Longer inputs go through the networks in chunks of this length, so that memory stays bounded. It must hold whole
        frames of both networks. As the HuBERT attends over a chunk, semantic tokens depend on it; acoustic codes do not.
    semantic_context_seconds (`float`, defaults to 1.0):
        What the HuBERT hears besides on both sides of a chunk.
    """

    model_type = "hafm_tokenizer"
    sub_configs_defaults = {
        "semantic_model_config": SubConfigSpec(AutoConfig, model_type="hubert", init_kwargs=HUBERT_LARGE),
        "acoustic_model_config": SubConfigSpec(AutoConfig, model_type="encodec"),
    }

    semantic_model_config: dict | PreTrainedConfig | None = None
    acoustic_model_config: dict | PreTrainedConfig | None = None
    semantic_layer: int = 9
    num_clusters: int = 500
    semantic_sampling_rate: int = 16000
    bandwidth: float | int = 6.0
    chunk_seconds: float | int = 10.0
    semantic_context_seconds: float | int = 1.0

    @property
    def semantic_hop_length(self) -> int:
        """Samples (at `semantic_sampling_rate`) from one semantic frame to the next."""
        return math.prod(self.semantic_model_config.conv_stride)

    @property
    def semantic_window_length(self) -> int:
        """Samples (at `semantic_sampling_rate`) that one semantic frame is computed from by the convolutions."""
        window, hop = 1, 1
        for kernel, stride in zip(
            self.semantic_model_config.conv_kernel, self.semantic_model_config.conv_stride, strict=True
        ):
            window += (kernel - 1) * hop
            hop *= stride
        return window

    @property
    def semantic_frame_rate(self) -> int:
        """Semantic tokens per second."""
        return self.semantic_sampling_rate // self.semantic_hop_length

    @property
    def sampling_rate(self) -> int:
        """Samples per second that the codec takes and gives."""
        return self.acoustic_model_config.sampling_rate

    @property
    def hop_length(self) -> int:
        """Samples (at `sampling_rate`) of one acoustic frame."""
        return math.prod(self.acoustic_model_config.upsampling_ratios)

    @property
    def frame_rate(self) -> int:
        """Acoustic frames per second."""
        return self.sampling_rate // self.hop_length

    @property
    def codebook_size(self) -> int:
        """Number of codes in each codebook."""
        return self.acoustic_model_config.codebook_size

    @property
    def num_codebooks(self) -> int:
        """Codebooks that `bandwidth` pays for."""
        return int(1000 * self.bandwidth / (math.log2(self.codebook_size) * self.frame_rate))

    @property
    def semantic_chunk_frames(self) -> int:
        """Frames of one chunk for the HuBERT."""
        return round(self.chunk_seconds * self.semantic_frame_rate)

    @property
    def semantic_context_frames(self) -> int:
        """Frames that the HuBERT hears on either side of a chunk."""
        return round(self.semantic_context_seconds * self.semantic_frame_rate)

    @property
    def chunk_frames(self) -> int:
        """Frames of one chunk for the codec."""
        return round(self.chunk_seconds * self.frame_rate)

    @property
    def context_frames(self) -> int:
        """Frames to either side of a chunk beyond which the convolutions of the codec see nothing."""
        codec = self.acoustic_model_config
        reach, hop = max(codec.kernel_size, codec.last_kernel_size) - 1, 1
        dilations = sum(codec.dilation_growth_rate**layer for layer in range(codec.num_residual_layers))
        for ratio in reversed(codec.upsampling_ratios):
            reach += (codec.residual_kernel_size - 1) * dilations * hop + (2 * ratio - 1) * hop
            hop *= ratio
        return math.ceil(reach / hop)

    def validate_architecture(self):
        semantic, codec = self.semantic_model_config, self.acoustic_model_config
        if not 1 <= self.semantic_layer <= semantic.num_hidden_layers:
            raise ValueError(
                f"`semantic_layer` is {self.semantic_layer}, but the HuBERT has layers 1 to {semantic.num_hidden_layers}."
            )
        if codec.model_type != "encodec" or codec.audio_channels != 1 or codec.normalize or codec.chunk_length_s:
            raise ValueError(
                "The codec must be a mono EnCodec without `normalize` and `chunk_length_s`, as facebook/encodec_24khz is."
            )
        if codec.norm_type != "weight_norm":
            raise ValueError(
                f"The codec has `norm_type` {codec.norm_type!r}, which needs whole inputs; use 'weight_norm'."
            )
        for name, rate, hop in (
            ("HuBERT", self.semantic_sampling_rate, self.semantic_hop_length),
            ("codec", self.sampling_rate, self.hop_length),
        ):
            if rate % hop:
                raise ValueError(f"The {name} takes {rate} samples a second and hops {hop}: no whole frames a second.")
        if self.bandwidth not in codec.target_bandwidths:
            raise ValueError(
                f"`bandwidth` is {self.bandwidth}, but the codec knows {list(codec.target_bandwidths)} kbit/s."
            )
        for name, frame_rate in (
            ("chunk_seconds", self.semantic_frame_rate),
            ("chunk_seconds", self.frame_rate),
            ("semantic_context_seconds", self.semantic_frame_rate),
        ):
            frames = getattr(self, name) * frame_rate
            if frames < 0 or abs(frames - round(frames)) > 1e-6:
                raise ValueError(
                    f"`{name}` is {getattr(self, name)}, not a whole number of frames at {frame_rate} frames a second."
                )
        if self.chunk_frames == 0:
            raise ValueError("`chunk_seconds` is 0; memory stays bounded with about 10 s.")

    def to_dict(self):
        output = super().to_dict()
        # transformers takes classes named "Tokenizer" for pairs of text tokenizers, slow and fast, which AutoModel cannot read.
        for auto_class, name in output.get("auto_map", {}).items():
            output["auto_map"][auto_class] = name if isinstance(name, str) else name[0]
        return output


HafmAudioTokenizerConfig.register_for_auto_class()

__all__ = ["HafmAudioTokenizerConfig"]
