# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""How the singer performs the melody: human timing, tuning and loudness, note by note, before any sound is made."""

from dataclasses import dataclass

from .composition import Song
from .seeds import stream


@dataclass(frozen=True)
class SungNote:
    """A note as it is sung: `start` (of its vowel) and `end` in seconds, `pitch` as the written MIDI number.

    `syllable` is None where the vowel goes on; `cents` is the mistuning, `gain` the loudness (1 is normal).
    """

    start: float
    end: float
    pitch: int
    syllable: str | None
    cents: float
    gain: float


def perform(song: Song) -> list[SungNote]:
    """The notes of the song's melody as the singer sings them, in order and without overlaps."""
    rng = stream(song.seed, "performance")
    lag = rng.normal(0.008, 0.012)
    timing = rng.uniform(0.004, 0.016)
    tuning = rng.normal(0.0, 4.0)
    spread = rng.uniform(3.0, 12.0)
    starts = [max(song.seconds(note.start) + lag + rng.normal(0.0, timing), 0.05) for note in song.melody]
    sung = []
    for index, (note, start) in enumerate(zip(song.melody, starts, strict=True)):
        end = song.seconds(note.end) + lag
        if index + 1 < len(starts):
            end = starts[index + 1] if song.melody[index + 1].start == note.end else min(end, starts[index + 1])
        on_beat = 1.12 if note.start % 1 == 0 else 1.0
        sung.append(
            SungNote(
                start=start,
                end=max(end, start + 0.06),
                pitch=note.pitch,
                syllable=note.syllable,
                cents=tuning + rng.normal(0.0, spread),
                gain=on_beat * float(rng.lognormal(0.0, 0.1)),
            )
        )
    return sung
