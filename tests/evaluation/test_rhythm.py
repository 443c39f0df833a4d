# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import numpy as np
import pytest

from hafm_hf.evaluation.rhythm import beat_f_measure, onset_correlation


RATE = 22_050


def clicks(interval: float, offset: float = 0.1, seconds: float = 8.0, seed: int = 0) -> np.ndarray:
    """Decaying noise bursts every `interval` seconds from `offset` on."""
    generator = np.random.default_rng(seed)
    audio = np.zeros(int(seconds * RATE))
    for start in np.arange(offset, seconds - 0.1, interval):
        burst = generator.normal(size=int(0.1 * RATE)) * np.exp(-np.arange(int(0.1 * RATE)) / (0.02 * RATE))
        audio[int(start * RATE) :][: len(burst)] += burst * 0.2
    return audio


@pytest.mark.parametrize("measure", [onset_correlation, beat_f_measure])
def test_what_moves_with_the_reference_scores_high_and_what_does_not_low(measure):
    reference = clicks(0.5)
    assert measure(reference, clicks(0.5, seed=1), RATE) > 0.9
    assert measure(reference, clicks(0.37, seed=1), RATE) < 0.5


def test_a_lag_of_less_than_a_tenth_of_a_second_is_forgiven_and_more_is_not():
    reference = clicks(0.6)
    assert onset_correlation(reference, clicks(0.6, offset=0.17), RATE) > 0.9
    assert onset_correlation(clicks(0.6, offset=0.17), reference, RATE) > 0.9
    assert onset_correlation(reference, clicks(0.6, offset=0.35), RATE) < 0.3


@pytest.mark.parametrize("measure", [onset_correlation, beat_f_measure])
def test_only_the_common_part_counts(measure):
    reference = clicks(0.5)
    assert measure(reference, clicks(0.5, seconds=5, seed=1), RATE) > 0.9


@pytest.mark.parametrize("measure", [onset_correlation, beat_f_measure])
def test_silence_follows_nothing_and_nothing_follows_silence(measure):
    silence = np.zeros(8 * RATE)
    assert measure(clicks(0.5), silence, RATE) == 0
    assert measure(clicks(0.5), 1e-5 * clicks(0.5), RATE) == 0
    assert np.isnan(measure(silence, clicks(0.5), RATE))


def test_steady_sounds_do_not_seem_to_begin_together():
    first, second = np.random.default_rng(0).normal(size=(2, 8 * RATE)) * 0.1
    assert onset_correlation(first, second, RATE) < 0.3
