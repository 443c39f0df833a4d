# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The singers: who sings a song, in which range, and from which syllables."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Singer:
    """One voice.

    Args:
        name: name in the truth files.
        espeak_voice: espeak-ng voice and variant that speaks the syllables.
        language: key of `SYLLABLES`.
        lowest, highest: range as MIDI pitches.
        formant_shift: factor on the frequency axis of the spectral envelope; above 1 is a shorter vocal tract.
        breathiness: 0 (clear) to 1 (whisper), added to the aperiodicity of voiced sounds.
        vibrato_cents: depth of the vibrato on long notes.
    """

    name: str
    espeak_voice: str
    language: str
    lowest: int
    highest: int
    formant_shift: float
    breathiness: float
    vibrato_cents: float


SINGERS = (
    Singer("bass", "en-us+m3", "en", 41, 60, 0.94, 0.02, 30),
    Singer("baritone", "en-us+m1", "en", 45, 64, 1.0, 0.04, 35),
    Singer("baritone-italian", "it+m2", "cv", 45, 64, 1.0, 0.02, 55),
    Singer("baritone-german", "de+m4", "cv", 45, 64, 0.97, 0.05, 25),
    Singer("tenor", "en-us+m7", "en", 48, 68, 1.04, 0.05, 30),
    Singer("tenor-spanish", "es+m2", "cv", 48, 68, 1.06, 0.03, 45),
    Singer("tenor-high", "en-us+m4", "en", 52, 71, 1.1, 0.1, 20),
    Singer("tenor-finnish", "fi+m5", "cv", 50, 69, 1.06, 0.08, 15),
    Singer("alto", "en-us+f1", "en", 53, 72, 1.0, 0.06, 30),
    Singer("alto-french", "fr-fr+f4", "cv", 53, 72, 0.98, 0.15, 20),
    Singer("alto-low", "en-us+f5", "en", 52, 69, 0.95, 0.08, 25),
    Singer("mezzo", "en-us+f2", "en", 55, 74, 1.02, 0.05, 40),
    Singer("mezzo-portuguese", "pt-br+f3", "cv", 55, 74, 1.0, 0.18, 15),
    Singer("soprano", "en-us+f3", "en", 58, 77, 1.06, 0.04, 45),
    Singer("soprano-italian", "it+f2", "cv", 58, 77, 1.08, 0.03, 60),
    Singer("soprano-swedish", "sv+f1", "cv", 57, 76, 1.05, 0.1, 20),
    Singer("child", "en-us+f4", "en", 60, 77, 1.17, 0.08, 5),
    Singer("child-italian", "it+f1", "cv", 60, 77, 1.2, 0.06, 5),
)

HELD_OUT_SINGERS = (
    Singer("unseen-man", "en-gb-x-rp+m6", "en", 46, 66, 1.02, 0.06, 30),
    Singer("unseen-woman", "pl+f1", "cv", 55, 74, 1.03, 0.07, 30),
    Singer("unseen-child", "en-gb-x-rp+f3", "en", 60, 77, 1.18, 0.07, 10),
)
"""Voices that no training or validation song uses."""

_ENGLISH = """
love day night you go heart moon light long way home time stay dream sea now low high down soul me see fly sun rain more
near far one said fire wind blue new name hand hold road run too so all be been feel let know mine la na do
"""
_CONSONANTS = ("l", "m", "n", "d", "t", "s", "r", "g", "b", "p", "f", "")

SYLLABLES = {
    "en": _ENGLISH.split(),
    "cv": [onset + vowel for onset in _CONSONANTS for vowel in "aeiou"],
}
"""Syllables by language group, as espeak-ng reads them: English words of one syllable, or consonant and vowel."""
