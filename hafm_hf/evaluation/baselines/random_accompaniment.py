# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Chance: a real accompaniment, but of another song."""

import logging
from collections.abc import Sequence

import numpy as np

from ...data.corpora import Song
from ...modeling.audio_hafm import resample
from .base import AccompanimentSystem, CannotAccompany, EvaluationClip
from .pool import load_instrumental


logger = logging.getLogger(__name__)


class RandomAccompaniment(AccompanimentSystem):
    """A random stretch of a random song of a pool, repeated where the song is shorter than the vocal."""

    name = "random"

    def __init__(self, songs: Sequence[Song]):
        self.songs = songs

    def accompany(self, clips: Sequence[EvaluationClip]) -> list[np.ndarray]:
        return [self._draw(clip) for clip in clips]

    def _draw(self, clip: EvaluationClip) -> np.ndarray:
        generator = clip.generator()
        for index in generator.permutation(len(self.songs)):
            song = self.songs[index]
            if song.id == clip.song:
                continue
            try:
                audio, rate = load_instrumental(song)
            except ValueError as error:
                logger.warning(f"{song.id} is passed over: {error}")
                continue
            audio = resample(audio, rate, clip.sampling_rate)
            start = generator.integers(max(len(audio) - len(clip.vocal), 0) + 1)
            return np.resize(audio[start:], len(clip.vocal))
        raise CannotAccompany(f"The pool has no other song than that of {clip.id}; give a larger one.")
