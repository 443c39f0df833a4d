# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Separation without weights: REPET-SIM (Rafii and Pardo 2012). What repeats is the band, what does not is the voice.

Far below a trained network: for smoke tests and machines without weights, not for training data.
"""

import math

import numpy as np
import torch

from .base import MixtureSeparator


WINDOW_SECONDS = 0.064
NEIGHBOURS = 20
MIN_DISTANCE_SECONDS = 1.0
LOWEST_VOICE_HZ = 100.0
BLOCK = 256


class RepetSeparator(MixtureSeparator):
    """REPET-SIM: each frame of the band is the median of the frames most like it; it takes no arguments."""

    name = "repet"

    def __init__(self):
        self.parameters = {
            "window_seconds": WINDOW_SECONDS,
            "neighbours": NEIGHBOURS,
            "min_distance_seconds": MIN_DISTANCE_SECONDS,
            "lowest_voice_hz": LOWEST_VOICE_HZ,
        }

    def estimate_vocal(self, mixture: np.ndarray, sampling_rate: int) -> np.ndarray:
        n_fft = 2 ** round(math.log2(WINDOW_SECONDS * sampling_rate))
        hop = n_fft // 4
        settings = {"n_fft": n_fft, "hop_length": hop, "window": torch.hann_window(n_fft)}
        audio = torch.from_numpy(mixture)
        # Constant padding, unlike reflection, works for clips shorter than a window too.
        spectrum = torch.stft(audio, **settings, pad_mode="constant", return_complex=True)
        magnitude = spectrum.abs().mean(dim=0).T.contiguous()  # [frames, bins]
        band = torch.minimum(_repeating(magnitude, round(MIN_DISTANCE_SECONDS * sampling_rate / hop)), magnitude)
        mask = 1 - (band + 1e-10) / (magnitude + 1e-10)
        mask[:, : int(LOWEST_VOICE_HZ * n_fft / sampling_rate) + 1] = 0
        return torch.istft(spectrum * mask.T, **settings, length=audio.shape[1]).numpy()


def _repeating(magnitude: torch.Tensor, min_distance: int) -> torch.Tensor:
    """The part of a spectrogram `[frames, bins]` that repeats, block by block so that long songs fit into memory."""
    unit = torch.nn.functional.normalize(magnitude, dim=1)
    frames = torch.arange(len(magnitude))
    repeating = torch.empty_like(magnitude)
    for block in frames.split(BLOCK):
        similarity = unit[block] @ unit.T
        near = (block[:, None] - frames).abs() < min_distance
        # A frame is like its neighbours because notes last, not because they repeat; itself it may keep.
        similarity[near & (block[:, None] != frames)] = -1
        nearest = similarity.topk(min(NEIGHBOURS, len(frames)), dim=1).indices
        repeating[block] = magnitude[nearest].median(dim=1).values
    return repeating
