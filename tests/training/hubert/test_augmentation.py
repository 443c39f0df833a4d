# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What augmentation may and may not change."""

import numpy as np
from waveforms import noise, tone

from hafm_hf.training.hubert.augmentation import augment


def augmented(waveform, seed, leak=None):
    return augment(waveform, np.random.default_rng(seed), leak)


def click(samples=16_000, at=5_000):
    waveform = np.zeros(samples, np.float32)
    waveform[at] = 1.0
    return waveform


def test_it_is_a_function_of_the_generator():
    waveform = noise(0.5, 16_000)[0]
    np.testing.assert_array_equal(augmented(waveform, 3), augmented(waveform, 3))
    assert any((augmented(waveform, 3) != augmented(waveform, seed)).any() for seed in range(4, 8))


def test_length_and_type_stay_and_everything_is_finite():
    for seed, samples in enumerate([1_600, 16_000, 16_384, 80_080, 80_081]):
        out = augmented(noise(samples / 16_000, 16_000)[0], seed)
        assert out.dtype == np.float32
        assert out.shape == (samples,)
        assert np.isfinite(out).all()
    assert np.isfinite(augmented(np.zeros(1_600, np.float32), 0)).all()


def test_events_stay_where_they_are():
    """The labels are those of the clean waveform, so nothing may move; what rings may ring afterwards only."""
    for seed in range(30):
        assert abs(np.abs(augmented(click(), seed)).argmax() - 5_000) <= 3


def test_the_end_does_not_ring_into_the_beginning():
    for seed in range(30):
        out = augmented(click(at=15_990), seed)
        assert np.square(out[:8_000]).sum() < 0.2 * np.square(out[8_000:]).sum()


def test_something_happens_to_most_waveforms_and_some_stay_clean():
    waveform = tone(0.5)[0]
    same = [np.allclose(augmented(waveform, seed), waveform, atol=1e-5) for seed in range(200)]
    assert 5 < sum(same) < 60


def test_a_leak_is_heard_below():
    waveform, leak = tone(1.0, frequency=440.0)[0], 30 * tone(1.0, frequency=1234.0)[0]
    levels = []
    for seed in range(40):
        spectrum = np.abs(np.fft.rfft(augmented(waveform, seed, leak)))
        levels.append(20 * np.log10(spectrum[1234] / spectrum[440]))
    assert np.median(levels) < -6
    assert np.median(levels) > -40
    assert np.isfinite(augmented(waveform, 0, np.zeros_like(waveform))).all()
