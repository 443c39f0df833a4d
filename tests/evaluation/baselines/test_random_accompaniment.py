# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Chance is drawn from other songs, by the seed."""

from dataclasses import replace

import numpy as np
import pytest
from song_files import write_audio
from waveforms import tone

from hafm_hf.evaluation.baselines.base import CannotAccompany
from hafm_hf.evaluation.baselines.pool import pool_songs
from hafm_hf.evaluation.baselines.random_accompaniment import RandomAccompaniment


RATE = 22_050


@pytest.fixture
def pool(tmp_path):
    """Steady levels tell the songs apart: 0.1, 0.2 ..."""
    for number in range(4):
        audio = np.full((1, round((1.0 - 0.28 * number) * RATE)), 0.1 * (number + 1), np.float32)
        write_audio(tmp_path / "pool" / f"{number}.wav", audio, RATE)
    return pool_songs(tmp_path / "pool")


def levels(system, clip, seeds=range(30)) -> set[float]:
    return {round(float(system.accompany([replace(clip, seed=seed)])[0].min()), 1) for seed in seeds}


def test_every_song_but_the_clips_own_is_drawn(pool, clips):
    system = RandomAccompaniment(pool)
    assert levels(system, clips[0]) == {0.1, 0.2, 0.3, 0.4}
    assert levels(system, replace(clips[0], song=pool[1].id)) == {0.1, 0.3, 0.4}


def test_clips_draw_apart_and_the_seed_draws_the_same_again(pool, clips, fits):
    system = RandomAccompaniment(pool)
    clips = [replace(clips[0], id=f"clip {number}") for number in range(20)]
    drawn = system.accompany(clips)
    assert fits(clips, drawn)
    assert len({float(audio[0]) for audio in drawn}) == 4
    assert all(np.array_equal(*pair) for pair in zip(drawn, system.accompany(clips), strict=True))


def test_stretches_are_random_and_at_the_rate_of_the_vocal(tmp_path, clips, fits):
    write_audio(tmp_path / "long.wav", np.linspace(0, 0.9, 40_000, dtype=np.float32)[None], 8_000)
    system = RandomAccompaniment(pool_songs(tmp_path))
    clips = [replace(clips[0], seed=seed) for seed in range(5)]
    drawn = system.accompany(clips)
    assert fits(clips, drawn)
    assert len({round(float(audio[100]), 3) for audio in drawn}) == 5
    slopes = [(audio[-100] - audio[100]) / (len(audio) - 200) * RATE for audio in drawn]
    assert slopes == pytest.approx([0.18] * 5, rel=0.01), "0.9 in 5 s"


def test_a_broken_song_is_passed_over(pool, clips):
    pool[0].path.write_text("no audio")
    assert levels(RandomAccompaniment(pool), clips[0]) == {0.2, 0.3, 0.4}


def test_a_pool_of_the_own_song_has_nothing(clips, tmp_path):
    write_audio(tmp_path / "a.wav", tone(0.5, RATE), RATE)
    (song,) = pool_songs(tmp_path)
    with pytest.raises(CannotAccompany, match="no other song than that of set/a@0.00"):
        RandomAccompaniment([song]).accompany([replace(clips[0], song=song.id)])
