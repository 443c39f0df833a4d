# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The styles of the band, as data: tempo, harmony, and what drums, bass and chords play.

Patterns are one bar of sixteenth notes, one character each (16 in 4/4, 12 in 3/4).

* Drum lanes: `X` accent, `x` normal, `o` ghost note, `.` nothing.
* Bass: `R` root, `3` third, `5` fifth, `8` octave, `A` a step towards the next chord's root; a note sounds until the next
  character that is not `.`, and `-` only ends it.
* Chords: `C` loud and `c` soft chord, held likewise; `s` short chord; `1` to `5` single notes of the chord from below.
"""

from dataclasses import dataclass


DRUM_KEYS = {
    "kick": 36,
    "rim": 37,
    "snare": 38,
    "clap": 39,
    "hat": 42,
    "pedal": 44,
    "open": 46,
    "ride": 51,
    "tambourine": 54,
    "conga": 63,
    "shaker": 70,
}
"""General MIDI drum keys by lane name."""


@dataclass(frozen=True)
class Layer:
    """One pitched part: a program and a pattern are drawn for each song; it plays where the energy suffices.

    Args:
        role: "bass", "chords", "arpeggio", "pad" or "lead"; sets the register and how it is mixed.
        programs: General MIDI programs (from 0) to draw from.
        patterns: patterns to draw from; empty for a lead, which plays fills and the hook of the song.
        energy: sections of less energy leave the part out.
        strum: seconds from the first to the last string of a chord.
    """

    role: str
    programs: tuple[int, ...]
    patterns: tuple[str, ...] = ()
    energy: float = 0.0
    strum: float = 0.0


@dataclass(frozen=True)
class Groove:
    """What the band plays in one meter; `light` drums in quiet sections, `full` ones in loud sections."""

    light: dict[str, str]
    full: dict[str, str]
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Style:
    """A way of playing: `harmony` names the family of progressions, `minor` is the probability of a minor key,

    `tempo` and `swing` are ranges to draw from, `free_tempo` how far the tempo drifts (relative), `grooves` holds one
    groove per meter that the style is played in.
    """

    name: str
    harmony: str
    minor: float
    tempo: tuple[float, float]
    swing: tuple[float, float]
    free_tempo: float
    drum_kits: tuple[int, ...]
    grooves: dict[int, Groove]


_ACOUSTIC_PIANO, _ELECTRIC_PIANO, _ORGAN = (0, 1, 2), (4, 5), (16, 17, 18)
_STRINGS, _PADS = (48, 49, 50), (88, 89, 94, 95)

STYLES = (
    Style(
        name="pop", harmony="pop", minor=0.4, tempo=(88, 128), swing=(0.5, 0.52), free_tempo=0.0, drum_kits=(0, 8, 16),
        grooves={4: Groove(
            light={"kick": "X.......x.......", "rim": "....x.......x...", "hat": "x.x.x.x.x.x.x.x."},
            full={"kick": "X.....x.x.......", "snare": "....X.......X...", "hat": "X.x.X.x.X.x.X.x.", "tambourine": "..x...x...x...x."},
            layers=(
                Layer("bass", (33, 34), ("R...R...R...R...", "R.....R.R.......", "R.R.R.R.R.R.R.R.")),
                Layer("chords", _ACOUSTIC_PIANO + _ELECTRIC_PIANO, ("C...c...C...c...", "C.....C.....C...", "C.......C.......")),
                Layer("arpeggio", (25, 27, 11), ("1.3.2.3.1.3.2.3.", "1.2.3.4.3.2.3.2."), energy=0.7),
                Layer("pad", _STRINGS + _PADS, ("C...............",), energy=0.9),
                Layer("lead", (27, 11, 73, 80)),
            ),
        )},
    ),
    Style(
        name="rock", harmony="pop", minor=0.4, tempo=(100, 150), swing=(0.5, 0.5), free_tempo=0.0, drum_kits=(0, 16),
        grooves={4: Groove(
            light={"kick": "X.......X.......", "snare": "....X.......X...", "hat": "X.x.x.x.X.x.x.x."},
            full={"kick": "X.x.....X.x.....", "snare": "....X.......X...", "open": "X...X...X...X..."},
            layers=(
                Layer("bass", (34, 33), ("R.R.R.R.R.R.R.R.", "R...R.R.R...R.R.")),
                Layer("chords", (29, 30), ("C.......C...C...", "c.c.c.c.c.c.c.c.", "C.....C...C....."), energy=0.6, strum=0.01),
                Layer("chords", (27, 25), ("C...c.c...c.c...", "C...C.c.C...C.c."), strum=0.02),
                Layer("pad", _ORGAN, ("C...............",), energy=0.9),
                Layer("lead", (29, 30, 81)),
            ),
        )},
    ),
    Style(
        name="ballad", harmony="pop", minor=0.5, tempo=(70, 90), swing=(0.5, 0.5), free_tempo=0.012, drum_kits=(0, 8, 40),
        grooves={
            4: Groove(
                light={"kick": "x...............", "rim": "........x.......", "hat": "x...x...x...x..."},
                full={"kick": "X.........x.....", "snare": "........X.......", "ride": "x.x.x.x.x.x.x.x."},
                layers=(
                    Layer("bass", (32, 33, 35), ("R.......R.......", "R.......5.......", "R.....R.5.....A.")),
                    Layer("chords", _ACOUSTIC_PIANO + _ELECTRIC_PIANO, ("1.2.3.4.3.2.3.2.", "C.......c.......", "1.3.4.3.5.3.4.3.")),
                    Layer("pad", _STRINGS + _PADS, ("C...............",), energy=0.6),
                    Layer("arpeggio", (24, 46, 25), ("..2.4.2...2.4.2.", "1.2.3.4.1.2.3.4."), energy=0.9),
                    Layer("lead", (42, 73, 68, 11)),
                ),
            ),
            3: Groove(
                light={"kick": "x...........", "rim": "........x...", "hat": "x...x...x..."},
                full={"kick": "X...........", "snare": "....x...x...", "ride": "x...x...x..."},
                layers=(
                    Layer("bass", (32, 33), ("R...........", "R.......5...")),
                    Layer("chords", _ACOUSTIC_PIANO, ("1.2.3.4.3.2.", "C...c...c...")),
                    Layer("pad", _STRINGS, ("C...........",), energy=0.6),
                    Layer("lead", (42, 73, 71)),
                ),
            ),
        },
    ),
    Style(
        name="folk", harmony="folk", minor=0.3, tempo=(84, 132), swing=(0.5, 0.56), free_tempo=0.015, drum_kits=(8, 40),
        grooves={
            4: Groove(
                light={"shaker": "x.o.x.o.x.o.x.o."},
                full={"kick": "X.......X.......", "tambourine": "....x.......x...", "shaker": "x.o.x.o.x.o.x.o."},
                layers=(
                    Layer("bass", (32,), ("R.......5.......", "R.......R.......")),
                    Layer("chords", (25, 24), ("C...C.c...c.C.c.", "C...c.c.C...c.c.", "C...C...C...C..."), strum=0.025),
                    Layer("arpeggio", (24, 105, 15), ("1.3.2.3.1.4.2.3.", "1.2.3.2.1.2.3.2."), energy=0.9),
                    Layer("pad", (21, 23, 48), ("C...............",), energy=0.9),
                    Layer("lead", (110, 22, 73)),
                ),
            ),
            3: Groove(
                light={"shaker": "x...o...o..."},
                full={"kick": "X...........", "tambourine": "....x...x..."},
                layers=(
                    Layer("bass", (32,), ("R...........", "R.......5...")),
                    Layer("chords", (25, 24), ("C...c...c...", "C...c.c.c.c."), strum=0.025),
                    Layer("pad", (21, 23), ("C...........",), energy=0.7),
                    Layer("lead", (110, 40, 73)),
                ),
            ),
        },
    ),
    Style(
        name="bossa", harmony="jazz", minor=0.4, tempo=(104, 140), swing=(0.5, 0.51), free_tempo=0.005, drum_kits=(32, 40, 0),
        grooves={4: Groove(
            light={"kick": "x.....x.x.....x.", "hat": "x.x.x.x.x.x.x.x."},
            full={"kick": "x.....x.x.....x.", "rim": "x.....x.....x...", "hat": "x.x.x.x.x.x.x.x.", "shaker": "o.x.o.x.o.x.o.x."},
            layers=(
                Layer("bass", (32, 35), ("R.....5.5.....R.", "R.....R.5.....5.")),
                Layer("chords", (24, 26), ("C.....C.....C...", "C...c...s..C..c."), strum=0.008),
                Layer("chords", _ELECTRIC_PIANO, ("C...............", "..C.......C....."), energy=0.7),
                Layer("pad", (48, 89), ("C...............",), energy=0.9),
                Layer("lead", (73, 65, 11)),
            ),
        )},
    ),
    Style(
        name="swing", harmony="jazz", minor=0.35, tempo=(100, 150), swing=(0.6, 0.67), free_tempo=0.006, drum_kits=(32, 40),
        grooves={
            4: Groove(
                light={"ride": "x...X.x.x...X.x.", "pedal": "....x.......x..."},
                full={"ride": "x...X.x.x...X.x.", "pedal": "....x.......x...", "kick": "o...o...o...o...", "snare": "......o.....o..."},
                layers=(
                    Layer("bass", (32,), ("R...3...5...A...", "R...5...8...A...", "R...R...5...A...")),
                    Layer("chords", _ACOUSTIC_PIANO + (26,), ("C.....s.........", "....s.....C.....", "s.....C.......s.")),
                    Layer("pad", (11, 17), ("C...............",), energy=0.9),
                    Layer("lead", (65, 66, 59, 71)),
                ),
            ),
            3: Groove(
                light={"ride": "X...x.x.x...", "pedal": "....x......."},
                full={"ride": "X...x.x.x...", "pedal": "....x...x...", "kick": "x..........."},
                layers=(
                    Layer("bass", (32,), ("R...5...A...", "R.......5...")),
                    Layer("chords", _ACOUSTIC_PIANO + (26,), ("....C.s.....", "C.....s.....")),
                    Layer("lead", (65, 73, 71)),
                ),
            ),
        },
    ),
    Style(
        name="disco", harmony="pop", minor=0.6, tempo=(110, 130), swing=(0.5, 0.51), free_tempo=0.0, drum_kits=(0, 16, 24),
        grooves={4: Groove(
            light={"kick": "X...X...X...X...", "hat": "..x...x...x...x."},
            full={"kick": "X...X...X...X...", "snare": "....X.......X...", "open": "..X...X...X...X.", "hat": "x...x...x...x..."},
            layers=(
                Layer("bass", (33, 36, 38), ("R.8.R.8.R.8.R.8.", "R..8..R.R..8..R.")),
                Layer("chords", (27, 7, 28), ("..s...s.s.s...s.", "s.s.s.ss..s.s.ss")),
                Layer("chords", _ACOUSTIC_PIANO + _ELECTRIC_PIANO, ("C.....C...C.....", "C...............")),
                Layer("pad", (48, 50, 61), ("C.......c.......", "C..............."), energy=0.8),
                Layer("lead", (48, 61, 73)),
            ),
        )},
    ),
    Style(
        name="electronic", harmony="pop", minor=0.7, tempo=(96, 136), swing=(0.5, 0.54), free_tempo=0.0, drum_kits=(24, 25),
        grooves={4: Groove(
            light={"kick": "X...X...X...X...", "hat": "..x...x...x...x."},
            full={"kick": "X...X...X...X...", "clap": "....X.......X...", "hat": "x.o.x.o.x.o.x.o.", "open": "..x...x...x...x."},
            layers=(
                Layer("bass", (38, 39, 87), ("..R...R...R...R.", "R.R.R.R.R.R.R.R.", "R..R..R.R..R..R.")),
                Layer("chords", (90, 62, 81), ("C..C..C...C..C..", "C...............", "s..s..s...s..s..")),
                Layer("arpeggio", (80, 98, 81), ("1.3.2.4.1.3.2.4.", "1234321412343214"), energy=0.8),
                Layer("pad", _PADS + (50,), ("C...............",)),
                Layer("lead", (80, 81, 98)),
            ),
        )},
    ),
    Style(
        name="reggae", harmony="folk", minor=0.4, tempo=(70, 92), swing=(0.52, 0.6), free_tempo=0.0, drum_kits=(0, 8),
        grooves={4: Groove(
            light={"kick": "........X.......", "rim": "........x.......", "hat": "x.x.x.x.x.x.x.x."},
            full={"kick": "........X.......", "snare": "........X.......", "hat": "x.X.x.X.x.X.x.X.", "conga": "..o.....o...oo.."},
            layers=(
                Layer("bass", (33, 35), ("R..R..5.--R.3.5.", "R...R.3.5...--R.", "--R.R...5...3...")),
                Layer("chords", (27, 28), ("....s.......s...", "..s...s...s...s.")),
                Layer("chords", _ORGAN, ("..s...s...s...s.", "..ss..ss..ss..ss"), energy=0.6),
                Layer("pad", (4, 5), ("C...............",), energy=0.9),
                Layer("lead", (57, 22, 27)),
            ),
        )},
    ),
    Style(
        name="country", harmony="folk", minor=0.15, tempo=(96, 140), swing=(0.5, 0.55), free_tempo=0.004, drum_kits=(0, 40),
        grooves={4: Groove(
            light={"kick": "x.......x.......", "snare": "..o...o...o...o."},
            full={"kick": "X.......X.......", "snare": "o.xoX.xoo.xoX.xo"},
            layers=(
                Layer("bass", (32, 33), ("R.......5.......", "R...R...5...5...")),
                Layer("chords", (25,), ("....C.......C...", "..c.C.c...c.C.c."), strum=0.015),
                Layer("arpeggio", (105, 25), ("1.3.2.4.1.3.2.4.", "1423142314231423"), energy=0.6),
                Layer("pad", (110, 48), ("C...............",), energy=0.9),
                Layer("lead", (110, 27, 22)),
            ),
        )},
    ),
    Style(
        name="shuffle", harmony="blues", minor=0.25, tempo=(90, 138), swing=(0.62, 0.67), free_tempo=0.004, drum_kits=(0, 8, 32),
        grooves={4: Groove(
            light={"kick": "X.......X.......", "snare": "....x.......x...", "hat": "X.x.X.x.X.x.X.x."},
            full={"kick": "X.....x.X.......", "snare": "....X.....o.X...", "ride": "X.x.X.x.X.x.X.x."},
            layers=(
                Layer("bass", (32, 33), ("R...3...5...3...", "R...3...5...A...", "R.R.3.3.5.5.3.3.")),
                Layer("chords", _ACOUSTIC_PIANO + (16,), ("C.......c.......", "......s.......s.", "..s...s...s...s.")),
                Layer("chords", (27, 29), ("c.c.c.c.c.c.c.c.", "....s.......s..."), energy=0.6, strum=0.01),
                Layer("lead", (22, 66, 29)),
            ),
        )},
    ),
    Style(
        name="waltz", harmony="folk", minor=0.4, tempo=(90, 150), swing=(0.5, 0.5), free_tempo=0.012, drum_kits=(40, 32),
        grooves={3: Groove(
            light={"kick": "x...........", "hat": "....x...x..."},
            full={"kick": "X...........", "snare": "....o...o...", "ride": "x..........."},
            layers=(
                Layer("bass", (32, 43), ("R...........", "R.......A...")),
                Layer("chords", (21, 0, 24), ("....s...s...", "....c...c..."), strum=0.01),
                Layer("pad", _STRINGS, ("C...........",), energy=0.6),
                Layer("arpeggio", (46, 0), ("1.2.3.4.3.2.",), energy=0.9),
                Layer("lead", (40, 71, 21)),
            ),
        )},
    ),
)  # fmt: skip
"""All styles; each is as likely as the others."""
