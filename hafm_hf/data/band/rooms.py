# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Rooms and microphones: where a recording was made and how it was picked up, drawn from a random stream."""

import numpy as np

from .syllables import SAMPLING_RATE


def record(
    samples: np.ndarray,
    rng: np.random.Generator,
    reverberation: tuple[float, float],
    wet_db: tuple[float, float],
    noise_db: tuple[float, float] | None = None,
) -> np.ndarray:
    """`samples` as a microphone in some room hears them, float32 of the same length.

    Args:
        samples: float `[samples]` at 24 kHz.
        rng: draws the room and the microphone.
        reverberation: range of the reverberation time (to -60 dB) in seconds.
        wet_db: range of the reverberation's energy relative to the direct sound, in dB.
        noise_db: range of the microphone's own noise in dB full scale; None for none.
    """
    room = _room(rng, rng.uniform(*reverberation), rng.uniform(*wet_db))
    size = _fast_length(len(samples) + len(room))
    spectrum = np.fft.rfft(np.asarray(samples, np.float32), size) * np.fft.rfft(room, size)
    spectrum *= _microphone(rng, np.fft.rfftfreq(size, 1 / SAMPLING_RATE))
    heard = np.fft.irfft(spectrum, size)[: len(samples)]
    if noise_db is not None:
        heard += rng.normal(size=len(samples)) * 10 ** (rng.uniform(*noise_db) / 20)
    return heard.astype(np.float32)


def _room(rng: np.random.Generator, seconds: float, wet_db: float) -> np.ndarray:
    """An impulse response: the direct sound, then decaying noise that loses its treble as rooms do."""
    length = int(seconds * SAMPLING_RATE)
    time = np.arange(length) / SAMPLING_RATE
    tail = rng.normal(size=length) * 10 ** (-3 * time / seconds)
    dull = np.convolve(tail, np.hanning(8), mode="same")
    share = np.clip(time / seconds * 2, 0, 1)
    tail = tail * (1 - share) + dull / 2 * share
    tail[: int(rng.uniform(0.004, 0.02) * SAMPLING_RATE)] = 0.0
    tail *= 10 ** (wet_db / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail


def _microphone(rng: np.random.Generator, hertz: np.ndarray) -> np.ndarray:
    """A frequency response: rumble cut, a tilt, one broad bump, and an upper limit."""
    cut, limit = rng.uniform(40, 130), rng.uniform(9_000, 12_000)
    octaves = np.log2(np.maximum(hertz, 20.0) / 1000.0)
    bump = rng.uniform(-3, 4) * np.exp(-0.5 * ((octaves - rng.uniform(-1.5, 2.5)) / 0.7) ** 2)
    response = 10 ** ((rng.uniform(-0.8, 0.8) * octaves + bump) / 20)
    return response * (hertz / cut) ** 2 / (1 + (hertz / cut) ** 2) / np.sqrt(1 + (hertz / limit) ** 16)


def _fast_length(length: int) -> int:
    """The next length of the form 2^a, 3 * 2^a or 5 * 2^a, which the FFT does quickly."""
    return min(factor * 2 ** max(int(np.ceil(np.log2(length / factor))), 0) for factor in (1, 3, 5))
