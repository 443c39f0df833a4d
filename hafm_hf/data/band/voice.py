# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Sings: syllables on the melody's pitch with glides, vibrato, breaths and consonants before the beat (WORLD vocoder)."""

from dataclasses import dataclass

import numpy as np

from .performance import SungNote
from .requirements import import_world
from .seeds import stream
from .singers import Singer
from .syllables import FRAMES_PER_SECOND, SAMPLING_RATE, Syllable, syllable


_LEVEL = 0.1  # root mean square of a vowel of gain 1
_PHRASE_GAP = 0.25  # seconds of silence that part two phrases
_LEAD = 0.5  # seconds before a phrase's first vowel, for its consonant and a breath
_RELEASE = 0.06
_CONSONANT, _CODA = 0.15, 0.12  # longest seconds of the sounds before and after a vowel
_TRANSITION = 0.05  # seconds of a vowel's beginning that keep their speed
_BLEND = 0.015  # seconds over which one sound passes into the next


@dataclass(frozen=True)
class _Manner:
    """How one song is sung; `glide` in seconds, `scoops` a probability, `breath` an amplitude relative to a vowel."""

    formant_shift: float
    vibrato_hertz: float
    vibrato_cents: float
    glide: float
    scoops: float
    breath: float


@dataclass
class _Sound:
    """A syllable in time (seconds): it starts at `onset`, its vowel at `vowel`, and it fades away around `end`."""

    syllable: Syllable
    onset: float
    vowel: float
    end: float
    gain: float
    fade: float = _RELEASE


def sing(notes: list[SungNote], singer: Singer, seconds: float, seed: int) -> np.ndarray:
    """Sings `notes`; returns float64 samples `[seconds * 24000]`, exactly zero where nobody sings."""
    rng = stream(seed, "voice")
    manner = _Manner(
        formant_shift=singer.formant_shift * rng.uniform(0.97, 1.03),
        vibrato_hertz=rng.uniform(4.8, 6.4),
        vibrato_cents=singer.vibrato_cents * rng.uniform(0.6, 1.3),
        glide=rng.uniform(0.04, 0.1),
        scoops=rng.uniform(0.0, 0.5),
        breath=rng.choice([0.0, 0.02, 0.05]),
    )
    out = np.zeros(round(seconds * SAMPLING_RATE))
    silent_from = 0.0
    for phrase in _phrases(notes):
        start = max(phrase[0].start - _LEAD, silent_from)
        silent_from = phrase[-1].end + _RELEASE
        first = int(start * FRAMES_PER_SECOND)
        times = np.arange(first, int(silent_from * FRAMES_PER_SECOND) + 2) / FRAMES_PER_SECOND
        samples = _sing_phrase(phrase, singer, manner, times, rng)
        begin = first * SAMPLING_RATE // FRAMES_PER_SECOND
        stop = min(begin + len(samples), len(out))
        out[begin:stop] += samples[: stop - begin]
    return out


def _phrases(notes: list[SungNote]) -> list[list[SungNote]]:
    """Groups notes that follow each other without a silence."""
    phrases: list[list[SungNote]] = []
    for note in notes:
        if phrases and note.start - phrases[-1][-1].end < _PHRASE_GAP:
            phrases[-1].append(note)
        else:
            phrases.append([note])
    return phrases


