# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Synthetic songs: a sung line over a band that plays its chords, so that what follows what is known. And one evaluation
of truth and noise on them, for all who look at what it leaves."""

from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from evaluating import evaluation, marks, write_pairs

from hafm_hf.evaluation.protocol.clips import pair_songs


RATE = 16_000
SECONDS = 6.0


class Song(NamedTuple):
    """Mono float32 arrays of one song at `RATE`."""

    vocal: np.ndarray
    band: np.ndarray
    noise: np.ndarray


def tone(pitch: float, duration: float, decay: float) -> np.ndarray:
    """A note of six harmonics at MIDI `pitch`, fading by 1/e in `decay` seconds."""
    time = np.arange(int(duration * RATE)) / RATE
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    harmonics = sum(np.sin(2 * np.pi * frequency * k * time) / k**2 for k in range(1, 7))
    return harmonics * np.exp(-time / decay) * np.minimum(1, time / 0.01)


def make_song(tonic: int, tempo: float, seed: int) -> Song:
    """I-V-vi-IV in a major key, a chord every two beats; the voice sings a random tone of the chord on each beat."""
    generator = np.random.default_rng(seed)
    vocal, band = np.zeros(int(SECONDS * RATE)), np.zeros(int(SECONDS * RATE))
    beat = 60 / tempo
    for index in range(int(SECONDS / beat)):
        root, third = [(0, 4), (7, 4), (9, 3), (5, 4)][index // 2 % 4]
        chord = [tonic + root, tonic + root + third, tonic + root + 7]
        start = int(index * beat * RATE)
        for line, notes in (
            (vocal, [60 + generator.choice(chord) % 12]),
            (band, [48 + pitch % 12 for pitch in chord]),
        ):
            for pitch in notes:
                note = tone(pitch, beat * 0.95, 1.0 if line is vocal else 0.3)[: len(line) - start]
                line[start : start + len(note)] += note
    noise = generator.normal(size=len(band))
    return Song(*(0.1 * (track / track.std()).astype(np.float32) for track in (vocal, band, noise)))


@pytest.fixture(scope="session")
def songs() -> list[Song]:
    return [
        make_song(tonic, tempo, seed)
        for seed, (tonic, tempo) in enumerate([(0, 90), (7, 90), (2, 110), (5, 110), (0, 135), (7, 75)])
    ]


@pytest.fixture(scope="session")
def pairs(songs, tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("evaluated") / "pairs", songs[:3])


@pytest.fixture(scope="session")
def evaluated(pairs):
    """The folder of an evaluation."""
    evaluation(pairs.parent / "out").run(partial(pair_songs, pairs), marks())
    return pairs.parent / "out"
