# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What is retrieved fits key, tempo, beat, length and loudness of the vocal."""

import numpy as np
import pytest
from song_files import write_audio
from waveforms import tone

from hafm_hf.evaluation.baselines.base import CannotAccompany, EvaluationClip
from hafm_hf.evaluation.baselines.outline import Outline
from hafm_hf.evaluation.baselines.pool import pool_songs
from hafm_hf.evaluation.baselines.retrieval import (
    Match,
    Retrieval,
    find_match,
    make_loop,
    transform,
    whole_bars,
)
from hafm_hf.evaluation.rhythm import onset_correlation
from hafm_hf.evaluation.track_features import Track
from hafm_hf.modeling.loudness_hafm import loudness


RATE = 16_000


def beats(tempo: float, count: int = 9, first: float = 0.3) -> tuple[float, ...]:
    return tuple(first + 60 / tempo * np.arange(count))


def music(key: str | None, tempo: float) -> Outline:
    return Outline(key, beats(tempo))


@pytest.mark.parametrize(
    ("vocal", "instrumental", "shift", "speed", "cost"),
    [
        (music("C major", 100), music("C major", 100), 0, 1.0, 0.0),
        (music("C major", 100), music("D major", 100), -2, 1.0, 2 / 3),
        (music("A# minor", 100), music("B minor", 100), -1, 1.0, 1 / 3),
        (music("C major", 110), music("C major", 100), 0, 1.1, 0.682),
        (music("C major", 100), music("C major", 50), 0, 1.0, 0.0),
        (music("C major", 95), music("C major", 200), 0, 0.95, 0.367),
        (music("C major", 100), music("A minor", 100), 0, 1.0, 0.5),
        (music("C major", 100), music("F# major", 100), -3, 1.0, 2.0),
        (music("C major", 130), music("C major", 100), 0, 1.15, 1.877),
        (music(None, 100), music("F# major", 100), 0, 1.0, 0.0),
        (Outline("C major", ()), music("C major", 120), 0, 1.0, 0.0),
    ],
)
def test_matches_shift_and_stretch_as_little_as_they_can(vocal, instrumental, shift, speed, cost):
    found = find_match(vocal, instrumental)
    assert found.shift == shift
    assert found.speed == pytest.approx(speed)
    assert found.cost == pytest.approx(cost, abs=1e-3)


@pytest.mark.parametrize(("shift", "speed"), [(3, 1.1), (-3, 0.9), (0, 1.15), (2, 1.0)])
def test_shift_changes_the_pitch_and_speed_the_length(shift, speed):
    changed = transform(tone(2.0, RATE)[0], Match(0.0, shift, speed), RATE, 22_050)
    assert len(changed) == pytest.approx(2.0 / speed * 22_050, rel=0.001)
    spectrum = np.abs(np.fft.rfft(changed * np.hanning(len(changed))))
    pitch = spectrum.argmax() * 22_050 / len(changed)
    assert pitch == pytest.approx(440 * 2 ** (shift / 12), rel=0.005)


def test_a_loop_repeats_without_a_jump():
    audio = tone(1.0, RATE, frequency=440.3)[0]
    loop = make_loop(audio, round(0.9 * RATE), RATE)
    assert len(loop) == round(0.9 * RATE)
    assert np.array_equal(loop[RATE // 2 :], audio[RATE // 2 : len(loop)])
    assert np.abs(np.diff(np.tile(loop, 2))).max() < 1.1 * np.abs(np.diff(audio)).max()


def test_bars_are_whole_long_enough_and_random():
    generator = np.random.default_rng(0)
    grid = np.round(np.arange(0.3, 60, 0.5), 6)
    drawn = {whole_bars(grid, 60.0, 9.0, generator) for _ in range(100)}
    assert len(drawn) > 15
    for start, end in drawn:
        assert end - start == pytest.approx(10.0), "five bars of 2 s"
        assert start in grid[::4]
    assert whole_bars(grid[:10], 6.0, 9.0, generator) == (0.3, 4.3), "all there are"
    assert whole_bars(grid[:4], 6.0, 9.0, generator) == (0.0, 6.0)


@pytest.fixture
def retrieval(songs, tmp_path):
    """Bands in D at 110, G at 90 and C at 135 beats a minute."""
    for number in (2, 1, 4):
        write_audio(tmp_path / "pool" / f"{number}.flac", songs[number].band[None], RATE)
    return Retrieval(pool_songs(tmp_path / "pool"), tmp_path / "cache")


def clip_of(vocal, name="clip", **settings) -> EvaluationClip:
    return EvaluationClip(name, name, vocal, RATE, **settings)


def test_the_right_song_is_transposed_to_the_key_and_laid_on_the_beat(retrieval, songs, fits):
    """A vocal in F at 110: three semitones above the only band of its tempo."""
    clip = clip_of(songs[3].vocal)
    (accompaniment,) = retrieval.accompany([clip])
    assert fits([clip], [accompaniment])
    assert Track(accompaniment, RATE).key == "F major"
    off_the_beat = np.roll(accompaniment, round(30 / 110 * RATE))
    assert onset_correlation(clip.vocal, accompaniment, RATE) > 0.3
    assert onset_correlation(clip.vocal, off_the_beat, RATE) < 0.1
    assert loudness(accompaniment, RATE) == pytest.approx(loudness(clip.vocal, RATE), abs=0.1)


def test_a_vocal_longer_than_the_pool_is_accompanied_to_its_end(retrieval, songs, fits):
    clip = clip_of(np.tile(songs[3].vocal, 3))
    (accompaniment,) = retrieval.accompany([clip])
    assert fits([clip], [accompaniment])
    assert Track(accompaniment, RATE).sounding.mean() > 0.95


def test_seeds_draw_among_equals(retrieval):
    """Silence has neither key nor beat, so all songs fit it."""
    silence = np.zeros(2 * RATE, np.float32)
    drawn = [retrieval.accompany([clip_of(silence, seed=seed)])[0] for seed in (0, 1, 2, 3, 0)]
    assert np.array_equal(drawn[0], drawn[4])
    assert len({audio.tobytes() for audio in drawn}) > 1


def test_the_own_song_is_never_retrieved(retrieval, songs):
    (own,) = [song for song, _ in retrieval.pool if song.path.name == "2.flac"]
    clip = EvaluationClip("clip", own.id, songs[2].vocal, RATE)
    retrieved = retrieval.accompany([clip])[0]
    retrieval.pool = [entry for entry in retrieval.pool if entry[0] != own]
    assert np.array_equal(retrieval.accompany([clip])[0], retrieved)
    retrieval.pool = []
    with pytest.raises(CannotAccompany, match="no other song than that of clip"):
        retrieval.accompany([clip])


def test_a_vocal_too_short_to_have_a_beat_is_named(retrieval):
    with pytest.raises(CannotAccompany, match="clip cannot be analysed: 0.50 s"):
        retrieval.accompany([clip_of(np.ones(RATE // 2, np.float32))])
