# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The linear probe of tokens and features."""

import json

import numpy as np
import pytest
from song_files import write_audio

from hafm_hf.evaluation.token_probe import (
    TASKS,
    beats,
    chords,
    note_onsets,
    pitch_classes,
    probe_songs,
    probe_voices,
    sung_notes,
    tracking_agreement,
)


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


def sing(notes, seconds, vibrato=0.0):
    """Notes as (start, end, pitch in MIDI numbers), with four harmonics and a breath of noise, [samples]."""
    voice = 1e-3 * np.random.default_rng(0).standard_normal(seconds * RATE)
    for start, end, pitch in notes:
        first, last = round(start * RATE), round(end * RATE)
        time = np.arange(last - first) / RATE
        frequency = 440 * 2 ** ((pitch + vibrato * np.sin(2 * np.pi * 5.5 * time) - 69) / 12)
        phase = 2 * np.pi * np.cumsum(frequency) / RATE
        voice[first:last] += sum(np.sin(harmonic * phase) for harmonic in range(1, 5)) / 16
    return voice


def write_voice(folder, seed, seconds=6):
    """Notes of the octave above middle C, 0.4 s each, with rests of 0.1 s between."""
    pitches = np.random.default_rng(seed).integers(60, 72, size=2 * seconds).tolist()
    notes = [(0.5 * number, 0.5 * number + 0.4, pitch) for number, pitch in enumerate(pitches)]
    write_audio(folder / "vocals.flac", sing(notes, seconds)[None], RATE)
    truth = {"notes": [{"start": start, "end": end, "pitch": pitch} for start, end, pitch in notes]}
    (folder / "truth.json").write_text(json.dumps(truth))
    return folder


@pytest.fixture(scope="module")
def singers(tmp_path_factory):
    root = tmp_path_factory.mktemp("voices")
    return [write_voice(root / str(number), number) for number in range(8)]


@pytest.mark.parametrize("vibrato", [0.0, 0.6])
def test_notes_are_heard_where_they_are_sung(vibrato):
    sung = [(0.5, 1.0, 45), (1.0, 1.6, 47.3), (2.0, 2.2, 70), (2.3, 2.9, 70)]
    heard = sung_notes(sing(sung, 4, vibrato))
    assert [note["pitch"] for note in heard] == [45, 47, 70, 70]
    assert [note["start"] for note in heard] == pytest.approx([start for start, _, _ in sung], abs=0.04)
    assert [note["end"] for note in heard] == pytest.approx([end for _, end, _ in sung], abs=0.06)


def test_what_is_not_a_note_is_not_heard():
    blips = [(0.5 * number, 0.5 * number + 0.03, 60) for number in range(6)]
    glide = [(0.02 * step, 0.02 * (step + 1), 50 + step / 2) for step in range(40)]
    whisper = sing([(0, 3, 60)], 3) + 0.065 * np.random.default_rng(1).standard_normal(3 * RATE)
    for sound in (np.zeros(3 * RATE), sing([], 3), sing(blips, 3), sing(glide, 3), whisper):
        assert sung_notes(sound.astype(np.float32)) == []


def test_what_features_tell_of_voices_is_found_without_their_truth(singers):
    voices = [folder / "vocals.flac" for folder in singers]
    scores = probe_voices(spectra, voices[:6], voices[6:], seconds=6)
    assert scores.keys() == {"pitch_class", "note_onset"}
    assert scores["pitch_class"]["score"] > 0.9
    assert scores["pitch_class"]["chance"] < 0.4
    assert scores["pitch_class"]["frames"] == pytest.approx(2 * 6 * 40, rel=0.2)
    assert scores["note_onset"]["score"] > 0.6
    assert 0.1 < scores["note_onset"]["chance"] < 0.25


def test_a_voice_without_a_note_is_named(singers, tmp_path):
    write_audio(tmp_path / "breath.wav", sing([], 2)[None], RATE)
    with pytest.raises(ValueError, match="no note is heard in .*breath.wav"):
        probe_voices(spectra, [singers[0] / "vocals.flac"], [tmp_path / "breath.wav"])


def test_heard_labels_are_told_how_true_they_are(singers, tmp_path):
    # The middle begins within a note, whose onset is heard there and is none.
    for share in tracking_agreement(singers[:2], seconds=4.5).values():
        assert share > 0.85

    song = write_voice(tmp_path / "song", 0)
    truth = json.loads((song / "truth.json").read_text())
    for note in truth["notes"]:
        note["pitch"] += 1
    # All in another key, and half of the notes not written down.
    (song / "truth.json").write_text(json.dumps({"notes": truth["notes"][::2]}))
    agreement = tracking_agreement([song], seconds=4.5)
    assert agreement["pitch_class"] == 0
    assert agreement["onset_recall"] > 0.9
    assert agreement["onset_precision"] == pytest.approx(0.5, abs=0.1)
