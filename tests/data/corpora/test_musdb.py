# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Listing MUSDB18 and MUSDB18-HQ."""

import numpy as np
import pytest
import soundfile

from hafm_hf.data.corpora import load_pair, musdb18_songs


STEMS = ("mixture", "drums", "bass", "other", "vocals")


@pytest.fixture
def musdb18(tmp_path):
    for split, names in {"train": ["B - Two", "A - One"], "test": ["C - Three"]}.items():
        (tmp_path / split).mkdir()
        for name in names:
            (tmp_path / split / f"{name}.stem.mp4").touch()
            (tmp_path / split / f"._{name}.stem.mp4").touch()
    return tmp_path


@pytest.fixture
def musdb18hq(tmp_path):
    for split, name in {"train": "A - One", "test": "C - Three"}.items():
        (tmp_path / split / name).mkdir(parents=True)
        for number, stem in enumerate(STEMS):
            soundfile.write(tmp_path / split / name / f"{stem}.wav", np.full((4410, 2), number / 16), 44100)
    return tmp_path


def test_the_splits_are_told_apart(musdb18):
    assert [song.title for song in musdb18_songs(musdb18)] == ["One", "Two", "Three"]
    (song,) = musdb18_songs(musdb18, split="test")
    assert (song.id, song.source, song.artist) == ("musdb18/test/C - Three.stem.mp4", "musdb18", "C")
    assert song.stems == (song.path,)
    assert "CC BY-NC-SA" in song.license


def test_hq_has_the_same_songs_in_folders(musdb18hq):
    (song,) = musdb18_songs(musdb18hq, split="test")
    assert (song.id, song.source, song.title) == ("musdb18hq/test/C - Three", "musdb18hq", "Three")
    assert song.path.name == "mixture.wav"
    pair = load_pair(song)
    np.testing.assert_allclose(pair.vocal, 4 / 16)
    np.testing.assert_allclose(pair.instrumental, (1 + 2 + 3) / 16)


def test_a_wrong_split_or_folder_is_an_error(musdb18, tmp_path):
    with pytest.raises(ValueError, match="no split 'valid'"):
        list(musdb18_songs(musdb18, split="valid"))
    with pytest.raises(ValueError, match="train is not a folder"):
        list(musdb18_songs(musdb18 / "test"))