def _sing_phrase(
    notes: list[SungNote], singer: Singer, manner: _Manner, times: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    sounds = _sounds(notes, singer, earliest=times[0])
    power, aperiodicity, voiced = _spectra(sounds, times)
    _breathe(power, sounds[0], times, manner.breath)
    power = _shift_formants(power, manner.formant_shift)
    aperiodicity = 1 - (1 - aperiodicity) * (1 - singer.breathiness)
    hertz = np.where(voiced, 440.0 * 2 ** ((_pitch(notes, times, manner, rng) - 69) / 12), 0.0)
    return _LEVEL * import_world().synthesize(hertz, power, aperiodicity, SAMPLING_RATE)


def _sounds(notes: list[SungNote], singer: Singer, earliest: float) -> list[_Sound]:
    """The syllables in time: consonants come before the beat and take their time from the note before."""
    sounds: list[_Sound] = []
    for note in notes:
        if sounds and note.syllable is None:
            sounds[-1].end = note.end
            continue
        spoken = syllable(singer.espeak_voice, note.syllable)
        room = 0.4 * (note.start - sounds[-1].vowel) if sounds else note.start - earliest
        onset = note.start - min(spoken.vowel[0] / FRAMES_PER_SECOND, _CONSONANT, room)
        if sounds:
            sounds[-1].end = min(sounds[-1].end, onset)
            sounds[-1].fade = _BLEND if sounds[-1].end == onset else _RELEASE
        sounds.append(_Sound(spoken, onset, note.start, note.end, note.gain))
    return sounds


def _spectra(sounds: list[_Sound], times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Power spectra and aperiodicity `[frames, bins]`, and which frames are voiced."""
    bins = sounds[0].syllable.log_envelope.shape[1]
    power = np.full((len(times), bins), 1e-9)
    aperiodicity = np.zeros((len(times), bins))
    total, heaviest, voiced = np.zeros(len(times)), np.zeros(len(times)), np.zeros(len(times), bool)
    for sound in sounds:
        ramp = (
            sound.onset - _BLEND / 2,
            sound.onset + _BLEND / 2,
            sound.end - sound.fade / 2,
            sound.end + sound.fade / 2,
        )
        first, stop = np.searchsorted(times, (ramp[0], ramp[3]))
        here = slice(first, stop)
        weight = np.interp(times[here], ramp, (0.0, 1.0, 1.0, 0.0))
        source = _source_frames(sound, times[here])
        power[here] += (weight * sound.gain**2)[:, None] * np.exp(_between(sound.syllable.log_envelope, source))
        aperiodicity[here] += weight[:, None] * _between(sound.syllable.aperiodicity, source)
        voiced[here] = np.where(
            weight > heaviest[here], sound.syllable.voiced[source.round().astype(int)], voiced[here]
        )
        heaviest[here] = np.maximum(heaviest[here], weight)
        total[here] += weight
    aperiodicity[total == 0] = 1.0
    return power, np.clip(aperiodicity / np.where(total == 0, 1.0, total)[:, None], 0.0, 1.0), voiced


def _source_frames(sound: _Sound, times: np.ndarray) -> np.ndarray:
    """The (fractional) frame of the spoken syllable for each time: consonants at their speed, the vowel stretched."""
    first, last = sound.syllable.vowel
    frames = sound.syllable.frames - 1
    coda = min((frames - last) / FRAMES_PER_SECOND, _CODA, 0.35 * (sound.end - sound.vowel))
    vowel_end = sound.end - coda
    edge = min(_TRANSITION, 0.25 * (vowel_end - sound.vowel), 0.25 * (last - first) / FRAMES_PER_SECOND)
    moved_on = first + edge * FRAMES_PER_SECOND
    held = max(first + 0.45 * (last - first), moved_on)  # diphthongs turn late, as singers do it
    moments = (
        sound.onset,
        sound.vowel,
        sound.vowel + edge,
        0.25 * sound.vowel + 0.75 * vowel_end,
        vowel_end,
        sound.end,
    )
    return np.interp(times, moments, (0, first, moved_on, held, last, frames))


def _between(frames: np.ndarray, position: np.ndarray) -> np.ndarray:
    """`frames[position]` for fractional positions, by linear interpolation."""
    below = position.astype(int)
    above = np.minimum(below + 1, len(frames) - 1)
    part = (position - below).astype(np.float32)[:, None]
    return frames[below].astype(np.float32) * (1 - part) + frames[above].astype(np.float32) * part


def _breathe(power: np.ndarray, first: _Sound, times: np.ndarray, level: float) -> None:
    """Adds a breath before the first sound, where there is time for one: the vowel's shape, unvoiced."""
    end = first.onset - 0.03
    begin = max(end - 0.28, times[0])
    if end - begin < 0.15:
        return
    loudness = level * np.interp(times, (begin, begin + 0.7 * (end - begin), end), (0.0, 1.0, 0.0))
    vowel = first.syllable.log_envelope[sum(first.syllable.vowel) // 2]
    power += (loudness**2)[:, None] * np.exp(vowel.astype(np.float64))


def _shift_formants(power: np.ndarray, factor: float) -> np.ndarray:
    """Stretches the frequency axis of the spectra by `factor`."""
    top = power.shape[1] - 1
    position = np.minimum(np.arange(top + 1) / factor, top)
    below = position.astype(int)
    part = position - below
    above = np.minimum(below + 1, top)
    return power.take(below, axis=1) * (1 - part) + power.take(above, axis=1) * part


def _pitch(notes: list[SungNote], times: np.ndarray, manner: _Manner, rng: np.random.Generator) -> np.ndarray:
    """The sung pitch in (fractional) MIDI numbers for every frame."""
    starts = np.array([note.start for note in notes])
    current = np.maximum(np.searchsorted(starts, times, side="right") - 1, 0)
    written = np.array([note.pitch + note.cents / 100 for note in notes])[current]
    pitch = _smooth(written, manner.glide)
    since = times - starts[current]
    lengths = np.array([note.end - note.start for note in notes])[current]
    depth = np.where(lengths > 0.4, np.clip((since - 0.2) / 0.25, 0.0, 1.0), 0.0) * manner.vibrato_cents / 100
    pitch += depth * np.sin(2 * np.pi * (manner.vibrato_hertz * times + rng.random()))
    if rng.random() < manner.scoops:
        pitch -= rng.uniform(0.5, 1.8) * np.exp(-np.maximum(times - starts[0], 0.0) / 0.05)
    drift = _smooth(rng.normal(size=len(times)), 0.3) * np.sqrt(0.3 * FRAMES_PER_SECOND)
    jitter = _smooth(rng.normal(size=len(times)), 0.02)
    return pitch + 0.04 * drift + 0.04 * jitter


def _smooth(values: np.ndarray, seconds: float) -> np.ndarray:
    """Moving average with a raised-cosine window of `seconds`."""
    window = np.hanning(int(seconds * FRAMES_PER_SECOND) // 2 * 2 + 3)
    padded = np.pad(values, len(window) // 2, mode="edge")
    return np.convolve(padded, window / window.sum(), mode="valid")
