# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Keys, chords and chord progressions.

Progressions are written as Roman numerals relative to the major scale of the tonic (so the sixth degree of minor is
`bVI`): upper case for major, lower case for minor, `o` for diminished, `h7` for half-diminished.
"""

import re
from dataclasses import dataclass


PITCH_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
QUALITIES = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "dim": (0, 3, 6),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "m7b5": (0, 3, 6, 10),
}
_DEGREES = {"I": 0, "II": 2, "III": 4, "IV": 5, "V": 7, "VI": 9, "VII": 11}

PROGRESSIONS = {
    ("pop", "major"): (
        "I V vi IV",
        "I vi IV V",
        "IV V I vi",
        "I IV ii V",
        "I V IV V",
        "I V vi iii IV I IV V",
        "I bVII IV I",
        "IV I V vi",
    ),
    ("pop", "minor"): (
        "i bVI bIII bVII",
        "i bVII bVI bVII",
        "i iv bVI V",
        "i bVII bVI V",
        "i bIII bVII iv",
        "i v bVI bVII",
        "bVI bVII i i",
    ),
    ("folk", "major"): (
        "I IV I V",
        "I I IV I I I V I",
        "I IV V I",
        "I vi ii V",
        "I V I IV I V I V",
        "I I IV IV V V I I",
    ),
    ("folk", "minor"): ("i bVII i V", "i iv i V", "i bVII bIII V", "i iv bVII i", "i i iv i i bVI V i"),
    ("jazz", "major"): (
        "ii7 V7 Imaj7 vi7",
        "Imaj7 vi7 ii7 V7",
        "Imaj7 IVmaj7 iii7 vi7 ii7 V7 Imaj7 V7",
        "Imaj7 vi7 iii7 vi7 ii7 V7 Imaj7 V7",
        "Imaj7 ii7 iii7 IVmaj7",
        "Imaj7 I7 IVmaj7 iv7",
    ),
    ("jazz", "minor"): (
        "iih7 V7 i7 i7",
        "i7 iv7 V7 i7",
        "i7 bVImaj7 iih7 V7",
        "i7 iv7 bVII7 bIIImaj7 bVImaj7 iih7 V7 i7",
        "i7 bVII7 bVImaj7 V7",
    ),
    ("blues", "major"): ("I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7", "I7 IV7 I7 I7 IV7 IV7 I7 I7 V7 V7 I7 I7"),
    ("blues", "minor"): ("i7 i7 i7 i7 iv7 iv7 i7 i7 bVI7 V7 i7 i7",),
}

HELD_OUT_PROGRESSIONS = {
    ("pop", "major"): ("I iii IV V", "I V ii IV", "vi ii I V"),
    ("pop", "minor"): ("i iv bVII bVI", "i bIII iv V", "bVI i v bVII"),
    ("folk", "major"): ("I ii IV I", "I V V I IV I V I"),
    ("folk", "minor"): ("i bIII bVII i", "i iv V i"),
    ("jazz", "major"): ("Imaj7 iii7 IVmaj7 V7", "Imaj7 ii7 IVmaj7 V7"),
    ("jazz", "minor"): ("i7 bVII7 iv7 V7", "iv7 i7 iih7 V7"),
    ("blues", "major"): ("I7 I7 IV7 I7 IV7 IV7 I7 I7 ii7 V7 I7 V7",),
    ("blues", "minor"): ("i7 iv7 i7 i7 iv7 iv7 i7 i7 iih7 V7 i7 V7",),
}
"""Progressions that no training or validation song uses; none is a rotation of one that they use."""


@dataclass(frozen=True)
class Chord:
    """A chord that sounds from beat `start` for `beats` beats; `root` is a pitch class, 0 = C."""

    start: float
    beats: float
    root: int
    quality: str

    @property
    def end(self) -> float:
        return self.start + self.beats

    @property
    def symbol(self) -> str:
        return PITCH_NAMES[self.root] + self.quality

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Root first, then third, fifth and, where there is one, seventh."""
        return tuple((self.root + interval) % 12 for interval in QUALITIES[self.quality])


def read_numeral(numeral: str, tonic: int) -> tuple[int, str]:
    """Root pitch class and quality of a Roman numeral over `tonic`: `("bVII7", 0)` gives `(10, "7")`."""
    flat, degree, suffix = re.fullmatch(r"(b?)([iv]+|[IV]+)(.*)", numeral).groups()
    root = (tonic + _DEGREES[degree.upper()] - len(flat)) % 12
    if suffix in ("o", "h7"):
        return root, {"o": "dim", "h7": "m7b5"}[suffix]
    return root, ("m" if degree.islower() else "") + suffix


def scale_over(chord: Chord, tonic: int, mode: str) -> tuple[int, ...]:
    """Pitch classes that sing well over `chord`: the key's scale, where a chromatic chord tone (such as the leading
    tone of a minor key) takes the place of the scale tones a semitone from it."""
    scale = {(tonic + degree) % 12 for degree in SCALES[mode]}
    chord_tones = set(chord.pitch_classes)
    for tone in chord_tones - scale:
        scale -= {(tone - 1) % 12, (tone + 1) % 12} - chord_tones
    return tuple(sorted(scale | chord_tones))
