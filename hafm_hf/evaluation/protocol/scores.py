# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""From features to numbers, each with the songs and the embeddings it stands on and its 95 % interval over songs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..adherence import Track, measure_adherence
from ..bootstrap import Interval, bootstrap_interval
from ..frechet import (
    EmbeddingStatistics,
    accumulate,
    check_embeddings,
    expected_bias,
    frechet_audio_distance,
    frechet_distance,
)
from ..kernel import kernel_audio_distance


RESAMPLES = 200
KERNEL_EMBEDDINGS = (
    4000  # of each set that a kernel distance looks at: it takes seconds, and its bias does not depend on n
)


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
            rows = min(len(embeddings), math.ceil(KERNEL_EMBEDDINGS / count))
            sample.append(embeddings[np.linspace(0, len(embeddings) - 1, rows).round().astype(int)])
        return cls(songs, check_embeddings(np.concatenate(sample)))

    @property
    def total(self) -> EmbeddingStatistics:
        return accumulate(self.songs.values())


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
        return {
            "fad": as_json(interval),
            "embeddings": found.count,
            "dimension": len(found.mean),
            "bias": expected_bias(true, found),
            "kad": kernel_audio_distance(reference.sample, generated.sample),
            "kad_embeddings": len(generated.sample),
        }
    except ValueError as error:
        return {"error": str(error)}


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
    return {
        name: {part: as_json(getattr(result, part)) for part in ("matched", "shuffled", "difference")}
        for name, result in measured.items()
    }


def as_json(interval: Interval) -> dict[str, float | int | None]:
    """An interval as JSON knows it, with null for what is not defined."""
    numbers = {"value": interval.value, "low": interval.low, "high": interval.high}
    return {name: None if math.isnan(number) else float(number) for name, number in numbers.items()} | {
        "songs": interval.count
    }
