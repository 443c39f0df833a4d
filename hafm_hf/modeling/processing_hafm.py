# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Processor of HAFM: vocals to the tokens that the model reads, the codes it writes to waveforms."""

import copy
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.feature_extraction_utils import BatchFeature
from transformers.processing_utils import ProcessorMixin

from .audio_hafm import load_audio, resample, to_mono, write_wav
from .modeling_hafm_audio_tokenizer import HafmAudioTokenizer


AUDIO_TOKENIZER_FOLDER = "audio_tokenizer"
HUB_KWARGS = ("cache_dir", "force_download", "local_files_only", "token", "revision", "proxies")


class HafmProcessor(ProcessorMixin):
    r"""
    Wraps the audio tokenizer and the feature extractors of its two networks into one processor.

    All audio, in and out, is at one rate, `sampling_rate` (that of the codec, 24 kHz).

    feature_extractor (`Wav2Vec2FeatureExtractor`):
        That of the HuBERT; its `do_normalize` says whether inputs get zero mean and unit variance.
    codec_feature_extractor (`EncodecFeatureExtractor`):
        That of the codec.
    audio_tokenizer (`HafmAudioTokenizer`):
        Kept in the folder `audio_tokenizer` beside the processor's own file. It loads in float32 on the CPU; move it
        with `processor.audio_tokenizer.to(device)`.
    noise_std (`float`, defaults to 0.01):
        Standard deviation, full scale 1, of the Gaussian noise that vocals get before the HuBERT hears them. It masks
        what source separation leaves in training vocals, so it belongs to inference as well (paper, section 3.2).

    Raises:
        ValueError: if a feature extractor is for another sampling rate than its network.

    ```python
    hubert, codec = "facebook/hubert-large-ll60k", "facebook/encodec_24khz"
    processor = HafmProcessor(
        AutoFeatureExtractor.from_pretrained(hubert),
        AutoFeatureExtractor.from_pretrained(codec),
        HafmAudioTokenizer.from_parts(hubert, codec, "centroids.safetensors"),
    )
    inputs = processor(audio=vocal, sampling_rate=24000)
    ```
    """

    def __init__(self, feature_extractor, codec_feature_extractor, audio_tokenizer, noise_std=0.01):
        super().__init__(feature_extractor, codec_feature_extractor)
        config = audio_tokenizer.config
        for extractor, rate in (
            (feature_extractor, config.semantic_sampling_rate),
            (codec_feature_extractor, config.sampling_rate),
        ):
            if extractor.sampling_rate != rate:
                raise ValueError(
                    f"The {type(extractor).__name__} is for {extractor.sampling_rate} Hz, but its network takes {rate} Hz."
                )
        self.audio_tokenizer = audio_tokenizer
        self.noise_std = noise_std

    @property
    def sampling_rate(self) -> int:
        """Samples per second of all audio that goes in and comes out."""
        return self.audio_tokenizer.config.sampling_rate

    @property
    def model_input_names(self) -> list[str]:
        return ["vocal_semantic_ids", "conditioning_mask"]

    def __call__(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        noise: bool | None = None,
        seed: int | list[int] = 0,
        chunk_batch_size: int = 1,
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """Vocals to model inputs.

        Args:
            audio: one vocal, or a list of them: arrays or tensors `(samples,)` or `(channels, samples)`, whose channels
                are averaged, or whatever else `load_audio` reads.
            sampling_rate: of the arrays, in Hz; it must be the processor's.
            noise: `False` leaves out the noise of `noise_std`.
            seed: of the noise, one for all vocals or one for each. A vocal's noise does not depend on the others.
            chunk_batch_size: number of equally long chunks that run through the HuBERT together.

        Returns:
            `vocal_semantic_ids` and `conditioning_mask`, `(batch, ceil(50 * seconds))`: shorter rows are filled up with
            id 0 and mask 0.

        Raises:
            ValueError: if the sampling rate is missing or another one, or the audio is empty or not finite.
        """
        waveforms = self._load(audio, sampling_rate)
        seeds = [seed] * len(waveforms) if np.ndim(seed) == 0 else seed
        if len(seeds) != len(waveforms):
            raise ValueError(f"There are {len(seeds)} seeds for {len(waveforms)} vocals; pass one for each.")
        ids, mask = self._semantic_ids(
            waveforms, 0.0 if noise is False else self.noise_std, seeds, chunk_batch_size=chunk_batch_size
        )
        return BatchFeature({"vocal_semantic_ids": ids, "conditioning_mask": mask}, tensor_type=return_tensors)

    def encode(
        self, audio: Any, sampling_rate: int | None = None, chunk_batch_size: int = 1, return_tensors: str = "pt"
    ) -> BatchFeature:
        """Instrumentals to the tokens that the model learns to write. Arguments and errors are those of a call.

        Returns:
            `instrumental_semantic_ids` and `instrumental_semantic_mask`, `(batch, ceil(50 * seconds))`, and
            `instrumental_codes`, `(batch, codebooks, ceil(75 * seconds))`, with `instrumental_codes_mask`,
            `(batch, ceil(75 * seconds))`.
        """
        waveforms = self._load(audio, sampling_rate)
        ids, mask = self._semantic_ids(waveforms, 0.0, [0] * len(waveforms), chunk_batch_size)
        inputs = self.codec_feature_extractor(
            waveforms, sampling_rate=self.sampling_rate, padding=True, return_tensors="pt"
        )
        codes = self.audio_tokenizer.encode_acoustic(**inputs, chunk_batch_size=chunk_batch_size).cpu()
        codes_mask = self._frame_mask(inputs["padding_mask"], self.audio_tokenizer.config.hop_length)
        return BatchFeature(
            {
                "instrumental_semantic_ids": ids,
                "instrumental_semantic_mask": mask,
                "instrumental_codes": codes,
                "instrumental_codes_mask": codes_mask,
            },
            tensor_type=return_tensors,
        )

    def semantic_inputs(
        self, waveforms: list[np.ndarray], noise_std: float = 0.0, seeds: list[int] | None = None
    ) -> BatchFeature:
        """What the HuBERT hears of mono waveforms `(samples,)` at `sampling_rate`.

        Returns:
            `input_values` and `padding_mask`, `(batch, samples)`, at the rate of the HuBERT.
        """
        rate = self.feature_extractor.sampling_rate
        waveforms = [resample(waveform, self.sampling_rate, rate) for waveform in waveforms]
        if noise_std:
            waveforms = [
                waveform + noise_std * np.random.default_rng(seed).standard_normal(len(waveform), dtype=np.float32)
                for waveform, seed in zip(waveforms, seeds, strict=True)
            ]
        inputs = self.feature_extractor(
            waveforms, sampling_rate=rate, padding=True, return_attention_mask=True, return_tensors="pt"
        )
        return BatchFeature({"input_values": inputs["input_values"], "padding_mask": inputs["attention_mask"]})

    def _load(self, audio: Any, sampling_rate: int | None) -> list[np.ndarray]:
        """One mono waveform `(samples,)` at `sampling_rate` for each input."""
        clips = [load_audio(clip, sampling_rate) for clip in (audio if isinstance(audio, (list, tuple)) else [audio])]
        for clip in clips:
            if clip.sampling_rate != self.sampling_rate:
                raise ValueError(
                    f"{clip.name} is at {clip.sampling_rate} Hz; resample it to {self.sampling_rate} Hz first, "
                    "or use the pipeline, which takes any rate."
                )
        return [to_mono(clip.waveform) for clip in clips]

    def _semantic_ids(self, waveforms, noise_std, seeds, chunk_batch_size) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = self.semantic_inputs(waveforms, noise_std, seeds)
        ids = self.audio_tokenizer.encode_semantic(**inputs, chunk_batch_size=chunk_batch_size).cpu()
        return ids, self._frame_mask(inputs["padding_mask"], self.audio_tokenizer.config.semantic_hop_length)

    @staticmethod
    def _frame_mask(padding_mask: torch.Tensor, hop_length: int) -> torch.LongTensor:
        """A mask over samples as one over frames, of which a begun one counts."""
        return padding_mask[:, ::hop_length].long()

    def decode(self, codes: torch.Tensor, length: int | None = None) -> np.ndarray:
        """Codes `(codebooks, frames)` to a float32 waveform `(samples,)` at `sampling_rate`, of `length` samples if given."""
        codes = torch.as_tensor(codes)
        if length is not None:
            codes = codes[:, : -(-length // self.audio_tokenizer.config.hop_length)]
        return self.audio_tokenizer.decode(codes[None], length)[0].cpu().numpy()

    def batch_decode(self, codes: torch.Tensor, lengths: list[int] | None = None) -> list[np.ndarray]:
        """Codes `(batch, codebooks, frames)` to one waveform each, as `decode` does, of `lengths` samples if given."""
        return [self.decode(row, length) for row, length in zip(codes, lengths or [None] * len(codes), strict=True)]

    def save_audio(self, path: str | os.PathLike, waveform: np.ndarray | torch.Tensor):
        """Writes a waveform `(samples,)` or `(channels, samples)` at `sampling_rate` as a WAV file."""
        write_wav(path, waveform, self.sampling_rate)

    def to_dict(self) -> dict[str, Any]:
        # The base class deep-copies every attribute and would mention the tokenizer, which has a folder of its own.
        bare = copy.copy(self)
        del bare.audio_tokenizer
        return super(HafmProcessor, bare).to_dict()

    def save_pretrained(
        self,
        save_directory: str | os.PathLike,
        push_to_hub: bool = False,
        max_shard_size: int | str = "50GB",
        **kwargs,
    ):
        """Saves the processor and, in the folder `audio_tokenizer`, its audio tokenizer.

        Args:
            save_directory: created if missing.
            push_to_hub: also upload both to `repo_id`, by default the name of the folder.
            max_shard_size: of the tokenizer's weight files.
            kwargs: those of `push_to_hub`.
        """
        files = super().save_pretrained(save_directory)
        self.audio_tokenizer.save_pretrained(
            os.path.join(save_directory, AUDIO_TOKENIZER_FOLDER), max_shard_size=max_shard_size
        )
        if push_to_hub:
            # The upload of the base class would leave out what was saved after its own files.
            self.push_to_hub(kwargs.pop("repo_id", Path(save_directory).name), max_shard_size=max_shard_size, **kwargs)
        return files

    @classmethod
    def _get_arguments_from_pretrained(cls, pretrained_model_name_or_path, processor_dict=None, **kwargs):
        # The class is named here rather than resolved by AutoModel, which looks for code only at the top of a repository.
        audio_tokenizer = HafmAudioTokenizer.from_pretrained(
            pretrained_model_name_or_path,
            subfolder="/".join(filter(None, (kwargs.get("subfolder"), AUDIO_TOKENIZER_FOLDER))),
            **{key: kwargs[key] for key in HUB_KWARGS if key in kwargs},
        )
        arguments = super()._get_arguments_from_pretrained(pretrained_model_name_or_path, processor_dict, **kwargs)
        return [*arguments, audio_tokenizer]


HafmProcessor.register_for_auto_class()

__all__ = ["HafmProcessor"]
