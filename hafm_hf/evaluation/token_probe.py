# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""How much a linear probe finds in semantic tokens, or in the features they are clusters of: what is sung and played.

Of each frame of 20 ms it tells, for songs whose truth is known (those of the built-in band):

* `pitch_class` of the note sung, where one is, and `note_onset`, within 40 ms, from the vocals;
* `chord`, the root and whether its third is major or minor, and `beat`, within 40 ms, from the accompaniment.

Of real voices nobody wrote down the truth: there the notes are those that a pitch tracker hears, and the first two
questions remain. The band's vocals can be asked in the same way, which tells how good such labels are.

A probe is a logistic regression on standardised features, or on tokens of the frame and two on either side, one-hot.
Songs are either learnt from or tested on, never both.
"""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import librosa
import mir_eval
import numpy as np
from scipy.ndimage import median_filter
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from .audio_input import load_mono


SAMPLING_RATE = 16_000
HOP = 320
FRAME_SECONDS, FRAME_CENTRE = HOP / SAMPLING_RATE, 0.0125  # of HuBERT: 25 ms long, one every 20 ms
TOLERANCE = 0.04
REACH = 2

VIBRATO_FRAMES = 9  # one period at 5.5 Hz
SHORTEST_NOTE = 5  # frames
VOICING_CONFIDENCE = 0.1  # a note's mean; in the band's vocals it costs 1 % of the sung frames


def frame_times(frames: int) -> np.ndarray:
    """Middle of each frame in seconds."""
    return FRAME_CENTRE + FRAME_SECONDS * np.arange(frames)


def spans(items: Sequence[dict], values: Sequence[int], frames: int) -> np.ndarray:
    """The value of what lasts from `start` to `end` at each frame, [frames]; -1 where there is nothing."""
    labels, times = np.full(frames, -1), frame_times(frames)
    for item, value in zip(items, values, strict=True):
        labels[(item["start"] <= times) & (times < item["end"])] = value
    return labels


def near(moments: Sequence[float], frames: int) -> np.ndarray:
    """Whether each frame lies within 40 ms of one of the moments, 0 or 1 [frames]."""
    distances = np.abs(frame_times(frames)[:, None] - np.asarray(moments)[None])
    return (distances.min(axis=1, initial=np.inf) <= TOLERANCE).astype(int)


def pitch_classes(truth: dict, frames: int) -> np.ndarray:
    return spans(truth["notes"], [note["pitch"] % 12 for note in truth["notes"]], frames)


def note_onsets(truth: dict, frames: int) -> np.ndarray:
    return near([note["start"] for note in truth["notes"]], frames)


def chords(truth: dict, frames: int) -> np.ndarray:
    values = []
    for chord in truth["chords"]:
        root, *others = chord["pitch_classes"]
        values.append(root + 12 * ((root + 3) % 12 in others and (root + 4) % 12 not in others))
    return spans(truth["chords"], values, frames)


def beats(truth: dict, frames: int) -> np.ndarray:
    return near(truth["beats"], frames)


TASKS = {
    "pitch_class": ("vocals", pitch_classes),
    "note_onset": ("vocals", note_onsets),
    "chord": ("accompaniment", chords),
    "beat": ("accompaniment", beats),
}
"""The stem each task is about, and its labels; -1 is no question."""


def probe_songs(
    encode: Callable[[np.ndarray], np.ndarray], train: Sequence[Path], test: Sequence[Path], seconds: float = 30.0
) -> dict[str, dict[str, float]]:
    """Learn every task from some songs and try it on others.

    Args:
        encode: From mono audio [samples] at 16 kHz to features [frames, size] or tokens [frames], 50 frames a second.
        train, test: Folders of songs, each with `vocals.flac`, `accompaniment.flac` and `truth.json`.
        seconds: How much of each song counts, from its middle.

    Returns:
        For every task its `score` and `chance`: of classes, the accuracy and that of always guessing the commonest; of
        moments, the average precision and the share of frames near one. Also the `frames` tested on.
    """

    def example(song: Path, stem: str) -> tuple:
        audio, first = _middle(song / f"{stem}.flac", seconds)
        return encode(audio), _truth(song), first

    stems = {
        stem: [[example(song, stem) for song in songs] for songs in (train, test)]
        for stem in ("vocals", "accompaniment")
    }
    return {task: _probe(*(_gather(songs, label) for songs in stems[stem])) for task, (stem, label) in TASKS.items()}


def probe_voices(
    encode: Callable[[np.ndarray], np.ndarray], train: Sequence[Path], test: Sequence[Path], seconds: float = 30.0
) -> dict[str, dict[str, float]]:
    """Learn the tasks about vocals from some voices and try them on others; the labels of both are `sung_notes`.

    Args:
        encode, seconds: As of `probe_songs`.
        train, test: Audio files of solo voices, real ones or vocals of the band.

    Returns:
        As `probe_songs`, for `pitch_class` and `note_onset`.

    Raises:
        ValueError: in one of the files no note is heard.
    """

    def example(file: Path) -> tuple:
        audio, _ = _middle(file, seconds)
        notes = sung_notes(audio)
        if not notes:
            raise ValueError(f"no note is heard in {file}: leave it out of the probe")
        return encode(audio), {"notes": notes}, 0

    learnt, tried = [example(file) for file in train], [example(file) for file in test]
    return {
        task: _probe(_gather(learnt, label), _gather(tried, label))
        for task, (stem, label) in TASKS.items()
        if stem == "vocals"
    }


def sung_notes(vocals: np.ndarray) -> list[dict]:
    """The notes heard in a solo voice by pYIN (Mauch and Dixon, 2014): `start`, `end` (seconds) and `pitch` (MIDI).

    A note is at least 0.1 s nearest to one semitone (A is 440 Hz), with vibrato smoothed away by a running median of
    0.18 s, and voiced with a probability of at least 0.1 on average. A note sung again without a gap is not heard.

    Args:
        vocals: Mono audio [samples] at 16 kHz.
    """
    frequency, voiced, probability = librosa.pyin(
        vocals,
        fmin=librosa.note_to_hz("C2"),  # so that each semitone has the same five steps of 0.2 around it
        fmax=1050.0,
        sr=SAMPLING_RATE,
        frame_length=1024,
        hop_length=HOP,
        resolution=0.2,
        fill_na=None,
    )
    smooth = median_filter(librosa.hz_to_midi(frequency), VIBRATO_FRAMES, mode="nearest")
    semitones = np.where(voiced, np.round(smooth), -1).astype(int)
    edges = [0, *np.flatnonzero(np.diff(semitones)) + 1, len(semitones)]
    return [
        {"start": (first - 0.5) * FRAME_SECONDS, "end": (end - 0.5) * FRAME_SECONDS, "pitch": int(semitones[first])}
        for first, end in pairwise(edges)
        if semitones[first] >= 0
        and end - first >= SHORTEST_NOTE
        and probability[first:end].mean() >= VOICING_CONFIDENCE
    ]


def tracking_agreement(songs: Sequence[Path], seconds: float = 30.0) -> dict[str, float]:
    """How true the labels by `sung_notes` are, for songs of the band.

    Args:
        songs, seconds: As of `probe_songs`.

    Returns:
        Shares in [0, 1]: `pitch_class`, of the frames in a note both heard and true, those of the same pitch class;
        `coverage`, of the frames in a true note, those in a heard one; `onset_precision` and `onset_recall`, of the
        heard and of the true note onsets, those with a partner of the other kind within 40 ms.
    """
    classes, counts = [], []
    for song in songs:
        audio, first = _middle(song / "vocals.flac", seconds)
        frames, truth, heard = len(audio) // HOP, _truth(song), {"notes": sung_notes(audio)}
        classes.append([pitch_classes(truth, first + frames)[first:], pitch_classes(heard, frames)])
        true_onsets = np.array([note["start"] for note in truth["notes"]]) - first * FRAME_SECONDS
        true_onsets = true_onsets[(true_onsets >= 0) & (true_onsets < frames * FRAME_SECONDS)]
        heard_onsets = np.array([note["start"] for note in heard["notes"]])
        partners = mir_eval.util.match_events(true_onsets, heard_onsets, TOLERANCE)
        counts.append([len(partners), len(true_onsets), len(heard_onsets)])
    true, heard = np.concatenate(classes, axis=1)
    found, true_count, heard_count = np.sum(counts, axis=0)
    return {
        "pitch_class": float(np.mean((true == heard)[(true >= 0) & (heard >= 0)])),
        "coverage": float(np.mean(heard[true >= 0] >= 0)),
        "onset_precision": float(found / heard_count),
        "onset_recall": float(found / true_count),
    }


def _middle(file: Path, seconds: float) -> tuple[np.ndarray, int]:
    """The middle of a file, [samples] at 16 kHz, and at which frame of the file it begins."""
    audio = load_mono(file, None, SAMPLING_RATE)
    samples = round(seconds * SAMPLING_RATE)
    first = max(0, (len(audio) - samples) // 2 // HOP)
    return audio[first * HOP : first * HOP + samples], first


def _truth(song: Path) -> dict:
    return json.loads((song / "truth.json").read_text(encoding="utf-8"))


def _gather(examples: list[tuple[np.ndarray, dict, int]], label: Callable) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (tokens with those around them) and labels of all frames that have one.

    Each example is what `encode` gave, the truth of its file, and at which frame of the file it begins.
    """
    inputs, labels = [], []
    for frames, truth, first in examples:
        answers = label(truth, first + len(frames))[first:]
        inputs.append((_with_context(frames) if frames.ndim == 1 else frames)[answers >= 0])
        labels.append(answers[answers >= 0])
    return np.concatenate(inputs), np.concatenate(labels)


def _with_context(tokens: np.ndarray) -> np.ndarray:
    """Tokens [frames] beside those two before and after, [frames, 5]."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(tokens, REACH, mode="edge"), 2 * REACH + 1)


def _probe(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    (inputs, labels), (test_inputs, test_labels) = train, test
    tokens = np.issubdtype(inputs.dtype, np.integer)
    scaler = OneHotEncoder(handle_unknown="ignore", dtype=np.float32) if tokens else StandardScaler()
    inputs, test_inputs = scaler.fit_transform(inputs), scaler.transform(test_inputs)
    classifier = LogisticRegression(C=0.1, max_iter=200).fit(inputs, labels)
    if set(labels) <= {0, 1}:
        score = average_precision_score(test_labels, classifier.decision_function(test_inputs))
        chance = test_labels.mean()
    else:
        score = np.mean(classifier.predict(test_inputs) == test_labels)
        chance = np.mean(test_labels == np.bincount(labels).argmax())
    return {"score": float(score), "chance": float(chance), "frames": len(test_labels)}
