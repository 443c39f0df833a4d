# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What counts as an instrumental."""

import numpy as np
import pytest
from song_files import voice_and_band, write_audio, write_stems

from hafm_hf.evaluation.baselines.pool import load_instrumental, pool_songs


def test_the_instrumental_of_stems_is_all_but_the_vocal(tmp_path):
    write_stems(tmp_path, 2)
    songs = pool_songs(tmp_path)
    assert len(songs) == 2
    audio, rate = load_instrumental(songs[1])
    assert rate == 16_000
    assert np.allclose(audio, voice_and_band(pitch=320.0)[1][0], atol=1e-3)


def test_a_folder_of_audio_holds_instrumentals_but_for_vocals(tmp_path):
    voice, band = voice_and_band(channels=2)
    for name, audio in (("one.wav", band), ("two_accompaniment.flac", band), ("two_vocals.flac", voice)):
        write_audio(tmp_path / name, audio, 16_000)
    songs = pool_songs(tmp_path)
    assert [song.path.name for song in songs] == ["one.wav", "two_accompaniment.flac"]
    assert load_instrumental(songs[0])[0].shape == band[0].shape


def test_a_folder_without_audio_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path.name} holds no instrumentals"):
        pool_songs(tmp_path)
