# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Acoustic features on the frame grid of HuBERT, whose clusters are the first thing it learns to predict.

MFCC tell timbre, loudness and onsets but throw pitch away (Hsu et al., 2021, use them for speech); chroma tell the note
sung and the chord played.
"""

import functools
import math

import torch
from torch import nn
from transformers.audio_utils import chroma_filter_bank, mel_filter_bank

from . import FRAME, HOP, SAMPLING_RATE


NUM_MELS = 40
NUM_CEPSTRA = 13
FLOOR = 1e-2  # power of what counts as silence, about 40 dB below the mean of white noise of unit variance
CHROMA_WINDOW = 4096  # 256 ms: Hann windows of it tell semitones apart from about 250 Hz on


def mfcc(waveforms: torch.Tensor) -> torch.Tensor:
    """Mel-frequency cepstral coefficients with their first and second differences in time.

    Args:
        waveforms: `[batch, samples]` at 16 kHz.

    Returns:
        `[batch, frames, 39]`.
    """
    mels = spectrum(waveforms, FRAME, fft_length=512).square() @ _mel_filters().to(waveforms.device)
    cepstra = (mels + FLOOR).log() @ _cosine_transform().to(waveforms.device)
    slopes = _slope(cepstra)
    return torch.cat([cepstra, slopes, _slope(slopes)], dim=-1)


def chroma(waveforms: torch.Tensor) -> torch.Tensor:
    """Share of each pitch class from C, weighted by a Gaussian of 1.5 octaves around 440 Hz; zero in silence.

    Args:
        waveforms: `[batch, samples]` at 16 kHz, of unit variance over all.

    Returns:
        `[batch, frames, 12]`, of length 1 where there is sound.
    """
    energy = spectrum(waveforms, CHROMA_WINDOW, fft_length=CHROMA_WINDOW) @ _chroma_filters().to(waveforms.device)
    return energy / (energy.norm(dim=-1, keepdim=True) + 1.0)


def spectrum(waveforms: torch.Tensor, window: int, fft_length: int) -> torch.Tensor:
    """Magnitudes `[batch, frames, fft_length // 2 + 1]` in Hann windows, each in the middle of its HuBERT frame."""
    frames = (waveforms.shape[-1] - FRAME) // HOP + 1
    margin = (window - FRAME) // 2
    waveforms = nn.functional.pad(waveforms[:, None], (margin, margin), mode="reflect")[:, 0]
    windows = waveforms.unfold(-1, window, HOP)[:, :frames] * torch.hann_window(window, device=waveforms.device)
    return torch.fft.rfft(windows, fft_length).abs()


def _slope(frames: torch.Tensor) -> torch.Tensor:
    """Slope of the regression line through each frame of `[batch, frames, size]` and the two on either side."""
    padded = nn.functional.pad(frames, (0, 0, 2, 2), mode="replicate")
    before2, before1, after1, after2 = (padded[:, i : i + frames.shape[1]] for i in (0, 1, 3, 4))
    return (after1 - before1 + 2 * (after2 - before2)) / 10


@functools.cache
def _mel_filters() -> torch.Tensor:
    return torch.from_numpy(mel_filter_bank(257, NUM_MELS, 20.0, 7600.0, SAMPLING_RATE)).float()


@functools.cache
def _cosine_transform() -> torch.Tensor:
    """Orthonormal DCT-II `[mels, cepstra]`."""
    angles = math.pi / NUM_MELS * torch.outer(torch.arange(NUM_MELS) + 0.5, torch.arange(NUM_CEPSTRA))
    transform = angles.cos() * math.sqrt(2 / NUM_MELS)
    transform[:, 0] /= math.sqrt(2)
    return transform


@functools.cache
def _chroma_filters() -> torch.Tensor:
    filters = chroma_filter_bank(CHROMA_WINDOW, 12, SAMPLING_RATE, weighting_parameters=(4.0, 1.5))
    return torch.from_numpy(filters).float().T.contiguous()
