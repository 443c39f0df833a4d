# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The voice as a singer without a studio would give it: separated from the mix, with what a separator leaves of the band."""

import zlib
from typing import Any, Protocol

import numpy as np

from hafm_hf.data.corpora import Pair
from hafm_hf.data.separation import MixtureSeparator


class VoiceOfMix(Protocol):
    """Gives the separated vocal of a pair; `name` and `parameters` (JSON values) say all that decides the result."""

    name: str
    parameters: dict[str, Any]

    def __call__(self, pair: Pair, song_id: str) -> np.ndarray:
        """The separated vocal of `pair`, float32 of the shape and the rate of its vocal."""


class SeparatedVoice:
    """What a separator makes of the mix (paper, section 4.2, FAD_s)."""

    def __init__(self, separator: MixtureSeparator):
        self.separator = separator
        self.name, self.parameters = separator.name, separator.parameters

    def __call__(self, pair: Pair, song_id: str) -> np.ndarray:
        return self.separator.separate(pair.vocal + pair.instrumental, pair.sampling_rate)[0]


class SimulatedLeakage:
    """The vocal with its accompaniment 20 to 26 dB below where it is in the mix: separation without a separator.

    A good separator leaves about as much of the band, but not as evenly; no number of this condition compares with one of
    a real separator. How much is drawn once a song, by its id.
    """

    name = "simulated separation leakage"
    decibels = (-26.0, -20.0)

    def __init__(self):
        self.parameters = {"decibels": list(self.decibels)}

    def __call__(self, pair: Pair, song_id: str) -> np.ndarray:
        level = np.random.default_rng(zlib.crc32(song_id.encode())).uniform(*self.decibels)
        return pair.vocal + np.float32(10 ** (level / 20)) * pair.instrumental
