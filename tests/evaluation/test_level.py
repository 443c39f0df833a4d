# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import numpy as np
import pytest

from hafm_hf.evaluation.level import loudness_balance, silence_rate


RATE = 16_000
NOISE = 0.1 * np.random.default_rng(0).normal(size=4 * RATE)


def test_loudness_balance_is_the_gain_between_two_tracks():
    assert loudness_balance(NOISE, NOISE, RATE) == 0
    assert loudness_balance(NOISE, NOISE / 2, RATE) == pytest.approx(-6.02, abs=0.01)
    # A voice that pauses is not a quieter voice: the gate leaves its pauses out.
    pausing = np.concatenate([NOISE[: 2 * RATE], np.zeros(2 * RATE)])
    assert loudness_balance(pausing, NOISE, RATE) == pytest.approx(0, abs=1)


def test_a_silent_accompaniment_is_silent_all_the_time_and_as_quiet_as_can_be():
    silence = np.zeros(len(NOISE))
    assert silence_rate(NOISE, silence, RATE) == 1
    assert -60 < loudness_balance(NOISE, silence, RATE) < -40
    assert np.isnan(loudness_balance(silence, NOISE, RATE))


def test_silence_counts_only_while_the_reference_sounds():
    first_half = np.concatenate([NOISE[: 2 * RATE], np.zeros(2 * RATE)])
    assert silence_rate(NOISE, first_half, RATE) == pytest.approx(0.5, abs=0.03)
    assert silence_rate(first_half, first_half, RATE) == 0
