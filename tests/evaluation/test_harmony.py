# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import numpy as np
import pytest

from hafm_hf.evaluation.harmony import chord_agreement, chroma_agreement, key_agreement, pitch_in_chord
from hafm_hf.evaluation.track_features import Track


RATE = 22_050
C, F, G, A_MINOR = (0, 4, 7), (5, 9, 0), (7, 11, 2), (9, 0, 4)


def play(*chords, seconds: float = 1.5, octave: int = 4, rate: int = RATE) -> np.ndarray:
    """The chords one after the other, each a tuple of pitch classes, with four harmonics a note."""
    time = np.arange(int(seconds * rate)) / rate
    pitches = [[12 * (octave + 1) + pitch_class for pitch_class in chord] for chord in chords]
    frequencies = [[440 * 2 ** ((pitch - 69) / 12) for pitch in chord] for chord in pitches]
    return 0.1 * np.concatenate(
        [sum(np.sin(2 * np.pi * f * k * time) / k for f in chord for k in range(1, 5)) for chord in frequencies]
    )


def sing(*pitch_classes, seconds: float = 1.5) -> np.ndarray:
    return play(*((pitch_class,) for pitch_class in pitch_classes), seconds=seconds)


def test_the_same_harmony_agrees_in_any_octave_timbre_and_rate():
    song = play(C, F, G, C)
    rng = np.random.default_rng(0)
    higher = play(C, F, G, C, octave=5) + 0.01 * rng.normal(size=len(song))
    assert chroma_agreement(song, higher, RATE) > 0.8
    assert chord_agreement(song, higher, RATE) > 0.85
    assert key_agreement(song, higher, RATE) == 1
    assert chord_agreement(Track(song, RATE), Track(play(C, F, G, C, rate=16_000), 16_000)) > 0.9


def test_another_harmony_does_not():
    song, other = play(C, F, G, C), play((6, 10, 1), (11, 3, 6), (1, 5, 8), (6, 10, 1))
    assert chroma_agreement(song, other, RATE) < 0
    assert chord_agreement(song, other, RATE) < 0.05
    assert key_agreement(song, other, RATE) == 0


def test_chords_are_named_and_compared_where_the_reference_has_some():
    chords = Track(play(G, A_MINOR), RATE).chords
    assert np.bincount(chords[: len(chords) // 2]).argmax() == 7
    assert np.bincount(chords[len(chords) // 2 :]).argmax() == 12 + 9
    half = np.concatenate([play(C), 1e-3 * play(G)])  # 80 dB below full scale is silence
    assert chord_agreement(half, play(C, G), RATE) > 0.75
    assert chord_agreement(play(C, G), half, RATE) == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(
    ("chords", "score"),
    [
        ((G, (0, 4, 7), (2, 6, 9), G), 0.5),
        ((A_MINOR, (2, 5, 9), (4, 8, 11), A_MINOR), 0.3),
        (((0, 3, 7), (5, 8, 0), G), 0.2),
    ],
)
def test_related_keys_score_in_part(chords, score):
    assert key_agreement(play(C, F, G, C), play(*chords), RATE) == score


def test_sung_pitch_is_looked_up_in_the_sounding_chord():
    melody = sing(0, 5, 11, 4)
    assert pitch_in_chord(melody, play(C, F, G, C), RATE) > 0.85
    assert pitch_in_chord(melody, play(F, F, G, G), RATE) == pytest.approx(0.75, abs=0.12)
    assert pitch_in_chord(melody, play((1, 5, 8), (6, 10, 1), (0, 3, 7), (7, 11, 2)), RATE) < 0.15


@pytest.mark.parametrize("measure", [chroma_agreement, chord_agreement, key_agreement, pitch_in_chord])
def test_silence_and_noise_harmonise_with_nothing(measure):
    melody = sing(0, 5, 11, 4)
    noise = np.random.default_rng(0).normal(size=len(melody)) * 0.1
    assert measure(melody, np.zeros(len(melody)), RATE) == 0
    assert measure(melody, noise, RATE) == 0
    assert np.isnan(measure(np.zeros(len(melody)), melody, RATE))
    assert np.isnan(measure(noise, melody, RATE))
