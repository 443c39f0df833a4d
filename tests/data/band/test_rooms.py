# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Rooms and microphones change the sound, not its time or its loudness by much."""

import numpy as np
import pytest

from hafm_hf.data.band.rooms import record


def click():
    samples = np.zeros(24_000)
    samples[6_000] = 1.0
    return samples


def recorded(seed, samples, noise_db=None):
    rng = np.random.default_rng(seed)
    return record(samples, rng, reverberation=(0.3, 0.8), wet_db=(-15, -10), noise_db=noise_db)


@pytest.mark.parametrize("seed", range(5))
def test_the_direct_sound_stays_where_it_was_and_the_room_follows(seed):
    heard = recorded(seed, click())
    assert heard.dtype == np.float32 and heard.shape == (24_000,)
    assert abs(int(np.abs(heard).argmax()) - 6_000) <= 2
    before, after = np.square(heard[:5_700]).sum(), np.square(heard[6_300:]).sum()
    assert after > 100 * before
    early, late = np.square(heard[6_300:9_000]).sum(), np.square(heard[20_000:]).sum()
    assert early > 10 * late


def test_the_level_hardly_changes():
    noise = np.random.default_rng(0).normal(size=48_000) * 0.1
    smooth = np.convolve(noise, np.hanning(12), mode="same")
    for seed in range(5):
        change_db = 10 * np.log10(np.mean(recorded(seed, smooth) ** 2) / np.mean(smooth**2))
        assert abs(change_db) < 6


def test_microphones_have_a_noise_of_their_own():
    heard = recorded(0, np.zeros(24_000), noise_db=(-70, -60))
    assert -70.5 < 20 * np.log10(heard.std()) < -59.5
