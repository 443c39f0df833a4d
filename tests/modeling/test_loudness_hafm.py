# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Loudness agrees with the standard, and a mix keeps the balance without ever clipping."""

import math
import tracemalloc

import numpy as np
import pytest
from waveforms import noise, tone

from hafm_hf.modeling.loudness_hafm import (
    _HIGH_PASS,
    _SHELF,
    PeakLimiter,
    k_weighting_biquads,
    loudness,
    match_loudness,
    mix,
)


# -- Loudness ----------------------------------------------------------------------------------------------------------


def test_the_reference_of_the_standard():
    sine = tone(5.0, 48000, frequency=997.0, amplitude=1.0)
    assert loudness(sine, 48000) == pytest.approx(-3.01, abs=0.005)
    assert loudness(sine[0], 48000) == loudness(sine, 48000)
    assert loudness(np.concatenate([sine, sine]), 48000) == pytest.approx(0.0, abs=0.005)
    assert loudness(0.1 * sine, 48000) == pytest.approx(-23.01, abs=0.005)


@pytest.mark.parametrize(
    "rate, tolerance", [(8000, 0.3), (16000, 0.1), (24000, 0.05), (44100, 0.01), (96000, 0.01), (192000, 0.01)]
)
def test_loudness_does_not_depend_on_the_rate(rate, tolerance):
    for frequency in (60.0, 997.0, 2500.0):
        reference = loudness(tone(2.0, 48000, frequency=frequency), 48000)
        assert loudness(tone(2.0, rate, frequency=frequency), rate) == pytest.approx(reference, abs=tolerance)


def test_the_filters_are_the_tables_at_48_khz():
    for (b, a), (table_b, table_a) in zip(k_weighting_biquads(48000), (_SHELF, _HIGH_PASS), strict=True):
        np.testing.assert_allclose(b, table_b, atol=1e-12)
        np.testing.assert_allclose(a, table_a, atol=1e-12)


def test_the_filters_are_stable_at_every_rate():
    for rate in (1000, 2000, 4000, 6000, 8000, 768000):
        for _, a in k_weighting_biquads(rate):
            assert np.abs(np.roots(a)).max() < 1


def loudness_in_the_time_domain(waveform, rate):
    """The standard word by word, slowly."""
    signal = pytest.importorskip("scipy.signal")
    for b, a in k_weighting_biquads(rate):
        waveform = signal.lfilter(b, a, waveform)
    block, hop = round(0.1 * rate) * 4, round(0.1 * rate)
    starts = range(0, waveform.shape[-1] - block + 1, hop)
    powers = np.array([sum((channel[i : i + block] ** 2).mean() for channel in waveform) for i in starts])
    powers = powers[-0.691 + 10 * np.log10(powers) > -70]
    gate = -0.691 + 10 * np.log10(powers.mean()) - 10
    return -0.691 + 10 * np.log10(powers[-0.691 + 10 * np.log10(powers) > gate].mean())


