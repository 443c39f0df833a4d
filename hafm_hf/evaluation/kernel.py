# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Kernel audio distance: an unbiased maximum mean discrepancy between two sets of embeddings.

Chung et al., "KAD: No More FAD! An Effective and Efficient Evaluation Metric for Audio Generation", ICML 2025, with the
Gaussian kernel and the bandwidth taken from the reference set, so that all systems are measured with one ruler.
"""

import numpy as np
from scipy.spatial.distance import pdist

from .frechet import check_embeddings


SCALE = 100  # the unit in which the distance is published: 100 squared MMDs
BANDWIDTH_SAMPLE = 4000  # reference embeddings looked at for the median: 8 million pairs, 64 MB
BLOCK = 1024  # rows of the kernel matrix held at a time


def median_bandwidth(reference: np.ndarray) -> float:
    """Median distance between two embeddings of the reference set [n, d], over at most 4000 evenly spaced rows.

    Raises:
        ValueError: fewer than two embeddings, NaN, or more than half of all pairs identical.
    """
    reference = check_embeddings(reference)
    if len(reference) < 2:
        raise ValueError("the bandwidth of a kernel audio distance needs at least 2 reference embeddings")
    rows = np.linspace(0, len(reference) - 1, min(len(reference), BANDWIDTH_SAMPLE)).round().astype(int)
    bandwidth = float(np.median(pdist(reference[rows])))
    if bandwidth == 0:
        raise ValueError(
            "most reference embeddings are identical, so the kernel has no bandwidth: is the audio silent?"
        )
    return bandwidth


def kernel_audio_distance(reference: np.ndarray, generated: np.ndarray, *, bandwidth: float | None = None) -> float:
    """100 x the unbiased squared MMD of two sets of embeddings [n, d] and [m, d], exact, in bounded memory.

    Zero on average for two samples of one distribution, whatever their size, so single values may be negative.

    Args:
        bandwidth: sigma of the kernel exp(-|x - y|^2 / (2 sigma^2)); `median_bandwidth(reference)` unless given.

    Raises:
        ValueError: the sets differ in d, hold NaN, or one holds a single embedding.
    """
    reference, generated = check_embeddings(reference), check_embeddings(generated)
    if reference.shape[1] != generated.shape[1]:
        raise ValueError(
            f"the reference has {reference.shape[1]} dimensions, the generated set {generated.shape[1]}: "
            "use one embedder for both"
        )
    if min(len(reference), len(generated)) < 2:
        raise ValueError("a kernel audio distance needs at least 2 embeddings on either side")
    sigma = median_bandwidth(reference) if bandwidth is None else bandwidth
    centre = reference.mean(axis=0)  # keeps |x|^2 + |y|^2 - 2 xy from cancelling
    x, y = (reference - centre) / sigma, (generated - centre) / sigma
    n, m = len(x), len(y)
    within_x = (_kernel_sum(x, x) - n) / (n * (n - 1))
    within_y = (_kernel_sum(y, y) - m) / (m * (m - 1))
    return float(SCALE * (within_x + within_y - 2 * _kernel_sum(x, y) / (n * m)))


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    y_squares = (y * y).sum(axis=1)
    total = 0.0
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK]
        squares = (block * block).sum(axis=1)[:, None] + y_squares - 2 * block @ y.T
        total += np.exp(-squares.clip(min=0) / 2).sum()
    return total
