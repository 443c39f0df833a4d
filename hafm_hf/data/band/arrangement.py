# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Arranges a song for the band: from a composed song to notes with times, keys and velocities for every instrument."""

from dataclasses import dataclass

import numpy as np

from .composition import Section, Song
from .seeds import stream
from .styles import DRUM_KEYS, Layer


_STEPS_PER_BEAT = 4
_ENERGY = {"intro": 0.65, "verse": 0.7, "bridge": 0.8, "break": 0.85, "chorus": 1.0, "ending": 0.75}
_REGISTERS = {"bass": (28, 47), "chords": (52, 72), "arpeggio": (55, 76), "pad": (50, 70), "lead": (62, 84)}
_OPTIONAL = ("arpeggio", "pad", "lead")
_DRUM_VELOCITIES = {"X": 112, "x": 84, "o": 48}
_CRASH, _FILL = 49, (38, 50, 47, 45)  # the fill goes from the snare down the toms


@dataclass(frozen=True)
class BandNote:
    """A note of an instrument: times in seconds, `key` a MIDI pitch or drum key, `velocity` 1 to 127."""

    start: float
    end: float
    key: int
    velocity: int


@dataclass(frozen=True)
class Part:
    """All notes of one instrument; `role` is "drums" or that of its layer, `program` a General MIDI program or kit."""

    role: str
    program: int
    notes: tuple[BandNote, ...]


def arrange(song: Song) -> list[Part]:
    """The parts of the band for `song`, each with at least one note."""
    rng = stream(song.seed, "arrangement")
    groove = song.style.grooves[song.meter]
    parts = [Part("drums", int(rng.choice(song.style.drum_kits)), tuple(_drums(rng, song)))]
    for layer in groove.layers:
        if layer.role in _OPTIONAL and rng.random() < 0.25:
            continue
        program = int(rng.choice(layer.programs))
        notes = _lead(rng, song) if layer.role == "lead" else _layer(rng, song, layer)
        parts.append(Part(layer.role, program, tuple(notes)))
    return [part for part in parts if part.notes]


class _Player:
    """Turns positions in beats into played notes: a little early or late, a little louder or softer."""

    def __init__(self, rng: np.random.Generator, song: Song, spread: float):
        self.rng, self.song, self.spread = rng, song, spread
        self.lag = rng.normal(0.0, spread)
        self.notes: list[BandNote] = []

    def play(self, start: float, end: float, key: int, velocity: float, delay: float = 0.0) -> None:
        begin = max(self.song.seconds(start) + self.lag + self.rng.normal(0.0, self.spread) + delay, 0.0)
        stop = max(self.song.seconds(end) + self.lag, begin + 0.04)
        loudness = int(np.clip(velocity * self.rng.normal(1.0, 0.06), 1, 127))
        self.notes.append(BandNote(begin, stop, key, loudness))


@dataclass(frozen=True)
class _Bar:
    """One bar of the song; `last` of its section, `final` of the song."""

    section: Section
    start: float
    last: bool
    final: bool

    @property
    def energy(self) -> float:
        return _ENERGY[self.section.name]


def _bars(song: Song) -> list[_Bar]:
    bars = []
    for section in song.sections:
        for index in range(section.bars):
            start = section.start + index * song.meter
            bars.append(_Bar(section, start, index == section.bars - 1, start + song.meter == song.beats))
    return bars


def _drums(rng: np.random.Generator, song: Song) -> list[BandNote]:
    """The drum lanes of the groove, a fill before and a crash at the start of loud sections, one hit to end with."""
    player = _Player(rng, song, spread=0.004)
    groove = song.style.grooves[song.meter]
    light, full = (
        {lane: _vary(rng, pattern) for lane, pattern in lanes.items()} for lanes in (groove.light, groove.full)
    )
    fills = rng.random() < 0.7
    last_beat = (song.meter - 1) * _STEPS_PER_BEAT

    def hit(key: int, bar: _Bar, step: int, velocity: float) -> None:
        beat = bar.start + step / _STEPS_PER_BEAT
        player.play(beat, beat + 0.25, key, velocity * (0.6 + 0.4 * bar.energy))

    for bar in _bars(song):
        loud = bar.energy > 0.8
        if (loud and 0 < bar.start == bar.section.start) or bar.final:
            hit(_CRASH, bar, 0, 100)
        if bar.final:
            hit(DRUM_KEYS["kick"], bar, 0, 110)
            break
        fill = fills and bar.last
        for lane, pattern in (full if loud else light).items():
            for step, symbol in enumerate(pattern[: last_beat if fill else None]):
                if symbol in _DRUM_VELOCITIES:
                    hit(DRUM_KEYS[lane], bar, step, _DRUM_VELOCITIES[symbol])
        if fill:
            for step in sorted(rng.choice(_STEPS_PER_BEAT, size=rng.integers(2, 5), replace=False)):
                hit(_FILL[step] if loud else DRUM_KEYS["rim"], bar, last_beat + step, 80 + 8 * step)
    return player.notes


def _vary(rng: np.random.Generator, pattern: str) -> str:
    """Half of the time `pattern` with one step changed: an empty one gets a ghost note, an unaccented one is left out."""
    step = int(rng.integers(len(pattern)))
    if pattern[step] == "X" or rng.random() < 0.5:
        return pattern
    return pattern[:step] + ("o" if pattern[step] == "." else ".") + pattern[step + 1 :]


