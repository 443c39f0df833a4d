# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Retrieval: the instrumental of a pool that fits key and tempo of the vocal best, made to fit them (paper, section 4.1).

It stands for the systems that arrange what they have rather than generate, as Songsmith does (Simon, Morris and Basu,
"MySong: automatic accompaniment generation for vocal melodies", CHI 2008).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np

from ...data.corpora import Song
from ...modeling.audio_hafm import resample
from ...modeling.loudness_hafm import match_loudness
from .base import AccompanimentSystem, CannotAccompany, EvaluationClip
from .outline import Outline, outline, pool_outlines
from .pool import load_instrumental


MAX_SHIFT = 3  # semitones, beyond which instruments sound like others
MAX_STRETCH = 1.15
BAR = 4  # beats; which of them is the first is not known
CROSSFADE_SECONDS = 0.02
RELATIVE_COST = 0.5  # of a minor key for its relative major, which has the same notes


@dataclass(frozen=True)
class Match:
    """How an instrumental is brought to a vocal, and how far apart the two are.

    Attributes:
        cost: 0 for the same key and tempo; a shift or a stretch adds 1 where it reaches its limit.
        shift: in semitones.
        speed: the factor by which it is played faster.
    """

    cost: float
    shift: int
    speed: float


class Retrieval(AccompanimentSystem):
    """Looks up an instrumental by key and tempo, shifts, stretches and repeats it, with the vocal's first beat on one of
    its own, as loud as the vocal.

    Args:
        songs: the pool, see `pool_songs`; of the training data for a fair comparison.
        cache: folder for the analysis of the pool, which takes seconds for each song the first time.

    Raises:
        ValueError: no song of the pool can be used.
    """

    name = "retrieval"

    def __init__(self, songs: Sequence[Song], cache: str | Path):
        self.pool = pool_outlines(songs, cache)

    def accompany(self, clips: Sequence[EvaluationClip]) -> list[np.ndarray]:
        return [self._retrieve(clip) for clip in clips]

    def _retrieve(self, clip: EvaluationClip) -> np.ndarray:
        try:
            vocal = outline(clip.vocal, clip.sampling_rate)
        except ValueError as error:
            raise CannotAccompany(f"{clip.id} cannot be analysed: {error}") from error
        generator = clip.generator()
        song, found, match = self._best(vocal, clip, generator)
        audio, rate = load_instrumental(song)
        seconds = match.speed * len(clip.vocal) / clip.sampling_rate
        start, end = whole_bars(found.beats, len(audio) / rate, seconds, generator)
        stretch = audio[round(start * rate) : round((end + CROSSFADE_SECONDS) * rate)]
        period = round((end - start) / match.speed * clip.sampling_rate)
        loop = make_loop(transform(stretch, match, rate, clip.sampling_rate), period, clip.sampling_rate)
        first_beat = round(vocal.beats[0] * clip.sampling_rate) if vocal.beats else 0
        accompaniment = loop[(np.arange(len(clip.vocal)) - first_beat) % period]
        return match_loudness(accompaniment, clip.vocal, clip.sampling_rate)

    def _best(self, vocal: Outline, clip: EvaluationClip, generator) -> tuple[Song, Outline, Match]:
        """The cheapest match, drawn among equals."""
        others = [(song, found, find_match(vocal, found)) for song, found in self.pool if song.id != clip.song]
        if not others:
            raise CannotAccompany(f"The pool has no other song than that of {clip.id}; give a larger one.")
        least = min(match.cost for _, _, match in others)
        best = [entry for entry in others if entry[2].cost == least]
        return best[generator.integers(len(best))]


def find_match(vocal: Outline, instrumental: Outline) -> Match:
    """How to bring `instrumental` to `vocal`, as far as the limits allow. What is not known of either costs nothing."""
    cost, shift, octaves = 0.0, 0, 0.0
    if vocal.key and instrumental.key:
        shift = (key_signature(vocal.key) - key_signature(instrumental.key) + 6) % 12 - 6
        cost += abs(shift) / MAX_SHIFT
        cost += RELATIVE_COST * (vocal.key.split()[1] != instrumental.key.split()[1])
    if vocal.tempo and instrumental.tempo:
        octaves = math.log2(vocal.tempo / instrumental.tempo)
        octaves -= round(octaves)  # half and double tempo fit as well
        cost += abs(octaves) / math.log2(MAX_STRETCH)
    speed = min(max(2**octaves, 1 / MAX_STRETCH), MAX_STRETCH)
    return Match(cost, min(max(shift, -MAX_SHIFT), MAX_SHIFT), speed)


def key_signature(key: str) -> int:
    """Pitch class of the major key that has the same notes."""
    tonic, mode = key.split()
    return (librosa.note_to_midi(tonic) + 3 * (mode == "minor")) % 12


def whole_bars(
    beats: Sequence[float], duration: float, seconds: float, generator: np.random.Generator
) -> tuple[float, float]:
    """Start and end, in seconds, of random whole bars that last `seconds`; of all there are if they do not.

    Where no bar was found, all of the track's `duration`.
    """
    bars = np.array(beats[::BAR])
    if len(bars) < 2:
        return 0.0, duration
    ends = np.searchsorted(bars, bars + seconds)
    fitting = np.flatnonzero(ends < len(bars))
    if len(fitting) == 0:
        return bars[0], bars[-1]
    first = generator.choice(fitting)
    return bars[first], bars[ends[first]]


def transform(audio: np.ndarray, match: Match, rate: int, target_rate: int) -> np.ndarray:
    """Shifted and stretched as `match` says, and resampled from `rate` to `target_rate`.

    Played faster, as if it had been recorded at a higher rate, audio becomes higher as well; a phase vocoder makes good
    for the tempo.
    """
    pitch = 2 ** (match.shift / 12)
    return resample(librosa.effects.time_stretch(audio, rate=match.speed / pitch), round(pitch * rate), target_rate)


def make_loop(audio: np.ndarray, period: int, rate: int) -> np.ndarray:
    """The first `period` samples, whose start fades in over what comes after them, so that they can be repeated."""
    fade = min(round(CROSSFADE_SECONDS * rate), period)
    audio = np.pad(audio, (0, max(period + fade - len(audio), 0)))
    ramp = np.linspace(0, 1, fade, dtype=audio.dtype)
    return np.concatenate([ramp * audio[:fade] + (1 - ramp) * audio[period : period + fade], audio[fade:period]])