@pytest.mark.parametrize("rate", [11025, 24000, 44100, 48000])
@pytest.mark.parametrize("seconds", [0.4, 1.23, 25.07])  # one block, a part of one segment, three segments
def test_loudness_equals_filtering_in_time(rate, seconds):
    waveform = np.cumsum(noise(seconds, rate, channels=2, amplitude=0.01), axis=1)  # brown: much below 38 Hz
    waveform = waveform - waveform.mean(axis=1, keepdims=True)
    waveform[:, waveform.shape[1] // 2 :] *= 0.1  # falls under the relative gate
    expected = loudness_in_the_time_domain(waveform.astype(np.float64), rate)
    assert loudness(waveform, rate) == pytest.approx(expected, abs=1e-6)


def test_pauses_do_not_count():
    loud = noise(3.0, 24000)
    silence, whisper = np.zeros_like(loud), loud * 0.01
    alone = loudness(loud, 24000)
    for pause in (silence, whisper):
        assert loudness(np.concatenate([loud, pause, pause, pause], axis=1), 24000) == pytest.approx(alone, abs=0.3)


def test_a_clip_below_one_block_is_one_block():
    sine = tone(0.39, 48000, frequency=997.0, amplitude=1.0)
    assert loudness(sine, 48000) == pytest.approx(-3.01, abs=0.1)
    assert math.isfinite(loudness(sine[:, :2400], 48000))


def test_silence_has_no_loudness():
    for waveform in (np.zeros(48000, np.float32), np.zeros((2, 480), np.float32), noise(1.0, 48000, amplitude=1e-5)):
        assert loudness(waveform, 48000) == -math.inf


# -- Limiting ----------------------------------------------------------------------------------------------------------

CEILING = 10 ** (-1 / 20)


def hits(seconds=2.0, rate=24000, channels=1, peak=4.0):
    """Noise far below the ceiling with decaying hits far above it, one at each end."""
    waveform = noise(seconds, rate, channels, amplitude=0.05)
    for position in (0, 0.5, 0.51, 0.9999):
        first = round(position * waveform.shape[1])
        hit = peak * 0.98 ** np.arange(min(300, waveform.shape[1] - first))
        waveform[:, first : first + 300] += hit * (-1) ** np.arange(len(hit))
    return waveform.astype(np.float32)


@pytest.mark.parametrize("rate", [16000, 24000, 48000])
@pytest.mark.parametrize("peak", [1.0, 4.0, 100.0])
def test_nothing_exceeds_the_ceiling(rate, peak):
    for waveform in (
        hits(rate=rate, peak=peak),
        hits(rate=rate, peak=peak)[0],
        np.full(rate, peak),
        [[0.0, peak, 0.0]],
    ):
        limited = PeakLimiter(rate)(np.array(waveform))
        assert limited.dtype == np.float32 and limited.shape == np.shape(waveform)
        assert CEILING * 0.98 < np.abs(limited).max() < CEILING * (1 + 1e-6)


def test_what_is_below_the_ceiling_stays_to_the_bit():
    for waveform in (tone(1.0, amplitude=0.89, channels=2), noise(1.0, 24000), np.zeros((1, 5), np.float32)):
        np.testing.assert_array_equal(PeakLimiter(24000)(waveform), waveform)
    waveform = noise(4.0, 24000, amplitude=0.1)
    waveform[0, 48000] = 2.0
    limited = PeakLimiter(24000)(waveform)
    for far in (slice(0, 48000 - 121), slice(48000 + 36000, None)):
        np.testing.assert_array_equal(limited[:, far], waveform[:, far])


def test_the_gain_glides():
    waveform = np.full(24000, 0.5, np.float32)
    waveform[12000] = 4.0
    reduction = -20 * np.log10(PeakLimiter(24000)(waveform) / waveform)
    assert np.argmax(reduction) == 12000 and np.abs(np.diff(reduction)).max() < 2 * reduction.max() / 120
    assert reduction[12000 + 1200] == pytest.approx(reduction[12000] * np.exp(-1), rel=0.1)  # one release later


def test_channels_keep_their_balance():
    waveform = hits(channels=2) * np.array([[1.0], [0.25]], np.float32)
    limited = PeakLimiter(24000)(waveform)
    np.testing.assert_allclose(limited[1] * waveform[0], limited[0] * waveform[1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("length", [50, 121, 320, 20000])
def test_pieces_are_limited_as_the_whole(length):
    waveform = hits(1.0, channels=2)
    limiter, starts = PeakLimiter(24000), range(0, waveform.shape[1], length)
    pieces = [limiter(waveform[:, start : start + length], last=start == starts[-1]) for start in starts]
    assert pieces[-1].shape[1] > 120  # what waited for samples that never came
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), PeakLimiter(24000)(waveform), atol=1e-6)


def test_a_long_signal_takes_little_more_memory_than_itself():
    waveform = hits(60.0)
    tracemalloc.start()
    PeakLimiter(24000)(waveform)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * waveform.nbytes


# -- Mixing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [-6.0, 0.0, 3.0])
def test_the_accompaniment_gets_the_loudness_of_the_vocal(offset):
    vocal, band = noise(2.0, 24000, amplitude=0.05), tone(2.0, 24000, amplitude=0.9)
    matched = match_loudness(band, vocal, 24000, offset_db=offset)
    assert matched.dtype == np.float32
    assert loudness(matched, 24000) == pytest.approx(loudness(vocal, 24000) + offset, abs=1e-3)


def test_hits_do_not_keep_the_accompaniment_soft():
    vocal, band = tone(4.0, 24000, amplitude=0.3), hits(4.0, peak=1.9)
    missing_when_scaled = loudness(vocal, 24000) - loudness(band / np.abs(band).max(), 24000)
    assert missing_when_scaled > 6
    matched = match_loudness(band, vocal, 24000)
    assert np.abs(matched).max() < CEILING * (1 + 1e-6)
    assert loudness(matched, 24000) == pytest.approx(loudness(vocal, 24000), abs=0.1)


def test_silence_leaves_the_accompaniment_as_it_is():
    band, silence = noise(1.0, 24000), np.zeros((1, 24000), np.float32)
    np.testing.assert_array_equal(match_loudness(band, silence, 24000), band)
    np.testing.assert_array_equal(match_loudness(silence, band, 24000), silence)
    np.testing.assert_array_equal(mix(silence, band, 24000), band)
    np.testing.assert_array_equal(mix(silence, silence, 24000), silence)


@pytest.mark.parametrize("level", [0.001, 0.3, 5.0])
def test_a_mix_never_exceeds_its_peak_and_keeps_the_balance(level):
    vocal, band = tone(2.0, 24000, amplitude=level), noise(2.0, 24000, amplitude=0.2)
    mixed = mix(vocal, band, 24000)
    assert mixed.dtype == np.float32 and mixed.shape == vocal.shape
    assert float(np.abs(mixed).max()) <= 0.99
    # The mix is one gain times the sum: whatever is limited is in the accompaniment.
    vocal = vocal * min(1.0, 0.99 / level)
    unscaled = vocal + match_loudness(band, vocal, 24000)
    gain = min(1.0, 0.99 / np.abs(unscaled).max())
    np.testing.assert_allclose(mixed, gain * unscaled, rtol=1e-4, atol=1e-6)


def test_a_mono_accompaniment_is_as_loud_as_a_stereo_vocal():
    vocal = noise(2.0, 24000, channels=2, amplitude=0.05)
    band = tone(2.0, 24000)
    for mono in (band, band[0]):
        spread = mix(vocal, mono, 24000) - vocal
        assert spread.shape == vocal.shape
        assert loudness(spread, 24000) == pytest.approx(loudness(vocal, 24000), abs=0.01)


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(ValueError, match="24000 samples and the accompaniment 24001"):
        mix(np.zeros((1, 24000)), np.zeros((1, 24001)), 24000)
    with pytest.raises(ValueError, match="2 channels and the accompaniment 3"):
        mix(np.zeros((2, 24000)), np.zeros((3, 24000)), 24000)
