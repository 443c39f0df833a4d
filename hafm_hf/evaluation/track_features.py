# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What the adherence measures compare: features of one track, each computed when first asked for and then kept.

All frames lie on one grid of 512 samples at 22.05 kHz (23 ms), so two tracks compare frame by frame. Frames quieter
than -60 dB full scale are silent: there they have no onsets, no chroma, no chord and no pitch.
"""

import functools
from collections.abc import Callable
from typing import Any

import librosa
import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from ..modeling.loudness_hafm import loudness
from .audio_input import load_mono


SAMPLING_RATE = 22_050
HOP = 512
SILENCE_DB = -60.0
ONSET_DELAY = 3  # frames by which the onset strength lags the spectrogram
LOUDNESS_GATE = -70.0  # LUFS, what ITU-R BS.1770 calls silence
HARMONY_FRAMES = 21  # about 0.5 s, less than a chord lasts
MIN_CHROMA_CONTRAST = 0.1  # standard deviation over mean of the 12 bins: noise and drums stay below, chords above

TRIADS = np.array([np.roll(np.isin(range(12), (0, third, 7)), root) for third in (4, 3) for root in range(12)])
"""Pitch classes of the 12 major and 12 minor triads, bool [24, 12]."""

# Probe-tone profiles of Krumhansl and Kessler (1982), major and minor, for each tonic: [24, 12].
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_KEYS = np.array([np.roll(profile, tonic) for profile in (_MAJOR, _MINOR) for tonic in range(12)])
_TONICS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def standardize(columns: np.ndarray) -> np.ndarray:
    """Columns [12, n] less their mean, at unit length (or zero): their dot products are Pearson correlations."""
    centred = columns - columns.mean(axis=0)
    return centred / np.maximum(np.linalg.norm(centred, axis=0), 1e-9)


class Track:
    """One mono track and its features.

    Args:
        source: whatever `load_audio` reads, of at least 1 s.
        sampling_rate: its rate in Hz, where `source` does not say.

    Raises:
        ValueError: the audio cannot be used, or is shorter than 1 s.
    """

    def __init__(self, source: Any, sampling_rate: int | None = None):
        self.audio = load_mono(source, sampling_rate, SAMPLING_RATE)
        self.duration = len(self.audio) / SAMPLING_RATE
        if self.duration < 1:
            raise ValueError(f"{self.duration:.2f} s of audio are too short: rhythm and harmony need 1 s")

    @functools.cached_property
    def sounding(self) -> np.ndarray:
        """Whether each frame is louder than silence, bool [frames]."""
        rms = librosa.feature.rms(y=self.audio, hop_length=HOP)[0]
        return rms > 10 ** (SILENCE_DB / 20)

    @functools.cached_property
    def onsets(self) -> np.ndarray:
        """Onset strength (spectral flux of the mel spectrogram), smoothed by a frame, [frames]."""
        # Mirrored rather than zeros before the start: a clip cut out of a song does not begin with an onset.
        mel = librosa.feature.melspectrogram(y=self.audio, sr=SAMPLING_RATE, hop_length=HOP, pad_mode="reflect")
        strength = librosa.onset.onset_strength(S=librosa.power_to_db(mel), sr=SAMPLING_RATE, hop_length=HOP)
        strength[:ONSET_DELAY] = strength[ONSET_DELAY:].mean()  # where librosa, lacking earlier frames, puts zeros
        return gaussian_filter1d(strength * self.sounding, 1.0)

    @functools.cached_property
    def beats(self) -> np.ndarray:
        """Times of the tracked beats (Ellis, 2007) in seconds, [beats]."""
        return librosa.beat.beat_track(onset_envelope=self.onsets, sr=SAMPLING_RATE, hop_length=HOP, units="time")[1]

    @functools.cached_property
    def chroma(self) -> np.ndarray:
        """Sum of spectral magnitudes in each pitch class from C, averaged over about 0.5 s, [12, frames].

        Weighted by a Gaussian of 1.5 octaves around 440 Hz, where tunes and chords lie. Zero where nothing tonal sounds.
        """
        if not self.sounding.any():  # silence has no tuning to estimate
            return np.zeros((12, len(self.sounding)))
        magnitude = np.abs(librosa.stft(self.audio, n_fft=4096, hop_length=HOP))
        chroma = librosa.feature.chroma_stft(S=magnitude, sr=SAMPLING_RATE, norm=None, ctroct=4.0, octwidth=1.5)
        chroma = uniform_filter1d(chroma, HARMONY_FRAMES, axis=1)
        tonal = chroma.std(axis=0) > MIN_CHROMA_CONTRAST * chroma.mean(axis=0)
        return chroma * (tonal & self.sounding)

    @functools.cached_property
    def chords(self) -> np.ndarray:
        """The sounding chord as a row of `TRIADS`, by template matching (Fujishima, 1999), or -1, [frames]."""
        best = (standardize(TRIADS.T.astype(float)).T @ standardize(self.chroma)).argmax(axis=0)
        return np.where(self.chroma.any(axis=0), best, -1)

    @functools.cached_property
    def key(self) -> str | None:
        """The key as "C# minor", by correlation with the profiles of Krumhansl and Kessler; None if nothing is tonal."""
        if not self.chroma.any():
            return None
        average = standardize(self.chroma).mean(axis=1)  # loud frames count as much as soft ones
        best = int((standardize(_KEYS.T).T @ average).argmax())
        return f"{_TONICS[best % 12]} {'major' if best < 12 else 'minor'}"

    @functools.cached_property
    def pitch_classes(self) -> np.ndarray:
        """Sung pitch class from C = 0 by pYIN (Mauch and Dixon, 2014), -1 where unvoiced, [frames]."""
        frequency, voiced, _ = librosa.pyin(
            self.audio, fmin=65.0, fmax=1050.0, sr=SAMPLING_RATE, hop_length=HOP, resolution=0.25, fill_na=1.0
        )
        pitch = np.round(librosa.hz_to_midi(frequency)).astype(int)
        return np.where(voiced & self.sounding, pitch % 12, -1)

    @functools.cached_property
    def loudness(self) -> float:
        """Integrated loudness in LUFS, at least -70, where the standard's gate lies."""
        return max(loudness(self.audio, SAMPLING_RATE), LOUDNESS_GATE)

    def drop_audio(self, *, sung: bool):
        """Computes every feature, the sung pitch only of a reference, and lets go of the audio, which is far larger."""
        for name in ("sounding", "onsets", "beats", "chroma", "chords", "key", "loudness"):
            getattr(self, name)
        if sung:
            _ = self.pitch_classes
        del self.audio


def measure(function: Callable[[Track, Track], float]) -> Callable[..., float]:
    """Makes a measure of two `Track`s take their audio as well, and NaN where the reference is silent throughout."""

    @functools.wraps(function)
    def of_any(reference: Any, accompaniment: Any, sampling_rate: int | None = None) -> float:
        reference, accompaniment = (
            source if isinstance(source, Track) else Track(source, sampling_rate)
            for source in (reference, accompaniment)
        )
        return float(function(reference, accompaniment)) if reference.sounding.any() else float("nan")

    return of_any


def common_frames(*features: np.ndarray) -> list[np.ndarray]:
    """Features [..., frames] cut to the shortest."""
    frames = min(feature.shape[-1] for feature in features)
    return [feature[..., :frames] for feature in features]
