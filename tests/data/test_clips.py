# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Cutting pairs into clips on the grid of both token rates."""

from pathlib import Path

import numpy as np
import pytest
from song_files import voice_and_band, write_audio

from hafm_hf import HafmAudioTokenizerConfig
from hafm_hf.data.clips import ClipCutter, separate_to_mono
from hafm_hf.data.corpora import Pair, Song, folder_songs
from hafm_hf.data.filters import ClipFilter
from hafm_hf.data.separation import make_separator


CONFIG = HafmAudioTokenizerConfig()
SONG = Song("mine/a.wav", Path("a.wav"), "mine", "CC0")
RATE = 24000


def ramp_pair(seconds):
    samples = np.arange(round(seconds * RATE), dtype=np.float32)
    return Pair(samples, -samples, RATE)


@pytest.mark.parametrize("seconds", [1.0, 1.99, 2.0, 2.013, 2.5, 7.77])
def test_clips_follow_each_other_and_end_on_the_grid(seconds):
    clips = list(ClipCutter(CONFIG, seconds=1.0, min_seconds=0.2).cut(SONG, ramp_pair(seconds)))
    end = 0.0
    for clip in clips:
        assert clip.start == pytest.approx(end)
        assert len(clip.vocal) == clip.duration * RATE
        assert len(clip.vocal) % 960 == 0
        assert clip.vocal[0] == clip.start * RATE
        np.testing.assert_array_equal(clip.vocal, -clip.instrumental)
        end = clip.start + clip.duration
    assert seconds - end < 0.2 + 0.04


def test_a_clip_says_where_it_is_from():
    first, second = ClipCutter(CONFIG, 1.0, 0.5).cut(SONG, ramp_pair(1.57))
    assert first[:5] == ("mine/a.wav@0.00", "mine", "CC0", 0.0, 1.0)
    assert second[:5] == ("mine/a.wav@1.00", "mine", "CC0", 1.0, 0.56)


def test_a_rest_shorter_than_the_shortest_clip_is_left_out():
    cutter = ClipCutter(CONFIG, 1.0, 0.5)
    assert [clip.duration for clip in cutter.cut(SONG, ramp_pair(1.49))] == [1.0]
    assert [clip.duration for clip in cutter.cut(SONG, ramp_pair(1.54))] == [1.0, 0.52]


@pytest.mark.parametrize(("seconds", "min_seconds"), [(1.01, 0.5), (1.0, 1.5), (1.0, 0.0), (0.0, 0.0), (-1.0, -2.0)])
def test_lengths_that_cannot_be_cut_are_refused(seconds, min_seconds):
    with pytest.raises(ValueError, match=r"multiple of 0\.04 s and the shortest"):
        ClipCutter(CONFIG, seconds, min_seconds)


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2)])
def test_mono_pairs_stay_aligned_at_the_rate_of_the_codec(rate, channels):
    voice, band = voice_and_band(1.0, rate, channels)
    pair = ClipCutter(CONFIG).mono(Pair(voice, band, rate))
    assert pair.vocal.shape == pair.instrumental.shape == (RATE,)
    assert pair.vocal.dtype == np.float32
    expected = voice_and_band(1.0, RATE)[0][0]
    np.testing.assert_allclose(pair.vocal[1000:-1000], expected[1000:-1000], atol=1e-3)


def test_levels_are_those_of_the_filter():
    cutter = ClipCutter(CONFIG, 1.0, 1.0)
    (clip,) = cutter.cut(SONG, Pair(np.full(RATE, 0.1, np.float32), np.full(RATE, 1.0, np.float32), RATE))
    assert cutter.levels(clip, ClipFilter()) == pytest.approx((-20, 0), abs=1e-3)


def test_why_a_song_cannot_be_used_does_not_tell_where_it_lies(tmp_path):
    write_audio(tmp_path / "ünïcode\n" / "silent.wav", np.zeros((1, 16000)), 16000)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "empty.wav").touch()
    cutter, separator = ClipCutter(CONFIG, 1.0, 0.5), make_separator("repet")
    empty, silent = (separate_to_mono(song, separator, cutter) for song in folder_songs(tmp_path))
    assert empty.startswith("empty.wav is empty")
    assert silent == "silent.wav is silent."
