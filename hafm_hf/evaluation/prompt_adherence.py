# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Accompaniment prompt adherence (APA): do mixes of vocal and accompaniment resemble true mixes or shuffled ones?

Grachten and Nistal, "Accompaniment Prompt Adherence: A Measure for Evaluating Music Accompaniment Systems", ICASSP
2025, with any embedder. "APA-style": without their whitening, so numbers compare only with others from here.
"""

from collections.abc import Hashable, Sequence
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
    scale = frechet_distance(matched, shuffled)
    if scale <= 1e-9 * np.trace(matched.covariance):
        raise ValueError(
            "the true mixes and the shuffled ones have the same embeddings: nothing to measure adherence by"
        )
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

    sets = {name: [] for name in ("true", "true shuffled", "judged", "judged shuffled")}
    partners = [others[0] for others in chance_partners(songs, 1, seed)]
    for i, partner in enumerate(tqdm(partners, desc="prompt adherence", unit="pair")):
        sets["true"].append(mixed(vocals[i], references[i]))
        sets["true shuffled"].append(mixed(vocals[i], references[partner]))
        sets["judged"].append(mixed(vocals[i], accompaniments[i]))
        sets["judged shuffled"].append(mixed(vocals[i], accompaniments[partner]))
    anchors = accumulate(sets["true"]), accumulate(sets["true shuffled"])

    clips_of_songs = [[i for i, other in enumerate(songs) if other == song] for song in dict.fromkeys(songs)]

    def adherence_of(name: str, resampled: list[list[int]]) -> float:
        return prompt_adherence(accumulate(sets[name][i] for clips in resampled for i in clips), *anchors)

    statistics = (
        lambda resampled: adherence_of("judged", resampled),
        lambda resampled: adherence_of("judged shuffled", resampled),
        lambda resampled: adherence_of("judged", resampled) - adherence_of("judged shuffled", resampled),
    )
    return Adherence(
        *(bootstrap_interval(clips_of_songs, statistic, resamples=resamples, seed=seed) for statistic in statistics)
    )
