# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Fréchet audio distance between two sets of embeddings, exact and in constant memory.

The distance is the 2-Wasserstein distance, squared, between the Gaussians fitted to the two sets
(Kilgour et al., "Fréchet Audio Distance: A Reference-Free Metric for Evaluating Music Enhancement Algorithms",
Interspeech 2019). It is biased upwards by about `slope / n`: print n beside it, or extrapolate to infinite n.
"""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class EmbeddingStatistics:
    """Count, mean and scatter of a set of embeddings; two of them add up to those of the union.

    Attributes:
        count: number of embeddings n.
        mean: [d], float64.
        scatter: [d, d], float64, sum of the outer products of the embeddings about their mean.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, embeddings: np.ndarray) -> "EmbeddingStatistics":
        """Statistics of one array of embeddings [n, d]; ValueError unless it is finite and n >= 1."""
        embeddings = check_embeddings(embeddings)
        mean = embeddings.mean(axis=0)
        centred = embeddings - mean
        return cls(len(embeddings), mean, centred.T @ centred)

    def __add__(self, other: "EmbeddingStatistics") -> "EmbeddingStatistics":
        """The union of two sets, by the pairwise update of Chan, Golub and LeVeque (1983)."""
        if self.mean.shape != other.mean.shape:
            raise ValueError(
                f"embeddings of {len(self.mean)} and of {len(other.mean)} dimensions do not compare: "
                "use one embedder for both sets"
            )
        count = self.count + other.count
        shift = other.mean - self.mean
        return EmbeddingStatistics(
            count,
            self.mean + shift * (other.count / count),
            self.scatter + other.scatter + np.outer(shift, shift) * (self.count * other.count / count),
        )

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased covariance [d, d]; ValueError for fewer than two embeddings."""
        if self.count < 2:
            raise ValueError("one embedding has no covariance: a Fréchet distance needs at least 2 on either side")
        return self.scatter / (self.count - 1)

    @cached_property
    def factor(self) -> np.ndarray:
        """F [d, d] with F F' the covariance; kept, since a reference meets many sets."""
        values, vectors = np.linalg.eigh(self.covariance)
        return vectors * np.sqrt(values.clip(min=0))


def check_embeddings(embeddings: np.ndarray) -> np.ndarray:
    """Embeddings [n, d] as float64; ValueError for another shape, for no embeddings and for NaN or infinity."""
    embeddings = np.asarray(embeddings, dtype=np.float64)
    if embeddings.ndim != 2 or embeddings.size == 0:
        raise ValueError(f"embeddings must be [n, d] with n >= 1, these are {list(embeddings.shape)}")
    if not np.isfinite(embeddings).all():
        raise ValueError("the embeddings hold NaN or infinite values: check the audio they were computed from")
    return embeddings


def accumulate(batches: Iterable[np.ndarray | EmbeddingStatistics]) -> EmbeddingStatistics:
    """Statistics of the union of any number of batches [n, d], holding one batch at a time.

    Raises:
        ValueError: there is no batch, or they differ in d.
    """
    total = None
    for batch in batches:
        statistics = _statistics(batch)
        total = statistics if total is None else total + statistics
    if total is None:
        raise ValueError("there are no embeddings to accumulate: the set is empty")
    return total


def _statistics(embeddings: np.ndarray | EmbeddingStatistics) -> EmbeddingStatistics:
    return embeddings if isinstance(embeddings, EmbeddingStatistics) else EmbeddingStatistics.of(embeddings)


def frechet_audio_distance(
    reference: np.ndarray | EmbeddingStatistics, generated: np.ndarray | EmbeddingStatistics
) -> float:
    """Fréchet audio distance of two sets of embeddings [n, d], or of their statistics.

    Warns (UserWarning) where a set has no more embeddings than dimensions, with the bias to expect.

    Raises:
        ValueError: the sets differ in d, hold NaN, or one holds a single embedding.
    """
    reference, generated = _statistics(reference), _statistics(generated)
    distance = frechet_distance(reference, generated)
    count, dimension = min(reference.count, generated.count), len(reference.mean)
    if count <= dimension:
        warnings.warn(
            f"{count} embeddings do not span {dimension} dimensions: of this Fréchet distance of {distance:.3g} about "
            f"{expected_bias(reference, generated):.2g} at least is bias; use more audio, or the kernel audio distance",
            stacklevel=2,
        )
    return distance


