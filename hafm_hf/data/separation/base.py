# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What every separator has in common, and the simplest of them: stems that are at hand."""

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hafm_hf.data.corpora import Pair, Song, load_mixture, load_pair
from hafm_hf.modeling.audio_hafm import resample


class Separator(Protocol):
    """Turns a song into its vocal and its instrumental.

    `name` and `parameters` (JSON values) say all that decides the result; they are recorded beside the data.
    """

    name: str
    parameters: dict[str, Any]

    def separate_song(self, song: Song) -> Pair:
        """The pair of `song`; a `ValueError` or `OSError` means that this song cannot be used."""


class PrecomputedStems:
    """Takes the stems that come with a song: MUSDB18, or the output of any separator that was run before."""

    name = "precomputed"

    def __init__(self):
        self.parameters: dict[str, Any] = {}

    def separate_song(self, song: Song) -> Pair:
        """The vocal of `song` and the linear sum of its other stems."""
        return load_pair(song)


class MixtureSeparator(ABC):
    """A separator that estimates the vocal in a mixture; the instrumental is the rest, at its own level.

    A subclass sets `name`, `parameters` and, where its model knows one rate only, `sampling_rate` in Hz.
    """

    name: str
    parameters: dict[str, Any]
    sampling_rate: int | None = None

    @abstractmethod
    def estimate_vocal(self, mixture: np.ndarray, sampling_rate: int) -> np.ndarray:
        """The vocal in a stereo `mixture`, both `float32` `[2, samples]`, at the rate of the model."""

    def separate(self, mixture: np.ndarray, sampling_rate: int) -> tuple[np.ndarray, np.ndarray]:
        """Split `mixture`, `float32` `[channels, samples]`, mono or stereo, at any rate, into `(vocal, instrumental)`.

        Both have the shape and the rate of the mixture and add up to it. What lies above the band of the model stays in
        the instrumental.

        Raises:
            ValueError: The mixture has more than two channels, or no samples.
        """
        if mixture.ndim != 2 or mixture.shape[0] not in (1, 2) or mixture.shape[1] == 0:
            raise ValueError(f"A mixture must be [1 or 2 channels, samples], not {list(mixture.shape)}.")
        samples = mixture.shape[1]
        rate = self.sampling_rate or sampling_rate
        stereo = np.array(np.broadcast_to(mixture, (2, samples)))
        vocal = self.estimate_vocal(resample(stereo, sampling_rate, rate), rate)
        vocal = resample(vocal, rate, sampling_rate)[:, :samples]
        vocal = np.pad(vocal, ((0, 0), (0, samples - vocal.shape[1])))
        if mixture.shape[0] == 1:
            vocal = vocal.mean(axis=0, keepdims=True)
        return vocal, mixture - vocal

    def separate_song(self, song: Song) -> Pair:
        """Decode the mixture of `song` and split it."""
        mixture = load_mixture(song)
        try:
            return Pair(*self.separate(mixture.waveform, mixture.sampling_rate), mixture.sampling_rate)
        except ValueError as error:
            raise ValueError(f"{song.path} cannot be separated: {error}") from error


def file_digest(path: Path) -> str:
    """SHA-256 of a file of weights, for the record of what made the data."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
