# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import math

import numpy as np
import pytest

from hafm_hf.evaluation.bootstrap import bootstrap_interval
from hafm_hf.evaluation.frechet import EmbeddingStatistics, accumulate, frechet_distance


def test_covers_the_mean_about_as_often_as_it_promises():
    generator = np.random.default_rng(0)
    intervals = [bootstrap_interval(generator.exponential(size=40), np.mean, resamples=300) for _ in range(200)]
    covered = np.mean([interval.low <= 1 <= interval.high for interval in intervals])
    assert 0.88 <= covered <= 0.98


def test_holds_the_value_of_a_biased_statistic():
    """Resampled tracks lie further from the reference than the tracks do: uncentred percentiles would miss the value."""
    generator = np.random.default_rng(0)
    reference = EmbeddingStatistics.of(generator.normal(size=(500, 16)))
    tracks = [EmbeddingStatistics.of(generator.normal(size=(4, 16))) for _ in range(12)]
    interval = bootstrap_interval(tracks, lambda drawn: frechet_distance(reference, accumulate(drawn)), resamples=100)
    assert interval.value == frechet_distance(reference, accumulate(tracks))
    assert interval.low < interval.value < interval.high
    assert interval.count == 12


def test_repeats_with_its_seed_and_widens_with_its_level():
    values = np.arange(20.0)
    assert bootstrap_interval(values, np.mean, seed=3) == bootstrap_interval(values, np.mean, seed=3)
    narrow, wide = (bootstrap_interval(values, np.mean, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < 9.5 < narrow.high < wide.high


def test_one_track_has_a_value_but_no_interval_and_none_has_neither():
    interval = bootstrap_interval([2.0], np.mean)
    assert interval.value == 2
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    with pytest.raises(ValueError, match="at least one track"):
        bootstrap_interval([], np.mean)
