# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The sung voice, measured: its pitch, its silences and the time of its vowels."""

import numpy as np
import pytest

from hafm_hf.data.band import check_requirements
from hafm_hf.data.band.performance import SungNote
from hafm_hf.data.band.requirements import import_world
from hafm_hf.data.band.singers import SINGERS
from hafm_hf.data.band.syllables import SAMPLING_RATE, syllable
from hafm_hf.data.band.voice import sing


SECONDS = 4.0
BY_NAME = {singer.name: singer for singer in SINGERS}


@pytest.fixture(scope="module", autouse=True)
def requirements():
    try:
        check_requirements()
    except (ImportError, FileNotFoundError) as error:
        pytest.skip(str(error))


def scale(singer):
    """Five notes of the singer's range, a rest, and one held note."""
    low = singer.lowest + 5
    notes = [SungNote(0.5 + 0.4 * i, 0.9 + 0.4 * i, low + p, "la", 0.0, 1.0) for i, p in enumerate((0, 2, 4, 5))]
    return [*notes, SungNote(3.0, 3.7, low + 4, "so", 0.0, 1.0)]


def sung_pitch(samples):
    """MIDI pitch per 5 ms frame, NaN where unvoiced."""
    world = import_world()
    hertz, times = world.harvest(samples, SAMPLING_RATE, f0_floor=60.0, f0_ceil=900.0)
    with np.errstate(divide="ignore"):
        return np.where(hertz > 0, 69 + 12 * np.log2(hertz / 440), np.nan)


@pytest.mark.parametrize("name", ["bass", "tenor-spanish", "alto", "child"])
def test_the_written_pitch_is_sung(name):
    notes = scale(BY_NAME[name])
    pitch = sung_pitch(sing(notes, BY_NAME[name], SECONDS, seed=1))
    for note in notes:
        length = note.end - note.start
        steady = pitch[int((note.start + 0.3 * length) * 200) : int((note.start + 0.7 * length) * 200)]
        assert abs(np.nanmedian(steady) - note.pitch) < 0.35


def test_rests_are_silent():
    samples = sing(scale(BY_NAME["alto"]), BY_NAME["alto"], SECONDS, seed=1)
    assert len(samples) == SECONDS * SAMPLING_RATE
    assert not samples[int(2.25 * SAMPLING_RATE) : int(2.45 * SAMPLING_RATE)].any()
    assert np.sqrt(np.mean(samples[int(3.2 * SAMPLING_RATE) : int(3.5 * SAMPLING_RATE)] ** 2)) > 0.02


def test_vowels_start_on_the_note_and_consonants_before_it():
    samples = sing([SungNote(1.0, 1.6, 60, "so", 0.0, 1.0)], BY_NAME["alto"], 2.0, seed=1)
    fundamental = samples * np.exp(-2j * np.pi * 440 * 2 ** ((60 - 69) / 12) * np.arange(len(samples)) / SAMPLING_RATE)
    strength = np.abs(np.convolve(fundamental, np.ones(480) / 480, mode="same"))
    rises = np.flatnonzero(strength > 0.5 * np.median(strength[int(1.1 * SAMPLING_RATE) : int(1.5 * SAMPLING_RATE)]))[
        0
    ]
    assert rises / SAMPLING_RATE == pytest.approx(1.0, abs=0.04)
    spectrum = np.abs(np.fft.rfft(samples[int(0.91 * SAMPLING_RATE) : int(0.97 * SAMPLING_RATE)]))
    above_5_khz = len(spectrum) * 5 // 12
    assert spectrum[above_5_khz:].mean() > spectrum[:above_5_khz].mean()  # the hiss of "s"


def test_a_seed_sings_the_same_and_another_differently():
    notes = scale(BY_NAME["soprano"])
    first, again, other = (sing(notes, BY_NAME["soprano"], SECONDS, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_singers_sound_different():
    notes = scale(BY_NAME["mezzo"])
    spectra = []
    for name in ("mezzo", "soprano-swedish", "tenor-high"):
        samples = sing(notes, BY_NAME[name], SECONDS, seed=3)
        spectrum = np.abs(np.fft.rfft(samples)).reshape(-1)[:40_000].reshape(100, -1).mean(axis=1)
        spectra.append(np.log(spectrum) - np.log(spectrum).mean())
    distances = [np.abs(a - b).mean() for i, a in enumerate(spectra) for b in spectra[:i]]
    assert min(distances) > 0.2


def test_what_cannot_be_spoken_is_named():
    with pytest.raises(RuntimeError, match="en-us"):
        syllable("en-us", "")
