# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The linear probe of tokens and features."""

import json

import numpy as np
import pytest
from song_files import write_audio

from hafm_hf.evaluation.token_probe import TASKS, beats, chords, note_onsets, pitch_classes, probe_songs


RATE = 16_000
TRUTH = {
    "notes": [{"start": 0.1, "end": 0.3, "pitch": 60}, {"start": 0.3, "end": 0.4, "pitch": 71}],
    "chords": [
        {"start": 0.0, "end": 0.2, "pitch_classes": [9, 0, 4]},
        {"start": 0.2, "end": 0.5, "pitch_classes": [2, 6, 9, 1]},
    ],
    "beats": [0.0, 0.25],
}


def sound(frequencies, samples):
    time = np.arange(samples) / RATE
    return sum(np.sin(2 * np.pi * frequency * time) for frequency in frequencies) / 8


def write_song(folder, seed, seconds=6):
    """Half a second of each note, in the middle of it a breath; a chord a second; beats are clicks."""
    generator = np.random.default_rng(seed)
    pitches, roots = generator.integers(12, size=2 * seconds), generator.integers(12, size=seconds)
    vocals, band = np.zeros(seconds * RATE), np.zeros(seconds * RATE)
    truth = {"notes": [], "chords": [], "beats": [0.5 * beat for beat in range(2 * seconds)]}
    for number, pitch in enumerate(pitches.tolist()):
        start = 0.5 * number
        vocals[round(start * RATE) :][: RATE // 4] = sound([500 + 200 * pitch], RATE // 4)
        truth["notes"].append({"start": start, "end": start + 0.25, "pitch": 60 + pitch})
    for number, root in enumerate(roots.tolist()):
        band[number * RATE : (number + 1) * RATE] = sound([500 + 200 * root], RATE)
        chord = [root, (root + 4) % 12, (root + 7) % 12]
        truth["chords"].append({"start": float(number), "end": number + 1.0, "pitch_classes": chord})
    for beat in truth["beats"]:
        band[round(beat * RATE) :][:600] += 0.5 * generator.standard_normal(600)
    write_audio(folder / "vocals.flac", vocals[None], RATE)
    write_audio(folder / "accompaniment.flac", band[None], RATE)
    (folder / "truth.json").write_text(json.dumps(truth))
    return folder


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    root = tmp_path_factory.mktemp("band")
    return [write_song(root / str(number), number) for number in range(8)]


def spectra(audio):
    """Log magnitudes of 100 Hz bands around each frame and before it, `[frames, size]`."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(audio, (440, 400)), 840)[::320][: len(audio) // 320]
    before, now = (
        np.log(np.abs(np.fft.rfft(part * np.hanning(320), 640)) + 0.1)
        for part in (windows[:, :320], windows[:, 440:760])
    )
    return np.concatenate([now[:, ::2], now[:, ::2] - before[:, ::2]], axis=1).astype(np.float32)


def loudest_band(audio):
    return np.append(spectra(audio)[:, :161].argmax(axis=1)[:-1], 0)


def test_labels_are_those_of_the_middle_of_a_frame():
    # Frames at 0.0125, 0.0325, 0.0525, ...
    assert pitch_classes(TRUTH, 22).tolist() == [-1] * 5 + [0] * 10 + [11] * 5 + [-1] * 2
    assert np.flatnonzero(note_onsets(TRUTH, 22)).tolist() == [3, 4, 5, 6, 13, 14, 15, 16]
    assert chords(TRUTH, 11).tolist() == [9 + 12] * 10 + [2]
    assert np.flatnonzero(beats(TRUTH, 16)).tolist() == [0, 1, 10, 11, 12, 13]
    assert note_onsets({"notes": []}, 5).tolist() == [0] * 5


def test_what_features_tell_is_found_in_songs_that_were_not_learnt_from(songs):
    scores = probe_songs(spectra, songs[:6], songs[6:], seconds=6)
    assert scores.keys() == TASKS.keys()
    for task in ("pitch_class", "chord"):
        assert scores[task]["score"] > 0.9
        assert scores[task]["chance"] < 0.4
    for task in ("note_onset", "beat"):
        assert scores[task]["score"] > 0.6
        assert 0.1 < scores[task]["chance"] < 0.25
    assert scores["chord"]["frames"] == 2 * 6 * 50
    assert scores["pitch_class"]["frames"] == pytest.approx(2 * 6 * 25, abs=20)


def test_tokens_are_classes_and_not_numbers(songs):
    generator = np.random.default_rng(0)
    shuffled = generator.permutation(200)
    scores = probe_songs(lambda audio: shuffled[loudest_band(audio)], songs[:6], songs[6:], seconds=6)
    assert scores["pitch_class"]["score"] > 0.9


def test_what_tells_nothing_scores_like_chance(songs):
    generator = np.random.default_rng(0)
    scores = probe_songs(lambda audio: generator.integers(9, size=len(audio) // 320), songs[:6], songs[6:], seconds=6)
    for score in scores.values():
        assert score["score"] < score["chance"] + 0.15


def test_only_the_middle_counts_and_its_labels_are_there_too(songs):
    scores = probe_songs(spectra, songs[:6], songs[6:], seconds=3)
    assert scores["chord"]["frames"] == 2 * 3 * 50
    assert scores["chord"]["score"] > 0.9