def frechet_distance(reference: EmbeddingStatistics, generated: EmbeddingStatistics) -> float:
    """|mean difference|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2)), exact for rank-deficient covariances too.

    With Si = Fi Fi', the trace of the root is the nuclear norm of F1' F2: no matrix square root is taken.

    Raises:
        ValueError: the sets differ in dimension, or one holds a single embedding.
    """
    if reference.mean.shape != generated.mean.shape:
        raise ValueError(
            f"the reference has {len(reference.mean)} dimensions, the generated set {len(generated.mean)}: "
            "use one embedder for both"
        )
    shift = reference.mean - generated.mean
    traces = np.trace(reference.covariance) + np.trace(generated.covariance)
    root_trace = np.linalg.svd(reference.factor.T @ generated.factor, compute_uv=False).sum()
    return max(float(shift @ shift + traces - 2 * root_trace), 0.0)


def expected_bias(reference: EmbeddingStatistics, generated: EmbeddingStatistics) -> float:
    """What two samples of these sizes from one Gaussian with the reference's covariance lie apart on average.

    The second-order expansion of the distance about equal covariances with eigenvalues l:
    (1/n1 + 1/n2) (sum_i l_i + 1/2 sum_ij l_i l_j (1 + [i = j]) / (l_i + l_j)).
    Within 10 % where both counts exceed 4 d; for smaller sets too low, for 2 d by a quarter, for d / 2 by a half.
    Embeddings of one track are alike, so sets of few tracks lie further apart than independent ones would.
    """
    values = np.linalg.eigvalsh(reference.covariance).clip(min=0)
    values = values[values > 0]
    pairs = np.outer(values, values) / np.add.outer(values, values)
    return float((1 / reference.count + 1 / generated.count) * (values.sum() + (pairs.sum() + np.trace(pairs)) / 2))


@dataclass(frozen=True)
class ExtrapolatedDistance:
    """FAD-infinity: the line FAD(n) = value + slope / n, and how well it fits (r2, 1 is perfectly).

    The standard error is that of the value in the fit: about what other random subsets would change. Other songs would
    change it as much as they would the plain distance.
    """

    value: float
    standard_error: float
    slope: float
    r2: float
    count: int


def frechet_distance_infinity(
    reference: np.ndarray | EmbeddingStatistics, generated: np.ndarray, *, points: int = 15, seed: int = 0
) -> ExtrapolatedDistance:
    """Fréchet distance extrapolated to infinitely many generated embeddings [n, d].

    Fits a line over 1 / n to the distances of random subsets of max(n / 4, 2 d) to n embeddings (Chong and Forsyth,
    "Effectively Unbiased FID and Inception Score", CVPR 2020; Gui et al., "Adapting Fréchet Audio Distance for
    Generative Music Evaluation", ICASSP 2024). The subsets are drawn without replacement: with it, every subset
    carries the bias of the whole set. The bias that the reference set brings stays.

    Raises:
        ValueError: fewer than 4 d generated embeddings: below 2 d the distance is no line over 1 / n.
    """
    reference, generated = _statistics(reference), check_embeddings(generated)
    count, dimension = generated.shape
    if count < 4 * dimension:
        raise ValueError(
            f"FAD-infinity needs at least 4 embeddings per dimension, {4 * dimension} in all; this set has {count}"
        )
    generator = np.random.default_rng(seed)
    inverse_counts = np.linspace(1 / count, 1 / max(count // 4, 2 * dimension), points)
    distances = [
        frechet_distance(
            reference, EmbeddingStatistics.of(generated[generator.permutation(count)[: round(1 / inverse)]])
        )
        for inverse in inverse_counts
    ]
    (slope, value), covariance = np.polyfit(inverse_counts, distances, 1, cov=True)
    residual = distances - (value + slope * inverse_counts)
    r2 = 1 - residual.var() / np.var(distances)
    return ExtrapolatedDistance(float(value), float(covariance[1, 1] ** 0.5), float(slope), float(r2), count)
