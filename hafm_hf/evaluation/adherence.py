# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Do accompaniments follow their vocals? Measures without weights, for matched pairs and against chance.

Chance is the same measure on shuffled pairs: any two pieces of music agree to some degree, so a number means something
only by its difference to that. Intervals resample songs.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from .bootstrap import Interval, bootstrap_interval
from .harmony import chord_agreement, chroma_agreement, key_agreement, pitch_in_chord
from .level import loudness_balance, silence_rate
from .rhythm import beat_f_measure, onset_correlation
from .track_features import Track


MEASURES: dict[str, Callable[..., float]] = {
    function.__name__: function
    for function in (
        onset_correlation,
        beat_f_measure,
        chroma_agreement,
        chord_agreement,
        key_agreement,
        pitch_in_chord,
        loudness_balance,
        silence_rate,
    )
}
CHANCE_PARTNERS = 20


@dataclass(frozen=True)
class Adherence:
    """One measure on matched pairs, on shuffled pairs (chance), and the mean difference between the two."""

    matched: Interval
    shuffled: Interval
    difference: Interval


def measure_adherence(
    references: Sequence[Any],
    accompaniments: Sequence[Any],
    sampling_rate: int | None = None,
    *,
    songs: Sequence[Hashable] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Adherence]:
    """All of `MEASURES` over a set of pairs.

    Args:
        references: one vocal, or one true accompaniment, per pair: mono arrays, paths or whatever `load_audio` reads, or
            `Track`s, which keep their features from one call to the next.
        accompaniments: what is judged, in the same order.
        sampling_rate: rate in Hz of the arrays.
        songs: the song each pair is a clip of. Clips of one song are never shuffled with each other, for they share its
            key and tempo, and are resampled together. Every pair is a song of its own unless given.

    Returns:
        One `Adherence` by name of measure. `Interval.count` is the number of songs in which the measure is defined;
        a single song has no chance and no interval (NaN).

    Raises:
        ValueError: the counts differ, there are no pairs, or a track cannot be used (see `Track`).
    """
    songs = check_pairs(references, accompaniments, songs)
    pairs = [
        (_analysed(reference, sampling_rate, sung=True), _analysed(accompaniment, sampling_rate, sung=False))
        for reference, accompaniment in tqdm(
            zip(references, accompaniments, strict=True), total=len(songs), desc="adherence", unit="pair"
        )
    ]
    partners = chance_partners(songs, CHANCE_PARTNERS, seed)
    results = {}
    for name, function in MEASURES.items():
        matched = np.array([function(*pair) for pair in pairs])
        shuffled = np.array(
            [
                _mean_of_defined([function(reference, pairs[other][1]) for other in others])
                for (reference, _), others in zip(pairs, partners, strict=True)
            ]
        )
        results[name] = Adherence(
            *(
                _interval_over_songs(values, songs, resamples, seed)
                for values in (matched, shuffled, matched - shuffled)
            )
        )
    return results


def check_pairs(references: Sequence, accompaniments: Sequence, songs: Sequence[Hashable] | None) -> list[Hashable]:
    """The song of each pair; ValueError where counts differ or there are no pairs."""
    count = len(references)
    if count == 0 or len(accompaniments) != count or (songs is not None and len(songs) != count):
        given = f"{count} references and {len(accompaniments)} accompaniments"
        given += "" if songs is None else f" of {len(songs)} songs"
        raise ValueError(f"there are {given}: each pair needs one of each, in the same order")
    return list(range(count) if songs is None else songs)


def chance_partners(songs: Sequence[Hashable], limit: int, seed: int) -> list[np.ndarray]:
    """For each pair up to `limit` random pairs of other songs."""
    generator = np.random.default_rng(seed)
    others = ([j for j, other in enumerate(songs) if other != song] for song in songs)
    return [generator.permutation(indices)[:limit].astype(int) for indices in others]


def _analysed(source: Any, sampling_rate: int | None, *, sung: bool) -> Track:
    if isinstance(source, Track):
        return source
    track = Track(source, sampling_rate)
    track.drop_audio(sung=sung)
    return track


def _mean_of_defined(values: Sequence[float]) -> float:
    defined = np.array(values)[~np.isnan(values)]
    return defined.mean() if len(defined) else float("nan")


def _interval_over_songs(values: np.ndarray, songs: list[Hashable], resamples: int, seed: int) -> Interval:
    by_song = defaultdict(list)
    for song, value in zip(songs, values, strict=True):
        if not np.isnan(value):
            by_song[song].append(value)
    if not by_song:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    return bootstrap_interval(
        list(by_song.values()), lambda clips: np.mean(np.concatenate(clips)), resamples=resamples, seed=seed
    )
