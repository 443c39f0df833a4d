# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""From features to numbers, each with the songs and the embeddings it stands on and its 95 % interval over songs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..adherence import Adherence, Track, measure_adherence
from ..bootstrap import Interval, bootstrap_interval
from ..frechet import (
    EmbeddingStatistics,
    accumulate,
    check_embeddings,
    expected_bias,
    frechet_audio_distance,
    frechet_distance,
    frechet_distance_infinity,
)
from ..kernel import kernel_audio_distance
from ..prompt_adherence import adherence_of_mixes


RESAMPLES = 200
PAIRING_RESAMPLES = 100  # for prompt adherence: four distances each, in the many dimensions of what hears content
SAMPLED_EMBEDDINGS = 20_000  # of each set that are held: more would not make the extrapolated distance much surer
KERNEL_EMBEDDINGS = 4000  # of those that a kernel distance looks at: it takes seconds, its bias does not depend on n


@dataclass(frozen=True)
class EmbeddedSet:
    """Embeddings of a set of clips: their statistics song by song, and an even sample of them [n, d]."""

    songs: dict[str, EmbeddingStatistics]
    sample: np.ndarray

    @classmethod
    def of(cls, clips: Iterable[tuple[str, np.ndarray]], count: int) -> "EmbeddedSet":
        """Takes in `count` clips, each the id of its song and its embeddings [n, d], one at a time."""
        songs, sample = {}, []
        for song, embeddings in clips:
            statistics = EmbeddingStatistics.of(embeddings)
            songs[song] = songs[song] + statistics if song in songs else statistics
            sample.append(evenly(embeddings, math.ceil(SAMPLED_EMBEDDINGS / count)))
        return cls(songs, check_embeddings(np.concatenate(sample)))

    @property
    def total(self) -> EmbeddingStatistics:
        return accumulate(self.songs.values())


def evenly(embeddings: np.ndarray, rows: int) -> np.ndarray:
    """At most `rows` of the embeddings, evenly spaced."""
    return embeddings[np.linspace(0, len(embeddings) - 1, min(rows, len(embeddings))).round().astype(int)]


def distances(reference: EmbeddedSet, generated: EmbeddedSet) -> dict[str, Any]:
    """Fréchet and kernel audio distance of a set to the reference set; see `results` for the keys.

    Warns (UserWarning) where the Fréchet distance is mostly bias. What cannot be computed gives `{"error": ...}`.
    """
    true, found = reference.total, generated.total
    try:
        frechet_audio_distance(true, found)  # for its warning
        interval = bootstrap_interval(
            list(generated.songs.values()),
            lambda songs: frechet_distance(true, accumulate(songs)),
            resamples=RESAMPLES,
        )
        kernel_samples = [evenly(part.sample, KERNEL_EMBEDDINGS) for part in (reference, generated)]
        return {
            "fad": as_json(interval),
            "fad_infinity": extrapolated(true, generated.sample),
            "embeddings": found.count,
            "dimension": len(found.mean),
            "bias": expected_bias(true, found),
            "kad": kernel_audio_distance(*kernel_samples),
            "kad_embeddings": len(kernel_samples[1]),
        }
    except ValueError as error:
        return {"error": str(error)}


def extrapolated(true: EmbeddingStatistics, sample: np.ndarray) -> dict[str, Any]:
    """FAD-infinity, or null and why there is none."""
    try:
        found = frechet_distance_infinity(true, sample)
    except ValueError as error:
        return {"value": None, "error": str(error)}
    return {"value": found.value, "standard_error": found.standard_error, "embeddings": found.count}


def gap(reference: EmbeddedSet, isolated: EmbeddedSet, separated: EmbeddedSet) -> dict[str, Any]:
    """FAD_s - FAD_i (paper, section 4.1), signed, over the songs that both sets have."""
    true = reference.total
    songs = [song for song in isolated.songs if song in separated.songs]

    def difference(songs: list[str]) -> float:
        with_separated, with_isolated = (
            frechet_distance(true, accumulate(part.songs[song] for song in songs)) for part in (separated, isolated)
        )
        return with_separated - with_isolated

    try:
        return as_json(bootstrap_interval(songs, difference, resamples=RESAMPLES))
    except ValueError as error:
        return {"error": str(error)}


def adherence(vocals: Sequence[Track], accompaniments: Sequence[Track], songs: Sequence[str]) -> dict[str, Any]:
    """Every measure of `hafm_hf.evaluation.adherence`, matched, shuffled and the difference."""
    measured = measure_adherence(vocals, accompaniments, songs=songs)
    return {name: adherence_as_json(result) for name, result in measured.items()}


def prompt_adherence(reference: dict[str, EmbeddedSet], played: dict[str, EmbeddedSet]) -> dict[str, Any]:
    """APA of what was played, by the "matched" and the "shuffled" mixes of the truth and of a system.

    What cannot be computed, or says nothing, gives `{"error": ...}`.
    """
    if "shuffled" not in played:
        return {"error": "prompt adherence shuffles accompaniments among songs and needs at least 2"}
    try:
        judged = (played[kind].songs.values() for kind in ("matched", "shuffled"))
        anchors = (reference[kind].total for kind in ("matched", "shuffled"))
        measured = adherence_of_mixes(*judged, *anchors, resamples=PAIRING_RESAMPLES)
    except ValueError as error:
        return {"error": str(error)}
    if {measured.matched.value, measured.shuffled.value} in ({0.0}, {1.0}):
        return {
            "error": "prompt adherence is at one end of its scale for matched and shuffled mixes alike, because to this "
            "embedder the system sounds further from the truth than shuffling makes a difference"
        }
    return adherence_as_json(measured)


def adherence_as_json(measured: Adherence) -> dict[str, Any]:
    return {part: as_json(getattr(measured, part)) for part in ("matched", "shuffled", "difference")}


def as_json(interval: Interval) -> dict[str, float | int | None]:
    """An interval as JSON knows it, with null for what is not defined."""
    numbers = {"value": interval.value, "low": interval.low, "high": interval.high}
    return {name: None if math.isnan(number) else float(number) for name, number in numbers.items()} | {
        "songs": interval.count
    }
