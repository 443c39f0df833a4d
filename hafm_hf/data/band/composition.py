# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Composes a song from a seed: every musical decision, no sound.

Form, key, tempo, chords and melody are here; how the band plays them is in `arrangement.py`, how the singer sings
them in `performance.py`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .harmony import HELD_OUT_PROGRESSIONS, PITCH_NAMES, PROGRESSIONS, Chord, read_numeral
from .melody import MelodyManner, MelodyWriter, Note
from .seeds import split_of, stream
from .singers import HELD_OUT_SINGERS, SINGERS, SYLLABLES, Singer
from .styles import STYLES, Style


_FORMS = (
    "intro verse chorus break verse chorus ending",
    "intro verse chorus break chorus ending",
    "intro verse break verse chorus ending",
    "intro verse chorus bridge chorus ending",
    "verse chorus break chorus ending",
    "intro verse break chorus ending",
)
_SUNG = ("verse", "chorus", "bridge")


@dataclass(frozen=True)
class Section:
    """A part of the form: "intro", "verse", "chorus", "bridge", "break" or "ending".

    `start` is in beats, `progression` in Roman numerals, each of which lasts `chord_bars` bars.
    """

    name: str
    start: float
    bars: int
    progression: str
    chord_bars: float

    @property
    def sung(self) -> bool:
        return self.name in _SUNG


@dataclass(frozen=True)
class Song:
    """A composed song; `beat_times` are the seconds of every beat and of the end of the last one.

    Positions elsewhere are in beats of the straight grid; `seconds` turns them into time, swing included.
    """

    seed: int
    tonic: int
    mode: str
    tempo: float
    meter: int
    swing: float
    style: Style
    singer: Singer
    sections: tuple[Section, ...]
    chords: tuple[Chord, ...]
    melody: tuple[Note, ...]
    beat_times: np.ndarray

    @property
    def key(self) -> str:
        return f"{PITCH_NAMES[self.tonic]} {self.mode}"

    @property
    def beats(self) -> int:
        return len(self.beat_times) - 1

    @cached_property
    def _chord_starts(self) -> np.ndarray:
        return np.array([chord.start for chord in self.chords])

    def chord_at(self, beat: float) -> Chord:
        """The chord that sounds at `beat`."""
        return self.chords[max(int(np.searchsorted(self._chord_starts, beat + 1e-6)) - 1, 0)]

    def seconds(self, beat: float) -> float:
        """Time of a position; the off-beat eighth falls at `swing` of its beat (0.5 is straight)."""
        whole, part = divmod(beat, 1.0)
        warped = whole + float(np.interp(part, (0.0, 0.5, 1.0), (0.0, self.swing, 1.0)))
        return float(np.interp(warped, np.arange(len(self.beat_times)), self.beat_times))


def compose(seed: int) -> Song:
    """Composes the song of `seed`; the same seed gives the same song everywhere.

    Half of the test songs are sung by a voice, and half (independently) are built on progressions, that no other split
    uses.

    Raises:
        ValueError: if the seed lies in no split.
    """
    is_test = split_of(seed) == "test"
    rng = stream(seed, "composition")
    style = STYLES[rng.integers(len(STYLES))]
    mode = "minor" if rng.random() < style.minor else "major"
    meter = int(rng.choice(sorted(style.grooves)))
    tempo = round(float(rng.uniform(*style.tempo)), 1)
    singers = HELD_OUT_SINGERS if is_test and rng.random() < 0.5 else SINGERS
    singer = singers[rng.integers(len(singers))]
    table = HELD_OUT_PROGRESSIONS if is_test and rng.random() < 0.5 else PROGRESSIONS
    tonic = int(rng.integers(12))
    sections = _lay_out(rng, table[style.harmony, mode], bar_seconds=meter * 60 / tempo, meter=meter)
    chords = [chord for section in sections for chord in _chords_of(section, tonic, mode, meter)]
    return Song(
        seed=seed,
        tonic=tonic,
        mode=mode,
        tempo=tempo,
        meter=meter,
        swing=float(rng.uniform(*style.swing)),
        style=style,
        singer=singer,
        sections=tuple(sections),
        chords=tuple(chords),
        melody=tuple(_melody(seed, sections, chords, (tonic, mode), meter, tempo, singer)),
        beat_times=_beat_times(rng, sections, tempo, meter, style.free_tempo),
    )


def _lay_out(rng: np.random.Generator, progressions: tuple[str, ...], bar_seconds: float, meter: int) -> list[Section]:
    """The sections in order, each with its length in bars and its progression."""
    names = str(rng.choice(_FORMS)).split()
    drawn = rng.permutation(progressions)
    own = {name: str(drawn[index % len(drawn)]) for index, name in enumerate(_SUNG)}
    own |= {"intro": own["verse"], "break": own["chorus"], "ending": own["verse"]}
    sung_bars = 8 if 8 * bar_seconds <= 18 and rng.random() < 0.5 else 4
    silent_bars = {name: 2 if bar_seconds > 2.4 else int(rng.choice([2, 4])) for name in ("intro", "break")}
    chord_bars = 0.5 if meter == 4 and bar_seconds > 2.9 and rng.random() < 0.5 else 1.0
    sections, start = [], 0.0
    for name in names:
        bars = silent_bars.get(name, 2)
        if name in _SUNG:
            chords = len(own[name].split())
            bars = int(chords * chord_bars) if chords == 12 else sung_bars
        sections.append(Section(name, start, bars, own[name], chord_bars))
        start += bars * meter
    return sections


def _chords_of(section: Section, tonic: int, mode: str, meter: int) -> list[Chord]:
    """The section's progression, repeated until its bars are full; the last bar of an ending is the tonic."""
    numerals = section.progression.split()
    beats = section.chord_bars * meter
    chords = []
    for index in range(int(section.bars / section.chord_bars)):
        root, quality = read_numeral(numerals[index % len(numerals)], tonic)
        chords.append(Chord(section.start + index * beats, beats, root, quality))
    if section.name != "ending":
        return chords
    last_bar = section.start + (section.bars - 1) * meter
    home = read_numeral("I" if mode == "major" else "i", tonic)
    return [chord for chord in chords if chord.start < last_bar] + [Chord(last_bar, float(meter), *home)]


def _melody(
    seed: int,
    sections: list[Section],
    chords: list[Chord],
    key: tuple[int, str],
    meter: int,
    tempo: float,
    singer: Singer,
) -> list[Note]:
    rng = stream(seed, "melody")
    manner = MelodyManner.draw(rng, tempo, singer.lowest, singer.highest)
    writer = MelodyWriter(rng, manner, chords, key, meter, SYLLABLES[singer.language])
    for section in sections:
        if section.sung:
            writer.write_section(section.name, section.start, section.bars)
    return writer.notes


def _beat_times(
    rng: np.random.Generator, sections: list[Section], tempo: float, meter: int, free_tempo: float
) -> np.ndarray:
    """Seconds of every beat: a slowly drifting tempo where the style is free, often a ritardando in the ending."""
    bars = sum(section.bars for section in sections)
    beats = np.arange(bars * meter)
    drift = np.sin(2 * np.pi * (beats / (8 * meter) * rng.uniform(0.6, 1.4) + rng.random()))
    lengths = 60 / tempo * (1 + free_tempo * drift)
    if rng.random() < 0.4:
        lengths[-2 * meter :] *= np.linspace(1.0, rng.uniform(1.1, 1.35), 2 * meter)
    return np.concatenate([[0.0], np.cumsum(lengths)])
