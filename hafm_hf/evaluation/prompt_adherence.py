# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Accompaniment prompt adherence (APA): do mixes of vocal and accompaniment resemble true mixes or shuffled ones?

Grachten and Nistal, "Accompaniment Prompt Adherence: A Measure for Evaluating Music Accompaniment Systems", ICASSP
2025, with any embedder. "APA-style": without their whitening, so numbers compare only with others from here.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from functools import cache
from typing import Any

import numpy as np
from tqdm import tqdm

from ..modeling.loudness_hafm import mix
from .adherence import Adherence, chance_partners, check_pairs
from .audio_input import load_mono
from .bootstrap import bootstrap_interval
from .embedders import Embedder
from .frechet import EmbeddingStatistics, accumulate, frechet_distance


def prompt_adherence(
    candidate: EmbeddingStatistics, matched: EmbeddingStatistics, shuffled: EmbeddingStatistics
) -> float:
    """APA in [0, 1] of the mixes of a system, given true mixes and mixes of shuffled true pairs.

    1/2 + (FAD(candidate, shuffled) - FAD(candidate, matched)) / (2 FAD(matched, shuffled)), clipped: 1 where the mixes
    are as the true ones, 0 where they are as shuffled ones.

    Raises:
        ValueError: matched and shuffled mixes do not differ, so there is no scale, or dimensions do.
    """
    return _between(candidate, matched, shuffled, _scale(matched, shuffled))


def _scale(matched: EmbeddingStatistics, shuffled: EmbeddingStatistics) -> float:
    scale = frechet_distance(matched, shuffled)
    if scale <= 1e-9 * np.trace(matched.covariance):
        raise ValueError(
            "the true mixes and the shuffled ones have the same embeddings: nothing to measure adherence by"
        )
    return scale


def _between(
    candidate: EmbeddingStatistics, matched: EmbeddingStatistics, shuffled: EmbeddingStatistics, scale: float
) -> float:
    nearer = frechet_distance(shuffled, candidate) - frechet_distance(matched, candidate)
    return float(np.clip(0.5 + nearer / (2 * scale), 0, 1))


def measure_prompt_adherence(
    vocals: Sequence[Any],
    references: Sequence[Any],
    accompaniments: Sequence[Any],
    embedder: Embedder,
    sampling_rate: int | None = None,
    *,
    songs: Sequence[Hashable] | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> Adherence:
    """APA of `accompaniments` and, as chance, of the same shuffled among the vocals.

    Args:
        vocals: one per pair: mono arrays, paths or whatever `load_audio` reads.
        references: their true accompaniments.
        accompaniments: what is judged.
        sampling_rate: rate in Hz of the arrays.
        songs: the song each pair is a clip of; clips of one song are not shuffled with each other.

    Raises:
        ValueError: the counts differ, fewer than two songs, or audio that cannot be used.
    """
    songs = check_pairs(vocals, references, songs)
    check_pairs(vocals, accompaniments, songs)
    if len(set(songs)) < 2:
        raise ValueError("prompt adherence shuffles accompaniments among songs and needs at least 2")

    def mixed(vocal: Any, accompaniment: Any) -> EmbeddingStatistics:
        tracks = [load_mono(source, sampling_rate, embedder.sampling_rate) for source in (vocal, accompaniment)]
        length = min(map(len, tracks))
        mixture = mix(*(track[:length] for track in tracks), embedder.sampling_rate)
        return EmbeddingStatistics.of(embedder(mixture, embedder.sampling_rate))

    sets = {name: defaultdict(list) for name in ("true", "true shuffled", "judged", "judged shuffled")}
    for i, (partner, *_) in enumerate(tqdm(chance_partners(songs, 1, seed), desc="prompt adherence", unit="pair")):
        sets["true"][songs[i]].append(mixed(vocals[i], references[i]))
        sets["true shuffled"][songs[i]].append(mixed(vocals[i], references[partner]))
        sets["judged"][songs[i]].append(mixed(vocals[i], accompaniments[i]))
        sets["judged shuffled"][songs[i]].append(mixed(vocals[i], accompaniments[partner]))
    true, true_shuffled, *judged = ([accumulate(clips) for clips in by_song.values()] for by_song in sets.values())
    return adherence_of_mixes(*judged, accumulate(true), accumulate(true_shuffled), resamples=resamples, seed=seed)


def adherence_of_mixes(
    judged: Sequence[EmbeddingStatistics],
    judged_shuffled: Sequence[EmbeddingStatistics],
    true: EmbeddingStatistics,
    true_shuffled: EmbeddingStatistics,
    *,
    resamples: int = 200,
    seed: int = 0,
) -> Adherence:
    """APA of the mixes of a system and, as chance, of its accompaniments mixed with the vocals of other songs.

    A system that sounds unlike the true accompaniments is far from true and from shuffled mixes alike; what it owes to
    hearing the vocal is the difference between the two.

    Args:
        judged, judged_shuffled: a system's mixes, song by song in the same order.
        true, true_shuffled: all mixes of the true accompaniments.

    Raises:
        ValueError: as `prompt_adherence`.
    """

    scale = _scale(true, true_shuffled)
    pairs = list(zip(judged, judged_shuffled, strict=True))

    @cache  # three intervals of the same draws
    def values(songs: tuple[int, ...]) -> tuple[float, ...]:
        return tuple(
            _between(accumulate(mixes), true, true_shuffled, scale)
            for mixes in zip(*(pairs[song] for song in songs), strict=True)
        )

    statistics = (
        lambda songs: values(tuple(songs))[0],
        lambda songs: values(tuple(songs))[1],
        lambda songs: values(tuple(songs))[0] - values(tuple(songs))[1],
    )
    songs = range(len(pairs))
    return Adherence(
        *(bootstrap_interval(songs, statistic, resamples=resamples, seed=seed) for statistic in statistics)
    )
