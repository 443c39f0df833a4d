# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Segments are the same for the same seed, of one length and rate, and never silent where there is sound."""

import numpy as np
import pytest
import soundfile

from hafm_hf.training.segments import RandomSegments


def write(path, samples, rate=24000):
    soundfile.write(path, samples, rate)
    return path


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    return [write(tmp_path / f"{i}.flac", 0.1 * rng.standard_normal(24000)) for i in range(3)]


def test_a_segment_is_a_function_of_seed_and_index(files):
    first, again = RandomSegments(files, 3200, 24000), RandomSegments(files, 3200, 24000)
    assert np.array_equal(first[5], again[5])
    assert not np.array_equal(first[5], first[6])
    assert not np.array_equal(first[5], RandomSegments(files, 3200, 24000, seed=1)[5])


def test_silence_is_passed_over(tmp_path):
    samples = np.zeros(10 * 24000)
    samples[-24000:] = 0.1 * np.sin(np.arange(24000))
    segments = RandomSegments([write(tmp_path / "late.flac", samples)], 2400, 24000)
    assert sum(segments[i].any() for i in range(30)) > 24


def test_short_files_are_padded_and_other_rates_resampled(tmp_path):
    time = np.arange(48000) / 48000
    short = RandomSegments([write(tmp_path / "short.wav", np.full(100, 0.5))], 320, 24000)[0]
    tone = RandomSegments([write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 1000 * time), 48000)], 9600, 24000)[0]
    assert short.shape == (320,) and short[:90].all() and not short[100:].any()
    assert np.abs(np.fft.rfft(tone)).argmax() == 400  # 1 kHz in steps of 2.5 Hz


def test_samples_stay_within_full_scale(tmp_path):
    loud = RandomSegments([write(tmp_path / "loud.wav", np.tile([0.9, -0.9], 5000))], 3200, 24000)
    assert max(np.abs(loud[i]).max() for i in range(20)) <= 1


def test_no_files_are_an_error():
    with pytest.raises(ValueError, match="no audio files"):
        RandomSegments([], 320, 24000)


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "broken.flac"
    path.write_bytes(b"no audio")
    with pytest.raises(ValueError, match=r"broken\.flac cannot be read"):
        RandomSegments([path], 320, 24000)[0]
