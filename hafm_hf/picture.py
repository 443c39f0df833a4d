# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A picture of recordings on one time axis: the waveform and the mel spectrogram of each."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import torch
from transformers.audio_utils import hertz_to_mel, mel_filter_bank

from .data.resume import replacing


FFT_SIZE, HOP, MEL_BANDS, FLOOR_DB = 1024, 256, 96, -80.0
COLUMNS = 2000


def mel_decibels(waveform: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Mel power spectrogram `(bands, frames)` of a waveform `(samples,)`, in dB below its loudest cell, at least -80."""
    signal = torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32))
    spectrum = torch.stft(
        signal, FFT_SIZE, HOP, window=torch.hann_window(FFT_SIZE), pad_mode="constant", return_complex=True
    )
    filters = mel_filter_bank(FFT_SIZE // 2 + 1, MEL_BANDS, 30.0, sampling_rate / 2, sampling_rate, norm="slaney")
    power = filters.T @ spectrum.abs().square().numpy()
    return np.maximum(10 * np.log10(power / max(power.max(), 1e-10) + 1e-12), FLOOR_DB)


def envelope(waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First sample, minimum and maximum of each column of a picture; millions of samples take minutes to draw singly."""
    columns = np.linspace(0, len(waveform), min(len(waveform), COLUMNS), endpoint=False).astype(int)
    return columns, np.minimum.reduceat(waveform, columns), np.maximum.reduceat(waveform, columns)


def require_matplotlib() -> None:
    """
    Raises:
        ValueError: if matplotlib, which draws the pictures, is missing.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError('A picture needs matplotlib; install it with `pip install "hafm-hf[demo]"`.')


def draw(path: str | os.PathLike, recordings: dict[str, np.ndarray], sampling_rate: int) -> None:
    """
    Draw recordings of one length, `{title: waveform (samples,)}`, to a PNG file, written whole or not at all.

    Raises:
        ValueError: if matplotlib is missing.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    path = Path(path)
    figure = Figure(figsize=(12, 3 * len(recordings)), layout="constrained")
    axes = figure.subplots(2 * len(recordings), 1, sharex=True, height_ratios=[1, 2] * len(recordings))
    highest = sampling_rate / 2
    for (title, waveform), (wave, mel) in zip(recordings.items(), axes.reshape(-1, 2), strict=True):
        seconds = len(waveform) / sampling_rate
        columns, low, high = envelope(waveform)
        wave.fill_between(columns / sampling_rate, low, high, linewidth=0.3, color="#23415f")
        wave.set(title=title, ylim=(-1, 1), ylabel="amplitude")
        mel.imshow(
            mel_decibels(waveform, sampling_rate),
            origin="lower", aspect="auto", cmap="magma", vmin=FLOOR_DB, vmax=0, extent=(0, seconds, 0, MEL_BANDS),
        )  # fmt: skip
        ticks = [hertz for hertz in (100, 500, 1000, 2000, 5000, 10000) if hertz < highest]
        mel.set_yticks([mel_band(hertz, highest) for hertz in ticks], [f"{hertz:,}" for hertz in ticks])
        mel.set(ylabel="Hz (mel)", xlim=(0, seconds))
    axes[-1].set_xlabel("seconds")

    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=110)


def mel_band(hertz: float, highest: float) -> float:
    """Where a frequency lies among the bands."""
    low, high = hertz_to_mel(30.0), hertz_to_mel(highest)
    return float((hertz_to_mel(hertz) - low) / (high - low) * MEL_BANDS)
