# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Decoding songs and their stems."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hafm_hf.data.corpora import Song, folder_songs, load_mixture, load_pair


RATE = 44100


def stem_song(*stems: Path) -> Song:
    return Song("test/song", stems[0].parent, "test", stems=stems)


@pytest.fixture
def write_noise(tmp_path):
    def write(name, seconds=0.5, channels=2, rate=RATE):
        samples = np.random.default_rng(len(name)).uniform(-0.2, 0.2, (round(seconds * rate), channels))
        soundfile.write(tmp_path / name, samples.astype(np.float32), rate, subtype="FLOAT")
        return tmp_path / name

    return write


def test_the_instrumental_of_a_stem_file_is_the_exact_linear_sum_of_its_stems(tmp_path, write_stem_file, five_streams):
    path = write_stem_file(tmp_path / "a.stem.mp4", five_streams)
    vocal, instrumental, rate = load_pair(Song("test/a", path, "test", stems=(path,)))
    _, drums, bass, other, vocals = five_streams
    assert rate == RATE
    np.testing.assert_array_equal(vocal, vocals)
    np.testing.assert_allclose(instrumental, drums + bass + other, atol=1e-7)


def test_lossy_streams_stay_aligned_with_each_other(tmp_path, write_stem_file, five_streams):
    path = write_stem_file(tmp_path / "a.stem.mp4", [five_streams[4]] * 5, codec="aac")
    song = Song("test/a", path, "test", stems=(path,))
    pair = load_pair(song)
    assert pair.vocal.shape[1] >= RATE
    np.testing.assert_allclose(pair.instrumental, 3 * pair.vocal, atol=1e-6)
    np.testing.assert_allclose(load_mixture(song).waveform, pair.vocal, atol=1e-6)


def test_the_mixture_of_a_stem_file_is_the_one_it_was_distributed_with(tmp_path, write_stem_file, five_streams):
    path = write_stem_file(tmp_path / "a.stem.mp4", five_streams)
    mixture = load_mixture(Song("test/a", path, "test", stems=(path,)))
    np.testing.assert_allclose(mixture.waveform, five_streams[0], atol=2**-15)


def test_stems_in_files_are_summed_at_one_rate_and_in_stereo(write_noise):
    vocals, drums = write_noise("vocals.wav", channels=1), write_noise("drums.wav")
    slow = write_noise("bass.wav", rate=RATE // 2)
    pair = load_pair(stem_song(vocals, drums, slow))
    assert pair.vocal.shape == pair.instrumental.shape == (2, RATE // 2)
    assert pair.duration == pytest.approx(0.5)
    np.testing.assert_array_equal(pair.vocal[0], pair.vocal[1])
    bass = pair.instrumental - soundfile.read(drums, dtype="float32")[0].T
    assert np.sqrt(np.square(bass[:, ::2]).mean()) == pytest.approx(0.2 / 3**0.5, rel=0.1)


def test_the_mixture_of_a_folder_without_one_is_the_sum_of_its_stems(write_noise):
    song = stem_song(write_noise("vocals.wav"), write_noise("band.wav"))
    pair = load_pair(song)
    np.testing.assert_array_equal(load_mixture(song).waveform, pair.vocal + pair.instrumental)


def test_a_stem_that_lacks_a_few_samples_is_padded_and_one_of_another_song_refused(write_noise):
    vocals = write_noise("vocals.wav")
    pair = load_pair(stem_song(vocals, write_noise("short.wav", seconds=0.45)))
    assert pair.instrumental.shape == pair.vocal.shape
    assert not pair.instrumental[:, -RATE // 20 + 1 :].any()
    with pytest.raises(ValueError, match=r"are 0\.3 to 0\.5 s long"):
        load_pair(stem_song(vocals, write_noise("shorter.wav", seconds=0.3)))


def test_stems_of_different_channels_are_refused(write_noise):
    with pytest.raises(ValueError, match="differ in channels"):
        load_pair(stem_song(write_noise("vocals.wav"), write_noise("surround.wav", channels=6)))


def test_a_song_without_stems_is_refused(write_noise):
    path = write_noise("song.wav")
    with pytest.raises(ValueError, match=r"song\.wav has no stems"):
        load_pair(Song("test/song.wav", path, "test"))
    with pytest.raises(ValueError, match="has no stems"):
        load_pair(stem_song(write_noise("vocals.wav")))


def test_what_only_calls_itself_a_stem_file_is_refused_by_name(tmp_path, write_stem_file, five_streams):
    whole = write_stem_file(tmp_path / "whole.stem.mp4", five_streams).read_bytes()
    (tmp_path / "empty.stem.mp4").touch()
    (tmp_path / "text.stem.mp4").write_text("no audio")
    (tmp_path / "cut.stem.mp4").write_bytes(whole[: len(whole) // 2])
    damaged = bytearray(whole)
    damaged[len(whole) // 4 : len(whole) // 2] = bytes(len(whole) // 2 - len(whole) // 4)
    (tmp_path / "damaged.stem.mp4").write_bytes(damaged)
    write_stem_file(tmp_path / "four.stem.mp4", five_streams[:4])
    for name in ("empty", "text", "cut", "damaged", "four", "missing"):
        path = tmp_path / f"{name}.stem.mp4"
        with pytest.raises(ValueError, match=rf"{name}\.stem\.mp4"):
            load_pair(Song(f"test/{name}", path, "test", stems=(path,)))


def test_a_missing_library_is_not_blamed_on_the_song(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"pip install 'hafm-hf\[media\]'"):
        load_pair(Song("test/a", tmp_path / "a.stem.mp4", "test"))


@pytest.mark.skipif("HAFM_TEST_AUDIO" not in os.environ, reason="needs HAFM_TEST_AUDIO, a folder of real songs")
def test_every_real_stem_file_adds_up_to_about_its_mixture():
    songs = [song for song in folder_songs(os.environ["HAFM_TEST_AUDIO"]) if song.stems]
    assert songs
    for song in songs:
        pair, mixture = load_pair(song), load_mixture(song).waveform
        error = pair.vocal + pair.instrumental - mixture
        assert np.square(error).sum() < 0.1 * np.square(mixture).sum(), song.id
