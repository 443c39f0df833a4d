# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What recordings suffer: leakage of other instruments, rooms, equalisers, noise and clipping, drawn at random.

HuBERT hears the augmented waveform and predicts the clusters of the clean one, as WavLM does with noise and other
speakers (Chen et al., 2022).
"""

import numpy as np

from . import SAMPLING_RATE


PROBABILITY = 0.4  # of each of the ways to spoil a waveform


def augment(waveform: np.ndarray, generator: np.random.Generator, leak: np.ndarray | None = None) -> np.ndarray:
    """A waveform as another microphone might have caught it, in time with the original.

    Args:
        waveform: `[samples]` at 16 kHz, any level.
        generator: Decides what happens to it.
        leak: `[samples]` of something else that sounds in the background, 6 to 25 dB below.
    """
    if leak is not None:
        waveform = waveform + leak * _gain(waveform, leak, -generator.uniform(6, 25))
    # All that is linear happens in the spectrum, which is long enough for the reverberation to die away in.
    length = 2 ** (len(waveform) - 1).bit_length()
    length *= 1 if length - len(waveform) > SAMPLING_RATE else 2
    spectrum = np.fft.rfft(waveform, length)
    frequencies = np.fft.rfftfreq(length, 1 / SAMPLING_RATE).astype(np.float32)
    if generator.random() < PROBABILITY:
        spectrum *= np.fft.rfft(_room(generator), length)
    if generator.random() < PROBABILITY:
        spectrum *= _equaliser(frequencies, generator)
    augmented = np.fft.irfft(spectrum, length)[: len(waveform)]
    if generator.random() < PROBABILITY:
        noise = np.fft.irfft(_noise(frequencies, generator), length)[: len(waveform)]
        augmented += noise * _gain(augmented, noise, -generator.uniform(10, 40))
    if generator.random() < PROBABILITY / 2:
        peak = np.abs(augmented).max() * generator.uniform(0.4, 0.9)
        augmented = augmented.clip(-peak, peak)
    return augmented.astype(np.float32)


def _gain(waveform: np.ndarray, other: np.ndarray, level: float) -> float:
    """The factor that puts `other` `level` dB above `waveform`."""
    return 10 ** (level / 20) * np.sqrt(np.mean(waveform**2) / (np.mean(other**2) + 1e-10))


def _room(generator: np.random.Generator) -> np.ndarray:
    """Impulse response of a small room: direct sound, then decaying noise of a reverberation time of 0.1 to 0.7 s."""
    decay = generator.uniform(0.1, 0.7)
    tail = generator.standard_normal(round(decay * SAMPLING_RATE)).astype(np.float32)
    tail *= np.exp(-np.log(1000) * np.linspace(0, 1, len(tail), dtype=np.float32))
    tail *= 10 ** (-generator.uniform(3, 20) / 20) / np.linalg.norm(tail)
    tail[0] = 1.0
    return tail


def _equaliser(frequencies: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A smooth gain over frequency: one of 5 dB standard deviation in each octave."""
    octaves = np.log2(np.maximum(frequencies, 31.25) / 31.25)
    return 10 ** (np.interp(octaves, np.arange(9), generator.normal(0, 5, 9)) / 20)


def _noise(frequencies: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Spectrum of noise whose power falls by 0 (white) to 6 dB (brown) an octave."""
    slope = np.maximum(frequencies, 20.0) ** -generator.uniform(0, 1)
    return slope * np.exp(2j * np.pi * generator.random(len(frequencies), dtype=np.float32))
