# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import numpy as np
import pytest

from hafm_hf.evaluation.track_features import Track


def test_features_share_one_grid(songs):
    track = Track(songs[0].vocal, 16_000)
    frames = len(track.sounding)
    assert track.onsets.shape == track.chords.shape == track.pitch_classes.shape == (frames,)
    assert track.chroma.shape == (12, frames)


def test_finds_the_beats_the_key_and_the_pitches_of_a_song(songs):
    for song, tempo, key in ((songs[0], 90, "C major"), (songs[2], 110, "D major")):
        band = Track(song.band, 16_000)
        assert np.median(np.diff(band.beats)) == pytest.approx(60 / tempo, rel=0.05)
        assert band.key == key
    sung = Track(songs[0].vocal, 16_000).pitch_classes
    assert set(np.flatnonzero(np.bincount(sung[sung >= 0]) > 5)) <= {0, 2, 4, 5, 7, 9, 11}


def test_refuses_audio_it_cannot_use():
    with pytest.raises(ValueError, match="0.90 s of audio are too short"):
        Track(np.ones(14_400), 16_000)
    with pytest.raises(ValueError, match="NaN"):
        Track(np.full(32_000, np.nan), 16_000)
    with pytest.raises(ValueError, match="nowhere.wav does not exist"):
        Track("nowhere.wav")
