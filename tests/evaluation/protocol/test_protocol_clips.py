# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from song_files import contents
from waveforms import noise, tone

from hafm_hf.evaluation.protocol.clips import SAMPLING_RATE, ClipFolder, pair_songs, slug
from hafm_hf.evaluation.protocol.separated import SimulatedLeakage
from hafm_hf.modeling.audio_hafm import load_audio


ALONE = SimpleNamespace(process_index=0, num_processes=1, is_main_process=True)


def write_pair(root, name, vocal, accompaniment, rate=16000):
    for kind, waveform in (("vocals", vocal), ("accompaniment", accompaniment)):
        if waveform is not None:
            soundfile.write(root / f"{name}_{kind}.wav", waveform.T, rate)


def cut(root, folder, state=ALONE, **settings):
    clips = ClipFolder(folder, **{"seconds": 2.0} | settings)
    clips.cut(pair_songs(root), state)
    return clips


def test_clips_follow_each_other_and_hold_what_was_sung_and_played_there(tmp_path):
    vocal, band = tone(6.5, 44100, 2), noise(6.5, 44100, 2)
    write_pair(tmp_path, "song", vocal, band, 44100)
    clips = cut(tmp_path, tmp_path / "clips", voice_of_mix=SimulatedLeakage())
    assert [(clip.start, clip.duration, clip.song) for clip in clips.clips()] == [
        (start, 2.0, f"{tmp_path.name}/song") for start in (0.0, 2.0, 4.0)
    ]
    second = clips.load(clips.clips()[1], "isolated", seed=3)
    assert second.sampling_rate == SAMPLING_RATE
    assert second.seed == 3
    samples = slice(2 * SAMPLING_RATE, 4 * SAMPLING_RATE)
    expected = np.interp(
        np.arange(6 * SAMPLING_RATE) / SAMPLING_RATE, np.arange(vocal.shape[1]) / 44100, vocal.mean(0)
    )
    assert second.vocal == pytest.approx(expected[samples], abs=0.01)
    separated = clips.load(clips.clips()[1], "separated", seed=3).vocal
    leak = (separated - second.vocal) @ second.accompaniment / (second.accompaniment @ second.accompaniment)
    assert -26 <= 20 * np.log10(leak) <= -20


def test_a_song_shorter_than_a_clip_is_one_clip(tmp_path):
    write_pair(tmp_path, "short", tone(3.5, 16000), noise(3.5, 16000))
    (clip,) = cut(tmp_path, tmp_path / "clips", seconds=10.0).clips()
    assert clip.duration == 3.5


def test_clips_without_a_voice_are_left_out(tmp_path):
    vocal = tone(6.0, 16000)
    vocal[:, 2 * 16000 : 4 * 16000] = 0
    write_pair(tmp_path, "song", vocal, noise(6.0, 16000))
    assert [clip.start for clip in cut(tmp_path, tmp_path / "clips").clips()] == [0.0, 4.0]


def test_what_cannot_be_used_is_listed_and_the_rest_is_cut(tmp_path):
    good, nan = tone(4.0, 16000), np.full((1, 64000), np.nan, np.float32)
    write_pair(tmp_path, "good", good, good)
    write_pair(tmp_path, "silent", 0 * good, good)
    write_pair(tmp_path, "brief", good[:, :16000], good[:, :16000])
    write_pair(tmp_path, "unequal", good, good[:, :40000])
    write_pair(tmp_path, "alone", good, None)
    write_pair(tmp_path, "voiceless", None, good)
    soundfile.write(tmp_path / "nan_vocals.wav", nan.T, 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "nan_accompaniment.wav", good.T, 16000)
    clips = cut(tmp_path, tmp_path / "clips")
    assert {clip.song for clip in clips.clips()} == {f"{tmp_path.name}/good"}
    reasons = {song.split("/")[1]: reason for song, reason in clips.skipped().items()}
    assert reasons == {
        "silent": "No clip of it has a vocal above -40 dB.",
        "brief": "It is 1.00 s long, shorter than 3 s.",
        "unequal": "The stems of unequal are 2.5 to 4.0 s long; export them at one length.",
        "alone": "alone_accompaniment.wav does not exist; check the path.",
        "voiceless": "voiceless_vocals.wav does not exist; check the path.",
        "nan": "nan_vocals.wav holds NaN or infinite samples; export the recording again, or replace them.",
    }


def test_several_processes_leave_the_same_files_as_one(tmp_path):
    for number in range(3):
        write_pair(tmp_path, f"{number}", tone(4.0, 16000, frequency=300 + number), noise(4.0, 16000, seed=number))
    for rank in range(2):
        cut(tmp_path, tmp_path / "two", SimpleNamespace(process_index=rank, num_processes=2, is_main_process=True))
    cut(tmp_path, tmp_path / "one")
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_folders_of_stems_are_pairs_too(tmp_path):
    folder = tmp_path / "My song"
    folder.mkdir()
    for name in ("vocals", "drums", "bass"):
        soundfile.write(folder / f"{name}.wav", tone(3.0, 16000).T, 16000)
    (clip,) = cut(tmp_path, tmp_path / "clips", seconds=3.0).clips()
    assert clip.id == "00000-My-song-000s"
    truth = load_audio(ClipFolder(tmp_path / "clips").path("accompaniment", clip)).waveform
    assert np.abs(truth).max() == pytest.approx(0.99, abs=0.02)  # the sum of drums and bass


@pytest.mark.parametrize(
    ("song_id", "expected"),
    [("musdb18/test/Al James - Schoolboy.stem.mp4", "Al-James-Schoolboy"), ("x/Ünï & cø/", "n-c"), ("x/a\nb", "a-b")],
)
def test_names_of_files_are_plain(song_id, expected):
    assert slug(song_id) == expected


def test_a_song_gives_no_more_clips_than_wanted(tmp_path):
    vocal = tone(8.0, 16000)
    vocal[:, : 2 * 16000] = 0
    write_pair(tmp_path, "song", vocal, noise(8.0, 16000))
    assert [clip.start for clip in cut(tmp_path, tmp_path / "clips", per_song=2).clips()] == [2.0, 4.0]
