# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""How much a linear probe finds in semantic tokens, or in the features they are clusters of: what is sung and played.

Of each frame of 20 ms it tells, for songs whose truth is known (those of the built-in band):

* `pitch_class` of the note sung, where one is, and `note_onset`, within 40 ms, from the vocals;
* `chord`, the root and whether its third is major or minor, and `beat`, within 40 ms, from the accompaniment.

A probe is a logistic regression on standardised features, or on tokens of the frame and two on either side, one-hot.
Songs are either learnt from or tested on, never both.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from .audio_input import load_mono


SAMPLING_RATE = 16_000
FRAME_SECONDS, FRAME_CENTRE = 0.02, 0.0125  # of HuBERT: 25 ms long, one every 20 ms
TOLERANCE = 0.04
REACH = 2


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
    encoded = {
        (song, stem): _encode_stem(encode, song / f"{stem}.flac", seconds)
        for song in (*train, *test)
        for stem in ("vocals", "accompaniment")
    }
    return {
        task: _probe(*(_gather([(song, *encoded[song, stem]) for song in songs], label) for songs in (train, test)))
        for task, (stem, label) in TASKS.items()
    }


def _encode_stem(encode: Callable, file: Path, seconds: float) -> tuple[np.ndarray, int]:
    """What `encode` gives for the middle of a file, and at which frame of the file that begins."""
    audio = load_mono(file, None, SAMPLING_RATE)
    hop = round(FRAME_SECONDS * SAMPLING_RATE)
    first = max(0, (len(audio) - round(seconds * SAMPLING_RATE)) // 2 // hop)
    return encode(audio[first * hop : first * hop + round(seconds * SAMPLING_RATE)]), first


def _gather(songs: list[tuple[Path, np.ndarray, int]], label: Callable) -> tuple:
    """Inputs (tokens with those around them) and labels of all frames that have one."""
    inputs, labels = [], []
    for song, frames, first in songs:
        truth = json.loads((song / "truth.json").read_text(encoding="utf-8"))
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
