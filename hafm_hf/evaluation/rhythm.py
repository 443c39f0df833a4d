# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Does the accompaniment move with the reference, the vocal or the true accompaniment?

Each measure takes two mono tracks and their rate, or two `Track`s; of different lengths, their common part counts. A
silent accompaniment scores 0, a silent reference NaN.
"""

import mir_eval
import numpy as np

from .track_features import Track, common_frames, measure


MAX_LAG = 4  # frames, 93 ms: singers sit ahead of the beat or behind it by as much


@measure
def onset_correlation(reference: Track, accompaniment: Track) -> float:
    """Pearson correlation of the onset strengths, in [-1, 1], at the best lag within 93 ms.

    The choice of a lag lifts chance above zero: compare with shuffled pairs.
    """
    first, second = common_frames(reference.onsets, accompaniment.onsets)
    return max(_lagged_correlation(first, second, lag) for lag in range(-MAX_LAG, MAX_LAG + 1))


def _lagged_correlation(first: np.ndarray, second: np.ndarray, lag: int) -> float:
    if lag < 0:
        return _lagged_correlation(second, first, -lag)
    first, second = first[lag:], second[: len(second) - lag]
    first, second = first - first.mean(), second - second.mean()
    norm = np.linalg.norm(first) * np.linalg.norm(second)
    return first @ second / norm if norm > 0 else 0.0


@measure
def beat_f_measure(reference: Track, accompaniment: Track) -> float:
    """F-measure in [0, 1] of the accompaniment's beats against the reference's, 70 ms apart at most (`mir_eval`).

    A solo voice seldom has a trackable beat: take the true accompaniment as the reference where there is one.
    """
    end = min(reference.duration, accompaniment.duration)
    expected, found = reference.beats[reference.beats < end], accompaniment.beats[accompaniment.beats < end]
    return mir_eval.beat.f_measure(expected, found) if len(expected) and len(found) else 0.0