def _layer(rng: np.random.Generator, song: Song, layer: Layer) -> list[BandNote]:
    """A pitched part: its pattern, bar after bar, on the chords of the song."""
    player = _Player(rng, song, spread=0.006)
    pattern = str(rng.choice(layer.patterns))
    voicing: list[int] = []
    for bar in _bars(song):
        if bar.energy < layer.energy:
            continue
        for begin, end, symbol in _events(_final_pattern(layer, song.meter) if bar.final else pattern, bar.start):
            for here, until in _split_at_chords(song, begin, end):
                if layer.role == "bass":
                    keys = [_bass_key(symbol, song, here)]
                else:
                    voicing = _voice(song.chord_at(here).pitch_classes, voicing, *_REGISTERS[layer.role])
                    keys = voicing if symbol in "Ccs" else [_chord_note(voicing, int(symbol))]
                if symbol == "s":
                    until = min(until, here + 0.3)
                velocity = (60 if symbol == "c" else 84) * (0.7 + 0.3 * bar.energy)
                for string, key in enumerate(keys):
                    player.play(here, until - 0.02, key, velocity, layer.strum * string / len(keys))
    return player.notes


def _final_pattern(layer: Layer, meter: int) -> str:
    """One note or chord held through the last bar."""
    return ("R" if layer.role == "bass" else "C").ljust(meter * _STEPS_PER_BEAT, ".")


def _events(pattern: str, start: float) -> list[tuple[float, float, str]]:
    """Begin, end (in beats) and symbol of each note of a one-bar pattern."""
    steps = [step for step, symbol in enumerate(pattern) if symbol != "."]
    ends = [*steps[1:], len(pattern)]
    return [
        (start + begin / _STEPS_PER_BEAT, start + end / _STEPS_PER_BEAT, pattern[begin])
        for begin, end in zip(steps, ends, strict=True)
        if pattern[begin] != "-"
    ]


def _split_at_chords(song: Song, begin: float, end: float) -> list[tuple[float, float]]:
    """The stretches of one note over single chords: a held chord is struck again where the harmony changes."""
    stretches = []
    while begin < end - 1e-6:
        stop = min(end, song.chord_at(begin).end)
        stretches.append((begin, stop))
        begin = stop
    return stretches


def _bass_key(symbol: str, song: Song, beat: float) -> int:
    low, _ = _REGISTERS["bass"]
    chord = song.chord_at(beat)
    root = low + (chord.root - low) % 12
    if beat == chord.start:  # whatever the pattern says, a new chord is heard from its root
        return root
    if symbol == "A":
        target = low + (song.chord_at(chord.end).root - low) % 12
        return target - 1 if target > low else target + 2
    if symbol == "8":
        return root + 12
    tone = {"R": 0, "3": 1, "5": 2}[symbol]
    return root + (chord.pitch_classes[tone] - chord.root) % 12


def _voice(pitch_classes: tuple[int, ...], before: list[int], low: int, high: int) -> list[int]:
    """The close position of a chord within a register that moves least from the chord before."""
    positions = []
    for lowest in range(low, high - 9):
        if lowest % 12 in pitch_classes:
            positions.append(sorted(lowest + (tone - lowest) % 12 for tone in pitch_classes))
    centre = sum(before) / len(before) if before else (low + high) / 2
    return min(positions, key=lambda position: abs(sum(position) / len(position) - centre))


def _chord_note(voicing: list[int], number: int) -> int:
    """The `number`-th note of a chord from below (1 is the lowest), going on an octave higher beyond its top."""
    octave, index = divmod(number - 1, len(voicing))
    return voicing[index] + 12 * octave


def _lead(rng: np.random.Generator, song: Song) -> list[BandNote]:
    """The hook of the song where the voice is silent, and short fills between its phrases."""
    player = _Player(rng, song, spread=0.008)
    hook_section = next(section for section in reversed(song.sections) if section.sung)
    for section in song.sections:
        if section.name in ("intro", "break") and rng.random() < 0.7:
            _play_hook(player, song, hook_section, section)
    fill_rate = rng.choice([0.0, 0.3, 0.6])
    for note, following in zip(song.melody, song.melody[1:], strict=False):
        gap = following.start - note.end
        if 1.5 <= gap <= 4 and rng.random() < fill_rate:
            _play_fill(player, song, note.end, following.start)
    return player.notes


def _play_hook(player: _Player, song: Song, source: Section, target: Section) -> None:
    """The melody of `source` at `target`, where it fits the chords there."""
    length = target.bars * song.meter
    for note in song.melody:
        offset = note.start - source.start
        if not 0 <= offset < length:
            continue
        start = target.start + offset
        key = _into_register(note.pitch, *_REGISTERS["lead"])
        chord = song.chord_at(start)
        if note.strong and key % 12 not in chord.pitch_classes:
            key = min((key + step for step in (-1, 1, -2, 2, -3, 3)), key=lambda k: k % 12 not in chord.pitch_classes)
        player.play(start, min(start + note.beats, target.start + length), key, 80)


def _play_fill(player: _Player, song: Song, begin: float, end: float) -> None:
    """A few chord tones in eighths that lead into the next phrase."""
    start = float(np.ceil(begin * 2) / 2)
    low, high = _REGISTERS["lead"]
    for index in range(min(int((end - start) / 0.5), 4)):
        beat = start + 0.5 * index
        tones = [key for key in range(low, high - 4) if key % 12 in song.chord_at(beat).pitch_classes]
        player.play(beat, beat + 0.5, int(player.rng.choice(tones)), 72)


def _into_register(pitch: int, low: int, high: int) -> int:
    """`pitch` moved by octaves into the register."""
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch
