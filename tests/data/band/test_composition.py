# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Properties of composed songs, harmony and splits included; no sound is made."""

import numpy as np
import pytest

from hafm_hf.data.band import SPLITS, compose, split_of
from hafm_hf.data.band.harmony import HELD_OUT_PROGRESSIONS, PROGRESSIONS, Chord, read_numeral, scale_over
from hafm_hf.data.band.singers import HELD_OUT_SINGERS
from hafm_hf.data.band.styles import STYLES


SEEDS = [*SPLITS["train"][:40], *SPLITS["validation"][:10], *SPLITS["test"][:30]]


@pytest.fixture(scope="module")
def songs():
    return [compose(seed) for seed in SEEDS]


def test_the_same_seed_gives_the_same_song_in_any_order(songs):
    for song in reversed(songs[:5]):
        again = compose(song.seed)
        assert again.melody == song.melody
        assert again.chords == song.chords
        assert np.array_equal(again.beat_times, song.beat_times)


def test_seeds_give_different_songs(songs):
    assert len({song.melody for song in songs}) == len(songs)
    assert {song.mode for song in songs} == {"major", "minor"}
    assert {song.meter for song in songs} == {3, 4}
    assert {song.style.name for song in songs} == {style.name for style in STYLES}


def test_tempo_and_beats(songs):
    for song in songs:
        assert 70 <= song.tempo <= 150
        lengths = np.diff(song.beat_times)
        assert (lengths > 0).all()
        assert np.median(lengths) == pytest.approx(60 / song.tempo, rel=0.03)
        assert song.beats % song.meter == 0


def test_time_runs_forward_through_swung_beats(songs):
    for song in songs:
        times = [song.seconds(beat) for beat in np.arange(0, song.beats + 0.01, 0.25)]
        assert (np.diff(times) > 0).all()
        assert times[::4] == pytest.approx(list(song.beat_times))


def test_chords_fill_the_song_without_gap(songs):
    for song in songs:
        assert song.chords[0].start == 0
        assert song.chords[-1].end == song.beats
        assert all(
            chord.end == following.start for chord, following in zip(song.chords, song.chords[1:], strict=False)
        )


def test_songs_end_on_their_tonic(songs):
    for song in songs:
        assert song.chords[-1].root == song.tonic
        assert song.chords[-1].quality == ("" if song.mode == "major" else "m")


def test_the_voice_sings_in_sung_sections_only_pickups_aside(songs):
    for song in songs:
        names = [section.name for section in song.sections]
        assert "ending" in names and ("intro" in names or "break" in names)
        for section in song.sections:
            end = section.start + section.bars * song.meter
            inside = [note for note in song.melody if section.start <= note.start < end]
            if section.sung:
                assert inside
            else:
                assert all(note.start >= end - 1 for note in inside), section.name


def test_melody_notes_follow_each_other_with_rests_between_phrases(songs):
    for song in songs:
        gaps = [later.start - note.end for note, later in zip(song.melody, song.melody[1:], strict=False)]
        assert min(gaps) > -1e-6
        phrases = sum(section.bars // 2 for section in song.sections if section.sung)
        assert sum(gap >= 0.5 for gap in gaps) >= phrases - 1


def test_melody_fits_the_chords_and_the_singer(songs):
    for song in songs:
        for note in song.melody:
            assert song.singer.lowest <= note.pitch <= song.singer.highest
            # An anticipated note belongs to the chord that it leads into.
            chords = {song.chord_at(note.start), song.chord_at(note.end - 1e-3)}
            allowed = {
                tone
                for chord in chords
                for tone in (chord.pitch_classes if note.strong else scale_over(chord, song.tonic, song.mode))
            }
            assert note.pitch % 12 in allowed


def test_notes_on_downbeats_are_chord_tones(songs):
    for song in songs:
        on_downbeats = [note for note in song.melody if note.start % song.meter == 0]
        assert on_downbeats
        assert all(note.pitch % 12 in song.chord_at(note.start).pitch_classes for note in on_downbeats)


def test_a_chorus_comes_back_as_it_was():
    song = next(s for s in map(compose, SPLITS["train"]) if sum(x.name == "chorus" for x in s.sections) == 2)
    first, second = (section for section in song.sections if section.name == "chorus")

    def sung(section):
        beats = section.bars * song.meter
        notes = [note for note in song.melody if section.start <= note.start < section.start + beats]
        return {(note.start - section.start, note.pitch) for note in notes}

    assert len(sung(first) & sung(second)) >= 0.6 * len(sung(first))


def test_splits_are_disjoint_and_complete():
    ranges = list(SPLITS.values())
    assert all(not set(a[::1000]) & set(b[::1000]) for a in ranges for b in ranges if a is not b)
    assert [split_of(seeds[0]) for seeds in ranges] == [split_of(seeds[-1]) for seeds in ranges] == list(SPLITS)


@pytest.mark.parametrize("seed", [-1, 3_000_000])
def test_a_seed_outside_the_splits_is_refused(seed):
    with pytest.raises(ValueError, match=f"Seed {seed} belongs to no split"):
        compose(seed)


def test_held_out_voices_and_progressions_are_heard_in_the_test_split_only(songs):
    unseen = {progression for group in HELD_OUT_PROGRESSIONS.values() for progression in group}
    tested = {split: [0, 0, 0] for split in SPLITS}
    for song in songs:
        counts = tested[split_of(song.seed)]
        counts[0] += song.singer in HELD_OUT_SINGERS
        counts[1] += any(section.progression in unseen for section in song.sections)
        counts[2] += 1
    assert tested["train"][:2] == tested["validation"][:2] == [0, 0]
    voices, progressions, total = tested["test"]
    assert 0 < voices < total and 0 < progressions < total


def test_held_out_progressions_are_no_rotations_of_others():
    assert PROGRESSIONS.keys() == HELD_OUT_PROGRESSIONS.keys()
    for family, held_out in HELD_OUT_PROGRESSIONS.items():
        for used in PROGRESSIONS[family]:
            chords = used.split()
            rotations = {" ".join(chords[i:] + chords[:i]) for i in range(len(chords))}
            assert not rotations & set(held_out)


@pytest.mark.parametrize(
    ("numeral", "root", "quality"),
    [
        ("I", 9, ""),
        ("vi7", 6, "m7"),
        ("bVII7", 7, "7"),
        ("IVmaj7", 2, "maj7"),
        ("iih7", 11, "m7b5"),
        ("viio", 8, "dim"),
    ],
)
def test_numerals_over_a(numeral, root, quality):
    assert read_numeral(numeral, tonic=9) == (root, quality)


def test_every_progression_can_be_read():
    for table in (PROGRESSIONS, HELD_OUT_PROGRESSIONS):
        for group in table.values():
            for progression in group:
                for numeral in progression.split():
                    assert Chord(0, 4, *read_numeral(numeral, 0)).pitch_classes


def test_the_leading_tone_replaces_the_seventh_over_the_dominant_of_minor():
    e_major = Chord(0, 4, 4, "")
    assert e_major.symbol == "E"
    assert scale_over(e_major, tonic=9, mode="minor") == (0, 2, 4, 5, 8, 11)
