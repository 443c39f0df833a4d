# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Plays the parts of the band with a General MIDI soundfont."""

from functools import cache
from pathlib import Path

import numpy as np

from .arrangement import Part
from .requirements import import_tinysoundfont
from .syllables import SAMPLING_RATE


_DRUM_BANK, _DRUM_CHANNEL = 128, 9
_LOUDNESS_DB = {"drums": 0.0, "bass": -1.5, "chords": -3.5, "arpeggio": -7.0, "pad": -9.0, "lead": -5.0}


def play(parts: list[Part], seconds: float, soundfont: Path, rng: np.random.Generator) -> np.ndarray:
    """Plays and mixes `parts`, each at the loudness of its role give or take; returns float32 `[seconds * 24000]`."""
    mix = np.zeros(round(seconds * SAMPLING_RATE), np.float32)
    for part in parts:
        samples = _play_part(part, len(mix), soundfont)
        sounding = samples[np.abs(samples) > 1e-4]
        gain_db = _LOUDNESS_DB[part.role] + rng.normal(0.0, 1.5)
        mix += samples * np.float32(10 ** (gain_db / 20) / np.sqrt(np.mean(sounding**2)))
    return mix


def _play_part(part: Part, length: int, soundfont: Path) -> np.ndarray:
    """One instrument alone; a fresh synthesiser, so that what was played before cannot be heard in it."""
    synth = import_tinysoundfont().Synth(samplerate=SAMPLING_RATE)
    font = _load(synth, soundfont)
    drums = part.role == "drums"
    channel = _DRUM_CHANNEL if drums else 0
    synth.program_select(channel, font, _DRUM_BANK if drums else 0, part.program, drums)
    chunks, position = [], 0

    def generate(until: int) -> None:
        nonlocal position
        if until > position:
            chunks.append(np.frombuffer(bytes(synth.generate(until - position)), np.float32))
            position = until

    for time, key, velocity in _key_events(part):
        generate(min(round(time * SAMPLING_RATE), length))
        if velocity:
            synth.noteon(channel, key, velocity)
        else:
            synth.noteoff(channel, key)
    generate(length)
    return np.concatenate(chunks).reshape(-1, 2).mean(axis=1)


def _key_events(part: Part) -> list[tuple[float, int, int]]:
    """Time, key and velocity (0 to release) in order; a key is released before it is struck again, never after."""
    events, next_strike = [], {}
    for note in sorted(part.notes, key=lambda note: note.start, reverse=True):
        events.append((note.start, note.key, note.velocity))
        events.append((min(note.end, next_strike.get(note.key, np.inf)), note.key, 0))
        next_strike[note.key] = note.start
    return sorted(events, key=lambda event: (event[0], event[2] > 0))


def _load(synth, soundfont: Path) -> int:
    try:
        return synth.sfload(_read(soundfont))
    except RuntimeError as error:
        raise ValueError(f"{soundfont} is not a soundfont that can be played: give an .sf2 file.") from error


@cache
def _read(soundfont: Path) -> bytes:
    return soundfont.read_bytes()
