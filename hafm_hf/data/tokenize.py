# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Clips to aligned token columns (paper, section 3.2), as a function for `datasets.Dataset.map`."""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from safetensors.torch import save

from hafm_hf.modeling.processing_hafm import HafmProcessor


def tokenize_clips(batch: Mapping[str, Sequence[Any]], processor: HafmProcessor) -> dict[str, list[np.ndarray]]:
    """Add the token columns to a batch of clips.

    ```python
    columns = {"batched": True, "fn_kwargs": {"processor": processor}, "remove_columns": ["vocal", "instrumental"]}
    dataset = dataset.with_format("numpy").map(tokenize_clips, **columns)
    ```

    Args:
        batch: `id`, `vocal` and `instrumental` of each clip. Both waveforms are of one length, `[samples]`, at
            `processor.sampling_rate`. The noise that vocals get is seeded by the id, so a clip always has the same tokens.
        processor: With the audio tokenizer, on any device.

    Returns:
        `vocal_semantic` and `instrumental_semantic`, `[50 T]` each, and `instrumental_codes`, `[8, 75 T]`, as `int16`
        arrays, one a clip of T seconds (with the rates and the codebooks of the paper's tokenizer).

    Raises:
        ValueError: A waveform is empty or not finite.
    """
    rate = processor.sampling_rate
    seeds = [noise_seed(clip_id) for clip_id in batch["id"]]
    vocals = processor(audio=list(batch["vocal"]), sampling_rate=rate, seed=seeds)
    instrumentals = processor.encode(audio=list(batch["instrumental"]), sampling_rate=rate)
    return {
        "vocal_semantic": _rows(vocals["vocal_semantic_ids"], vocals["conditioning_mask"]),
        "instrumental_semantic": _rows(
            instrumentals["instrumental_semantic_ids"], instrumentals["instrumental_semantic_mask"]
        ),
        "instrumental_codes": _rows(instrumentals["instrumental_codes"], instrumentals["instrumental_codes_mask"]),
    }


def noise_seed(clip_id: str) -> int:
    """Seed of the noise that the vocal of a clip gets."""
    return zlib.crc32(clip_id.encode())


def tokenizer_digest(processor: HafmProcessor) -> str:
    """SHA-256 of all that decides the tokens of a waveform: weights, centroids and settings, wherever they were loaded from."""
    config = processor.audio_tokenizer.config
    settings = (
        processor.noise_std,
        processor.feature_extractor.do_normalize,
        config.bandwidth,
        config.chunk_seconds,
        config.semantic_context_seconds,
    )
    digest = hashlib.sha256(repr([float(setting) for setting in settings]).encode())
    for name, tensor in sorted(processor.audio_tokenizer.state_dict().items()):
        digest.update(save({name: tensor.contiguous()}))
    return digest.hexdigest()


def _rows(tokens, mask) -> list[np.ndarray]:
    """Rows `[..., frames]` of a batch without their padding."""
    return [row[..., : int(frames.sum())].numpy().astype(np.int16) for row, frames in zip(tokens, mask, strict=True)]
