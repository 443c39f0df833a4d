# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""REPET-SIM finds what it was made for: a voice that changes over a band that repeats."""

import numpy as np
import pytest

from hafm_hf.data.separation import make_separator


RATE = 16000


def song(seconds=12):
    """A bar of one second that repeats, with a voice that glides and never returns; `[1, samples]` each."""
    time = np.arange(RATE) / RATE
    bar = sum(np.sin(2 * np.pi * hertz * time) * np.exp(-6 * (time % 0.25)) for hertz in (130.8, 196.0, 261.6, 1046.5))
    band = np.tile(bar, seconds)
    time = np.arange(seconds * RATE) / RATE
    pitch = 300 + 40 * time + 12 * np.sin(2 * np.pi * 5.5 * time)
    voice = sum(np.sin(k * 2 * np.pi * np.cumsum(pitch) / RATE) / k for k in (1, 2, 3))
    return (0.1 * voice).astype(np.float32)[None], (0.1 * band).astype(np.float32)[None]


def sdr(reference, estimate):
    """Signal-to-distortion ratio in dB."""
    return 10 * np.log10(np.square(reference).sum() / np.square(reference - estimate).sum())


def test_both_parts_are_nearer_to_the_truth_than_the_mixture_is():
    voice, band = song()
    vocal, instrumental = make_separator("repet").separate(voice + band, RATE)
    assert sdr(voice, vocal) > sdr(voice, voice + band) + 6
    assert sdr(band, instrumental) > sdr(band, voice + band) + 6
    np.testing.assert_allclose(vocal + instrumental, voice + band, atol=1e-6)


def test_a_stereo_image_is_kept():
    voice, band = song(4)
    vocal, instrumental = make_separator("repet").separate((voice + band) * np.float32([[1.0], [0.5]]), RATE)
    np.testing.assert_allclose(vocal[1], 0.5 * vocal[0], atol=1e-6)
    np.testing.assert_allclose(instrumental[1], 0.5 * instrumental[0], atol=1e-6)


@pytest.mark.parametrize("samples", [1, 700, 5000])
@pytest.mark.parametrize("rate", [8000, 44100])
def test_short_and_silent_mixtures_are_no_special_case(samples, rate):
    mixture = np.random.default_rng(0).normal(0, 0.1, (2, samples)).astype(np.float32)
    vocal, instrumental = make_separator("repet").separate(mixture, rate)
    np.testing.assert_allclose(vocal + instrumental, mixture, atol=1e-6)
    assert not make_separator("repet").separate(0 * mixture, rate)[0].any()
