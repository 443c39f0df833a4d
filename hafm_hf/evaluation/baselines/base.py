# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What is scored: anything that makes an accompaniment for a clip of a vocal."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...modeling.audio_hafm import resample


@dataclass(frozen=True, eq=False)
class EvaluationClip:
    """A vocal to accompany.

    Attributes:
        id: names the clip; unique in its test set, and a path without suffix below a folder of results.
        song: the song it is a clip of, by which no system may be given its own accompaniment.
        vocal: mono float32 [samples].
        sampling_rate: in Hz.
        seed: of whatever a system draws at random; with the same a clip gets the same accompaniment.
        accompaniment: the true one, mono float32 [samples], where it is known.
    """

    id: str
    song: str
    vocal: np.ndarray
    sampling_rate: int
    seed: int = 0
    accompaniment: np.ndarray | None = None

    def generator(self) -> np.random.Generator:
        """Random numbers of this clip, others than those of other clips with the same seed."""
        return np.random.default_rng([self.seed, zlib.crc32(self.id.encode())])

    def fit(self, audio: np.ndarray, sampling_rate: int) -> np.ndarray:
        """Mono audio at the rate of the vocal, cut or filled up with silence to its length."""
        audio = resample(audio, sampling_rate, self.sampling_rate)[: len(self.vocal)]
        return np.pad(audio, (0, len(self.vocal) - len(audio)))


class CannotAccompany(ValueError):
    """A system has nothing for one clip, and may have for the others; the message says why."""


class AccompanimentSystem(ABC):
    """A system under test.

    Attributes:
        name: what tables and folders of results call it.
    """

    name: str

    @abstractmethod
    def accompany(self, clips: Sequence[EvaluationClip]) -> list[np.ndarray]:
        """One accompaniment for each clip: mono float32, at its vocal's rate and as long as its vocal.

        Raises:
            CannotAccompany: there is none for one of the clips; asked again for each alone, the others get theirs.
        """
