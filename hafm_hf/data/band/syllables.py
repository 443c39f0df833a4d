# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Syllables spoken by espeak-ng and analysed by the WORLD vocoder, ready to be sung at any pitch and length."""

import subprocess
from dataclasses import dataclass
from functools import cache

import numpy as np
import soxr

from .requirements import find_espeak, import_world


SAMPLING_RATE = 24_000
FRAMES_PER_SECOND = 200  # WORLD's frame period of 5 ms
_ESPEAK_RATE = 22_050
_WORDS_PER_MINUTE = 150
_SHORTEST_VOWEL = 12  # frames
_VOWEL_RANGE_DB = 6.0  # the vowel is where the level stays this close to the loudest frame


@dataclass(frozen=True)
class Syllable:
    """What WORLD found in one syllable, 5 ms a frame.

    Args:
        log_envelope: natural logarithm of the power spectrum, float16 `[frames, bins]`, at vowel level 0 dB.
        aperiodicity: 0 (harmonic) to 1 (noise), float16 `[frames, bins]`.
        voiced: bool `[frames]`.
        vowel: first frame of the vowel and first frame after it.
    """

    log_envelope: np.ndarray
    aperiodicity: np.ndarray
    voiced: np.ndarray
    vowel: tuple[int, int]

    @property
    def frames(self) -> int:
        return len(self.voiced)


@cache
def syllable(espeak_voice: str, text: str) -> Syllable:
    """Speaks and analyses one syllable; kept in memory, for a song asks for the same ones again and again.

    Raises:
        RuntimeError: if espeak-ng says nothing.
        FileNotFoundError, ImportError: if espeak-ng or pyworld is missing.
    """
    world = import_world()
    samples = _trim(_speak(espeak_voice, text))
    pitch, times = world.dio(samples, SAMPLING_RATE, f0_floor=60.0, f0_ceil=500.0)
    if np.count_nonzero(pitch) < _SHORTEST_VOWEL:  # DIO misses a few short syllables; Harvest, slower, finds them
        pitch, times = world.harvest(samples, SAMPLING_RATE, f0_floor=60.0, f0_ceil=500.0)
    pitch = world.stonemask(samples, pitch, times, SAMPLING_RATE)
    envelope = world.cheaptrick(samples, pitch, times, SAMPLING_RATE)
    # Threshold 0: whether a frame is voiced was settled above; by default D4C takes some close vowels for noise.
    aperiodicity = world.d4c(samples, pitch, times, SAMPLING_RATE, threshold=0.0)
    level = envelope.mean(axis=1)
    first, last = _vowel(level, pitch > 0)
    voiced = pitch > 0
    voiced[first:last] = True
    return Syllable(
        log_envelope=np.log(envelope / level[first:last].mean()).astype(np.float16),
        aperiodicity=aperiodicity.astype(np.float16),
        voiced=voiced,
        vowel=(first, last),
    )


def _speak(espeak_voice: str, text: str) -> np.ndarray:
    command = [find_espeak(), "-v", espeak_voice, "-s", str(_WORDS_PER_MINUTE), "--stdout", text]
    wav = subprocess.run(command, capture_output=True, check=False).stdout
    spoken = np.frombuffer(wav[44:], "<i2") / 32768.0  # a streamed wav: its header cannot say its length
    if not spoken.any():
        raise RuntimeError(f"espeak-ng said nothing for {text!r} with voice {espeak_voice!r}: reinstall espeak-ng.")
    return soxr.resample(spoken, _ESPEAK_RATE, SAMPLING_RATE)


def _trim(samples: np.ndarray) -> np.ndarray:
    """Cuts the silence at both ends."""
    loud = np.flatnonzero(np.abs(samples) > 0.003 * np.abs(samples).max())
    return np.ascontiguousarray(samples[loud[0] : loud[-1] + 1])


def _vowel(level: np.ndarray, voiced: np.ndarray) -> tuple[int, int]:
    """The stretch of voiced frames around the loudest one whose level stays within `_VOWEL_RANGE_DB`.

    Its end is a frame too: where nothing follows the vowel, the last one.
    """
    smooth = np.convolve(np.where(voiced, level, 0.0), np.ones(5) / 5, mode="same")
    near = smooth >= smooth.max() * 10 ** (-_VOWEL_RANGE_DB / 10)
    peak = int(smooth.argmax())
    outside = np.flatnonzero(~near)
    first = int(outside[outside < peak].max(initial=-1)) + 1
    last = int(outside[outside > peak].min(initial=len(near) - 1))
    return first, max(last, first + 1)
