# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Properties of what the band plays; no sound is made."""

import numpy as np
import pytest

from hafm_hf.data.band import SPLITS, arrange, compose
from hafm_hf.data.band.performance import perform
from hafm_hf.data.band.styles import DRUM_KEYS, STYLES


@pytest.fixture(scope="module")
def songs():
    return [compose(seed) for seed in SPLITS["train"][:30]]


def test_every_style_is_written_for_its_meters():
    assert len(STYLES) >= 8
    assert {3, 4} == {meter for style in STYLES for meter in style.grooves}
    for style in STYLES:
        for meter, groove in style.grooves.items():
            lanes = [*groove.light.items(), *groove.full.items()]
            assert all(name in DRUM_KEYS for name, _ in lanes)
            patterns = [pattern for layer in groove.layers for pattern in layer.patterns]
            assert {len(pattern) for pattern in [*patterns, *(pattern for _, pattern in lanes)]} == {4 * meter}
            assert [layer.role for layer in groove.layers][:2] == ["bass", "chords"]


def test_arrangements_are_repeatable_and_differ_between_songs(songs):
    assert [arrange(song) for song in songs[:3]] == [arrange(song) for song in songs[:3]]
    assert len({tuple(part.program for part in arrange(song)) for song in songs}) > len(songs) / 2


def test_pitched_parts_play_the_chords(songs):
    for song in songs:
        for part in arrange(song):
            if part.role in ("drums", "lead", "bass"):
                continue
            for note in part.notes:
                for time in (note.start + 0.04, max(note.end - 0.04, note.start + 0.04)):
                    beat = np.interp(time, song.beat_times, range(song.beats + 1))
                    assert note.key % 12 in song.chord_at(beat).pitch_classes


def test_the_bass_plays_the_root_of_a_new_chord(songs):
    for song in songs:
        bass = next(part for part in arrange(song) if part.role == "bass")
        changes = np.array([song.seconds(chord.start) for chord in song.chords])
        heard = 0
        for note in bass.notes:
            nearest = np.abs(changes - note.start).argmin()
            if abs(changes[nearest] - note.start) < 0.04:
                assert note.key % 12 == song.chords[nearest].root
                heard += 1
        assert heard >= 0.5 * len(changes) or song.style.name in ("reggae", "electronic")


def test_drums_stay_on_the_grid(songs):
    for song in songs:
        drums = next(part for part in arrange(song) if part.role == "drums")
        grid = np.array([song.seconds(beat) for beat in np.arange(0, song.beats, 0.25)])
        starts = np.array([note.start for note in drums.notes])
        assert np.abs(starts[:, None] - grid).min(axis=1).max() < 0.05


def test_the_band_plays_from_beginning_to_end(songs):
    for song in songs:
        starts = np.sort([note.start for part in arrange(song) for note in part.notes])
        assert starts[0] < song.beat_times[song.meter]
        assert np.diff(starts).max() < 2.5
        assert starts[-1] >= song.beat_times[-song.meter - 1] - 0.1


def test_notes_are_midi(songs):
    for song in songs:
        for part in arrange(song):
            assert all(0 <= note.key <= 127 and 1 <= note.velocity <= 127 for note in part.notes)
            assert all(0 <= note.start < note.end for note in part.notes)


def test_the_singer_is_human_but_in_time(songs):
    for song in songs:
        sung = perform(song)
        assert [note.pitch for note in sung] == [note.pitch for note in song.melody]
        late = np.array([note.start - song.seconds(w.start) for note, w in zip(sung, song.melody, strict=True)])
        assert 0 < late[1:].std() < 0.03 and abs(late[1:].mean()) < 0.06
        assert all(note.end <= later.start + 1e-9 for note, later in zip(sung, sung[1:], strict=False))
        assert np.abs([note.cents for note in sung]).max() < 60
