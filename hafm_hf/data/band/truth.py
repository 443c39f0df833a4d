# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What is true of a rendered song, as a JSON object.

All times are in seconds from the first sample. The keys:

* `seed`, `split`, `sampling_rate` (Hz), `duration` (s)
* `key` ("A minor"), `tonic` (pitch class, 0 = C), `mode`, `tempo` (beats a minute; mean, where the tempo is free),
  `meter` (beats in a bar), `swing` (where in the beat its off-beat eighth falls; 0.5 is straight), `style`
* `singer`; `unseen_voice`, `unseen_progression`: whether no training song has this singer, or these progressions
* `beats`, `downbeats`: times
* `sections`: `name`, `start`, `end`, `sung`, `progression` (Roman numerals)
* `chords`: `start`, `end`, `symbol`, `pitch_classes`
* `notes` of the voice: `start` (of the vowel) and `end` as sung, `beat` as written, `pitch` (MIDI), `syllable` (null
  where the vowel of the note before goes on)
* `band`: for each instrument `role`, `program` (General MIDI, from 0; a kit for drums) and `notes`, their number
* `vocal_rms_db`, `accompaniment_rms_db`: root mean square over the whole song, dB full scale
"""

from collections.abc import Sequence

import numpy as np

from .arrangement import Part
from .composition import Song
from .harmony import HELD_OUT_PROGRESSIONS
from .performance import SungNote
from .seeds import split_of
from .singers import HELD_OUT_SINGERS
from .syllables import SAMPLING_RATE


def tell_truth(
    song: Song, sung: Sequence[SungNote], parts: Sequence[Part], vocal: np.ndarray, accompaniment: np.ndarray
) -> dict:
    """The truth about a rendered song; see the module for what the keys mean."""
    beats = song.beat_times
    unseen = {progression for group in HELD_OUT_PROGRESSIONS.values() for progression in group}

    def time(beat: float) -> float:
        return round(song.seconds(beat), 4)

    return {
        "seed": song.seed,
        "split": split_of(song.seed),
        "sampling_rate": SAMPLING_RATE,
        "duration": round(len(vocal) / SAMPLING_RATE, 4),
        "key": song.key,
        "tonic": song.tonic,
        "mode": song.mode,
        "tempo": song.tempo,
        "meter": song.meter,
        "swing": round(song.swing, 3),
        "style": song.style.name,
        "singer": song.singer.name,
        "unseen_voice": song.singer in HELD_OUT_SINGERS,
        "unseen_progression": any(section.progression in unseen for section in song.sections),
        "beats": [round(float(beat), 4) for beat in beats[:-1]],
        "downbeats": [round(float(beat), 4) for beat in beats[: -1 : song.meter]],
        "sections": [
            {
                "name": section.name,
                "start": time(section.start),
                "end": time(section.start + section.bars * song.meter),
                "sung": section.sung,
                "progression": section.progression,
            }
            for section in song.sections
        ],
        "chords": [
            {
                "start": time(chord.start),
                "end": time(chord.end),
                "symbol": chord.symbol,
                "pitch_classes": list(chord.pitch_classes),
            }
            for chord in song.chords
        ],
        "notes": [
            {
                "start": round(note.start, 4),
                "end": round(note.end, 4),
                "beat": written.start,
                "pitch": note.pitch,
                "syllable": note.syllable,
            }
            for note, written in zip(sung, song.melody, strict=True)
        ],
        "band": [{"role": part.role, "program": part.program, "notes": len(part.notes)} for part in parts],
        "vocal_rms_db": _rms_db(vocal),
        "accompaniment_rms_db": _rms_db(accompaniment),
    }


def _rms_db(samples: np.ndarray) -> float:
    return round(float(20 * np.log10(np.sqrt(np.mean(samples**2)) + 1e-12)), 2)
