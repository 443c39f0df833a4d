# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Confidence intervals by resampling tracks: the unit that a test set has more or fewer of.

Frames and clips of one track are alike, so resampling those instead would promise far too narrow an interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A measured value, its confidence interval [low, high] and the number of tracks it stands on."""

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n = {self.count})"


def bootstrap_interval(
    tracks: Sequence,
    statistic: Callable[[list], float],
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval (Efron and Tibshirani, 1993) of `statistic`, a function of a list of tracks.

    A track is whatever the statistic takes: a number for a mean, its `EmbeddingStatistics` for a Fréchet distance:

        tracks = [EmbeddingStatistics.of(embeddings) for embeddings in embeddings_of_tracks]
        bootstrap_interval(tracks, lambda tracks: frechet_distance(reference, accumulate(tracks)), resamples=200)

    The percentiles are recentred on the value. Resampling repeats tracks, which adds bias to a statistic that has some
    already; the interval says how far the value moves with other tracks of this count, not how biased it is. So its ends
    may pass those of a bounded range.

    Raises:
        ValueError: there are no tracks. A single one has an interval of NaN.
    """
    tracks = list(tracks)
    if not tracks:
        raise ValueError("an interval needs at least one track, there is none")
    value = float(statistic(tracks))
    if len(tracks) == 1:
        return Interval(value, float("nan"), float("nan"), 1)
    draws = np.random.default_rng(seed).integers(len(tracks), size=(resamples, len(tracks)))
    resampled = np.array([statistic([tracks[i] for i in draw]) for draw in draws])
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2]) - resampled.mean()
    return Interval(value, value + float(low), value + float(high), len(tracks))
