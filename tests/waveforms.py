# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Waveforms `(channels, samples)` that tests make."""

import numpy as np


def tone(seconds=0.5, rate=16000, channels=1, frequency=440.0, amplitude=0.5):
    """Each channel an octave above the one before, so that no two are alike."""
    time = np.arange(round(seconds * rate)) / rate
    return np.stack([amplitude * np.sin(2 * np.pi * frequency * 2**c * time) for c in range(channels)]).astype(
        np.float32
    )


def noise(seconds, rate, channels=1, amplitude=0.1, seed=0):
    return (amplitude * np.random.default_rng(seed).standard_normal((channels, round(seconds * rate)))).astype(
        np.float32
    )
