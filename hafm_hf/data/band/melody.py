# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Writes a melody over chords: phrases with rests, motifs that return, chord tones where the beat is strong."""

from dataclasses import dataclass

import numpy as np

from .harmony import Chord, scale_over


PHRASE_BARS = 2
_SHORTEST_REST = 0.5  # beats between two phrases
_PHRASE_PLANS = ("aaba", "abab", "aabc", "abac")
_PREFERRED_TONES = (0.8, 1.0, 0.4, 0.0)  # root, third, fifth, seventh: what tells a listener most about the chord
_DEGREE_WEIGHTS = {0: 0.7, 7: 0.3, 4: 0.3, 3: 0.3}  # by semitones above the tonic: what tells most about the key
_INTERVAL_COSTS = (0.9, 0.0, 0.0, 0.5, 0.6, 0.9, 4.0, 1.2, 2.0, 2.0, 4.0, 6.0, 2.2)


@dataclass(frozen=True)
class Note:
    """A sung note: `start` and `beats` in quarter-note beats of the straight (unswung) grid, `pitch` as MIDI number.

    `syllable` is None where the vowel of the note before is carried on (a melisma); `strong` notes are chord tones.
    """

    start: float
    beats: float
    pitch: int
    syllable: str | None
    strong: bool

    @property
    def end(self) -> float:
        return self.start + self.beats


@dataclass(frozen=True)
class MelodyManner:
    """How one song's melody moves; drawn once a song.

    Args:
        density: 0.4 (long notes) to 1.3 (many short ones).
        syncopation, pickups, melismas, detached: probabilities, of a note anticipating its beat, of a phrase starting
            before its bar, of a note without a syllable of its own, of a note being cut short.
        grid: shortest distance of two onsets in beats.
        lowest, highest: range as MIDI pitches.
    """

    density: float
    syncopation: float
    pickups: float
    melismas: float
    detached: float
    grid: float
    lowest: int
    highest: int

    @classmethod
    def draw(cls, rng: np.random.Generator, tempo: float, lowest: int, highest: int) -> "MelodyManner":
        return cls(
            density=rng.uniform(0.4, 1.2),
            syncopation=rng.choice([0.0, 0.12, 0.3]),
            pickups=rng.choice([0.0, 0.3, 0.7]),
            melismas=rng.uniform(0.0, 0.15),
            detached=rng.uniform(0.0, 0.3),
            grid=0.25 if tempo < 90 and rng.random() < 0.4 else 0.5,
            lowest=lowest,
            highest=highest,
        )


@dataclass(frozen=True)
class _Slot:
    """A note before it has a pitch, its start counted from the phrase's first bar."""

    start: float
    beats: float
    strong: bool


