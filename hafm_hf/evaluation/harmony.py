# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Does the accompaniment harmonise with the reference, the vocal or the true accompaniment?

Each measure takes two mono tracks and their rate, or two `Track`s; of different lengths, their common part counts. A
silent or pitchless accompaniment scores 0; with a reference that has no pitch the measures are undefined (NaN).
"""

import mir_eval
import numpy as np

from .track_features import TRIADS, Track, common_frames, measure, standardize


@measure
def chroma_agreement(reference: Track, accompaniment: Track) -> float:
    """Pearson correlation of the two chroma vectors, in [-1, 1], averaged over the frames with pitch in the reference.

    Correlation rather than cosine: what has no pitch, as noise, then scores 0.
    """
    first, second = common_frames(reference.chroma, accompaniment.chroma)
    return _mean((standardize(first) * standardize(second)).sum(axis=0)[first.any(axis=0)])


@measure
def chord_agreement(reference: Track, accompaniment: Track) -> float:
    """Share of the frames with a chord in the reference in which the accompaniment has the same triad, in [0, 1].

    For a vocal reference, whose notes suggest a chord but seldom spell it, `pitch_in_chord` is the sharper question.
    """
    expected, found = common_frames(reference.chords, accompaniment.chords)
    return _mean((expected == found)[expected >= 0])


@measure
def key_agreement(reference: Track, accompaniment: Track) -> float:
    """MIREX score of the accompaniment's key: 1 the same, 0.5 a fifth above, 0.3 relative, 0.2 parallel, 0 else."""
    if reference.key is None:
        return float("nan")
    if accompaniment.key is None:
        return 0.0
    return mir_eval.key.weighted_score(reference.key, accompaniment.key)


@measure
def pitch_in_chord(reference: Track, accompaniment: Track) -> float:
    """Share of the sung frames of a vocal whose pitch belongs to the chord sounding in the accompaniment, in [0, 1].

    Chance is about a quarter, three pitch classes of twelve.
    """
    pitches, chords = common_frames(reference.pitch_classes, accompaniment.chords)
    voiced = pitches >= 0
    return _mean((TRIADS[chords[voiced], pitches[voiced]]) & (chords[voiced] >= 0))


def _mean(values: np.ndarray) -> float:
    return values.mean() if len(values) else float("nan")
