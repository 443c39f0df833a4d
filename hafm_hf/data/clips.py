# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Separated songs to clips: mono, at the rate of the codec, cut where frames of both token rates begin."""

import math
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hafm_hf.data.corpora import Pair, Song
from hafm_hf.data.filters import ClipFilter, Report
from hafm_hf.data.separation import Separator, separate_songs
from hafm_hf.modeling.audio_hafm import resample, to_mono
from hafm_hf.modeling.configuration_hafm_audio_tokenizer import HafmAudioTokenizerConfig


class Clip(NamedTuple):
    """A stretch of a song.

    `id` is `<song id>@<start>`; `start` and `duration` are in seconds; `vocal` and `instrumental` are `float32`
    `[samples]`.
    """

    id: str
    source: str
    license: str | None
    start: float
    duration: float
    vocal: np.ndarray
    instrumental: np.ndarray


class ClipCutter:
    """Cuts songs into clips one after the other, and the rest of a song into one more where it is long enough.

    Every clip starts and ends on the grid that both token rates share: 40 ms at 50 and 75 frames a second.

    Args:
        config: Of the audio tokenizer.
        seconds: Length of a clip.
        min_seconds: Length of the shortest clip, and so of the shortest song.

    Raises:
        ValueError: The lengths do not fit the grid or each other.
    """

    def __init__(self, config: HafmAudioTokenizerConfig, seconds: float = 10.0, min_seconds: float = 3.0):
        self.sampling_rate = config.sampling_rate
        self.grid = config.sampling_rate // math.gcd(config.semantic_frame_rate, config.frame_rate)
        self.seconds, self.min_seconds = seconds, min_seconds
        self.samples = round(seconds * self.sampling_rate)
        if self.samples % self.grid or not 0 < min_seconds <= seconds:
            raise ValueError(
                f"Clips of {min_seconds:g} to {seconds:g} s cannot be cut; the longest must be a multiple of "
                f"{self.grid / self.sampling_rate:g} s and the shortest above 0, but no longer."
            )

    def mono(self, pair: Pair) -> Pair:
        """`pair` as the tokenizer hears it: `[samples]` each, at the rate of the codec."""
        vocal, instrumental = (
            resample(to_mono(waveform), pair.sampling_rate, self.sampling_rate) for waveform in pair[:2]
        )
        return Pair(vocal, instrumental, self.sampling_rate)

    def cut(self, song: Song, pair: Pair) -> Iterator[Clip]:
        """The clips of `song` in order, from its pair as [`~ClipCutter.mono`] gives it."""
        for first in range(0, len(pair.vocal), self.samples):
            last = min(first + self.samples, len(pair.vocal) // self.grid * self.grid)
            start, duration = first / self.sampling_rate, (last - first) / self.sampling_rate
            if duration >= self.min_seconds:
                audio = (waveform[first:last] for waveform in pair[:2])
                yield Clip(f"{song.id}@{start:.2f}", song.source, song.license, start, duration, *audio)

    def levels(self, clip: Clip, clip_filter: ClipFilter) -> tuple[float, float]:
        """Levels in dB of the vocal and the instrumental of a clip, as the filter defines them."""
        vocal, instrumental = (
            clip_filter.level(audio, self.sampling_rate) for audio in (clip.vocal, clip.instrumental)
        )
        return vocal, instrumental


def separate_to_mono(song: Song, separator: Separator, cutter: ClipCutter) -> Pair | str:
    """The mono pair of a song, or why it cannot be used."""
    report = Report()
    for _, pair in separate_songs([song], separator, report, cutter.min_seconds):
        return cutter.mono(pair)
    (reason,) = report.skipped.values()
    # Reports travel with the data, and where songs lie on this machine concerns nobody else.
    folder = f"{song.path.parent}{os.sep}".encode("utf-8", "backslashreplace").decode("utf-8")
    return reason.replace(folder, "")