class MelodyWriter:
    """Writes phrase after phrase of one song and remembers motifs, so that what returns is recognised.

    Args:
        rng: random stream of the melody.
        manner: how the melody moves.
        chords: all chords of the song, in order.
        key: tonic pitch class and mode.
        meter: beats in a bar.
        syllables: what is sung.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        manner: MelodyManner,
        chords: list[Chord],
        key: tuple[int, str],
        meter: int,
        syllables: list[str],
    ):
        self.rng, self.manner, self.chords, self.key, self.meter = rng, manner, chords, key, meter
        self.syllables = syllables
        self.notes: list[Note] = []
        self._motifs: dict[str, list[_Slot]] = {}
        self._plans: dict[str, str] = {}
        self._remembered: dict[str, list[Note]] = {}

    def write_section(self, name: str, start: float, bars: int) -> None:
        """Adds the notes of one sung section that begins at beat `start`."""
        phrase_beats = PHRASE_BARS * self.meter
        plan = self._plans.setdefault(name, str(self.rng.choice(_PHRASE_PLANS)))
        phrases = bars // PHRASE_BARS
        for index in range(phrases):
            motif = name + plan[index % len(plan)]
            if motif not in self._motifs:
                self._motifs[motif] = self._draw_rhythm()
            self._write_phrase(
                motif,
                f"{name}{index}",
                self._motifs[motif],
                start + index * phrase_beats,
                lift=3.0 if name == "chorus" else 0.0,
                closing=index == phrases - 1,
            )

    def _draw_rhythm(self) -> list[_Slot]:
        """Onsets drawn by metrical weight; the last note is held and a rest follows."""
        rng, manner, meter = self.rng, self.manner, self.meter
        phrase_beats = PHRASE_BARS * meter
        rest = rng.choice([1.0, 1.5, 2.0])
        last = float(np.floor(phrase_beats - rest - rng.choice([0.5, 1.0, 2.0])))
        onsets = {0.0, last}
        for position in np.arange(manner.grid, last, manner.grid):
            if rng.random() < _metrical_weight(position, meter) * manner.density:
                onsets.add(float(position))
        sounding = sorted(onsets)
        moved = {}  # onset -> the beat whose harmony it anticipates
        for onset in sounding:
            earlier = onset - 0.5
            anticipates = onset > 0 and onset % 1 == 0 and rng.random() < manner.syncopation
            moved[earlier if anticipates and earlier not in onsets else onset] = onset
        starts = sorted(moved)
        ends = [*starts[1:], phrase_beats - rest]
        slots = []
        for onset, end in zip(starts, ends, strict=True):
            beats = min(end - onset, meter)
            if beats >= 0.5 and onset != starts[-1] and rng.random() < manner.detached:
                beats *= 0.6
            slots.append(_Slot(onset, beats, moved[onset] % (2 if meter == 4 else 3) == 0 or beats >= 1.5))
        if rng.random() < manner.pickups:
            pickups = [-0.5 * n for n in range(int(rng.integers(1, 3)), 0, -1)]
            slots = [_Slot(onset, 0.5, False) for onset in pickups] + slots
        return slots

    def _write_phrase(
        self, motif: str, place: str, slots: list[_Slot], start: float, lift: float, closing: bool
    ) -> None:
        """Gives the slots pitches and syllables; a phrase heard before at this place or motif comes back alike."""
        model = self._remembered.get(place) or self._remembered.get(motif)
        words_return = place in self._remembered and place.startswith("chorus")
        written: list[Note] = []
        free_from = self.notes[-1].end + _SHORTEST_REST if self.notes else 0.0
        peak = self.rng.uniform(0.3, 0.8)
        for index, slot in enumerate(slots):
            if slot.start < 0 and start + slot.start < free_from:
                continue  # a pick-up that would leave no time to breathe
            shape = np.sin(np.pi * min((index + 1) / (len(slots) * 2 * peak), 1.0))
            aim = self.manner.lowest + 0.4 * (self.manner.highest - self.manner.lowest) + lift + 4.0 * (shape - 0.5)
            like = next((note for note in model or () if note.start == slot.start), None)
            last = index == len(slots) - 1
            pitch = self._choose_pitch(start + slot.start, slot, aim, like and like.pitch, written, closing and last)
            syllable = words_return and like and like.syllable or self._choose_syllable(slot, written, last)
            strong = slot.strong or (closing and last)
            written.append(Note(slot.start, slot.beats, pitch, syllable, strong))
            self.notes.append(Note(start + slot.start, slot.beats, pitch, syllable, strong))
        self._remembered.setdefault(place, written)
        self._remembered.setdefault(motif, written)

    def _choose_pitch(
        self, beat: float, slot: _Slot, aim: float, like: int | None, phrase: list[Note], closing: bool
    ) -> int:
        """Draws one pitch by how well it continues the line, near `aim` and, where given, near the pitch `like`."""
        manner, tonic = self.manner, self.key[0]
        chord = self._chord_for(beat, slot)
        strong = slot.strong or closing
        allowed = chord.pitch_classes if strong else scale_over(chord, *self.key)
        candidates = [p for p in range(manner.lowest, manner.highest + 1) if p % 12 in allowed]
        previous = self.notes[-1].pitch if self.notes else round(aim)
        leaves_dissonance = phrase and not phrase[-1].strong
        scores = []
        for pitch in candidates:
            interval = abs(pitch - previous)
            cost = _INTERVAL_COSTS[interval] if interval <= 12 else 8.0
            score = -cost * (1.6 if leaves_dissonance else 1.0) - ((pitch - aim) / 5.0) ** 2
            score += _DEGREE_WEIGHTS.get((pitch - tonic) % 12, 0.0)
            if strong:
                score += _PREFERRED_TONES[chord.pitch_classes.index(pitch % 12)]
            if like is not None:
                score -= 1.2 * abs(pitch - like)
            if closing:
                score += 2.0 * (pitch % 12 == tonic)
            scores.append(score)
        weights = np.exp((np.array(scores) - max(scores)) / 0.4)
        return int(self.rng.choice(candidates, p=weights / weights.sum()))

    def _choose_syllable(self, slot: _Slot, phrase: list[Note], last: bool) -> str | None:
        """Draws what is sung on a note; None, where it goes on with the vowel of a note that leads into it."""
        follows = bool(phrase) and phrase[-1].end == slot.start
        if follows and not last and slot.beats >= 0.5 and self.rng.random() < self.manner.melismas:
            return None
        return str(self.rng.choice(self.syllables))

    def _chord_for(self, beat: float, slot: _Slot) -> Chord:
        """The chord a note belongs to: an anticipation belongs to the chord that it anticipates."""
        sounding = next(chord for chord in self.chords if chord.start <= max(beat, 0.0) < chord.end)
        if slot.strong and beat % 1 and slot.beats > sounding.end - beat:
            return next((chord for chord in self.chords if chord.start == sounding.end), sounding)
        return sounding


def _metrical_weight(position: float, meter: int) -> float:
    """How likely an onset is at `position` beats from a downbeat."""
    if position % meter == 0:
        return 1.2
    if meter == 4 and position % 4 == 2:
        return 1.0
    if position % 1 == 0:
        return 0.75
    return 0.45 if position % 1 == 0.5 else 0.12
