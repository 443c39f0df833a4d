# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import warnings

import numpy as np
import pytest
import scipy.linalg

from hafm_hf.evaluation.frechet import (
    EmbeddingStatistics,
    accumulate,
    expected_bias,
    frechet_audio_distance,
    frechet_distance,
    frechet_distance_infinity,
)


def gaussian(mean, covariance) -> EmbeddingStatistics:
    """The statistics of a set whose sample mean and covariance are exactly these."""
    return EmbeddingStatistics(1000, np.asarray(mean, float), np.asarray(covariance, float) * 999)


def normal(shape, seed=0, scale=1.0):
    return np.random.default_rng(seed).normal(size=shape) * scale


def test_equals_the_closed_form_for_commuting_covariances():
    rotation = np.linalg.qr(normal((5, 5)))[0]
    a, b = np.array([4.0, 1.0, 9.0, 0.25, 2.0]), np.array([1.0, 16.0, 4.0, 0.0, 2.0])
    mean = np.array([3.0, 0, 0, -4.0, 0])
    distance = frechet_distance(
        gaussian(np.zeros(5), rotation * a @ rotation.T), gaussian(mean, rotation * b @ rotation.T)
    )
    assert distance == pytest.approx(25 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-12)


def test_equals_the_matrix_square_root_where_that_is_accurate():
    x, y = normal((400, 24)) @ normal((24, 24), 1), normal((300, 24), 2) @ normal((24, 24), 3) + 0.5
    root = scipy.linalg.sqrtm(np.cov(x.T) @ np.cov(y.T)).real
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(np.cov(x.T) + np.cov(y.T) - 2 * root)
    assert frechet_audio_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_is_exact_for_rank_deficient_covariances():
    # Two lines at an angle in 50 dimensions: |cos| is all that is left of the root.
    u, v = np.eye(50)[0], np.eye(50)[0] * 0.6 + np.eye(50)[1] * 0.8
    distance = frechet_distance(gaussian(np.zeros(50), 4 * np.outer(u, u)), gaussian(np.zeros(50), 9 * np.outer(v, v)))
    assert distance == pytest.approx(4 + 9 - 2 * 2 * 3 * 0.6, rel=1e-12)


@pytest.mark.parametrize("count", [8, 500])
def test_a_set_has_no_distance_to_itself_and_distance_is_symmetric(count):
    x, y = map(EmbeddingStatistics.of, (normal((count, 32)), normal((count, 32), 1)))
    assert frechet_distance(x, x) < 1e-11
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)


def test_does_not_depend_on_order_batches_or_a_common_offset():
    x, y = normal((501, 16)), normal((300, 16), 1) + 0.3
    expected = frechet_audio_distance(x, y)
    batches = np.split(x[np.random.default_rng(2).permutation(501)], [1, 3, 200, 480])
    assert frechet_audio_distance(accumulate(batches), y) == pytest.approx(expected, rel=1e-10)
    # A one-pass sum of squares would lose the covariance under such a mean.
    assert frechet_audio_distance(accumulate(batch + 1e6 for batch in batches), y + 1e6) == pytest.approx(
        expected, rel=1e-5
    )
    assert frechet_audio_distance(x.astype(np.float32), y) == pytest.approx(expected, rel=1e-5)


def test_the_bias_to_expect_is_the_bias_measured():
    scale = 1 / np.sqrt(np.arange(1, 33))
    sets = [EmbeddingStatistics.of(normal((200, 32), seed, scale)) for seed in range(60)]
    measured = np.mean([frechet_distance(a, b) for a, b in zip(sets[::2], sets[1::2], strict=True)])
    assert expected_bias(sets[0], sets[1]) == pytest.approx(measured, rel=0.1)


def test_warns_of_the_bias_where_embeddings_are_fewer_than_dimensions():
    with pytest.warns(UserWarning, match=r"20 embeddings do not span 32 dimensions.*is bias"):
        frechet_audio_distance(normal((500, 32)), normal((20, 32), 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frechet_audio_distance(normal((500, 32)), normal((33, 32), 1))


def test_infinity_removes_the_bias_of_the_generated_set():
    reference = gaussian(np.zeros(24), np.eye(24))
    truth = 0.25
    plain, extrapolated = [], []
    for seed in range(8):
        generated = normal((300, 24), seed)
        generated[:, 0] += truth**0.5
        plain.append(frechet_audio_distance(reference, generated))
        extrapolated.append(frechet_distance_infinity(reference, generated))
    assert np.mean(plain) > truth + 0.4
    assert np.mean([result.value for result in extrapolated]) == pytest.approx(truth, abs=0.12)
    assert min(result.r2 for result in extrapolated) > 0.8
    assert extrapolated[0].count == 300


def test_the_standard_error_of_infinity_is_what_other_subsets_change():
    reference, generated = gaussian(np.zeros(16), np.eye(16)), normal((400, 16)) + 0.2
    found = [frechet_distance_infinity(reference, generated, seed=seed) for seed in range(12)]
    spread, stated = np.std([result.value for result in found]), np.mean([result.standard_error for result in found])
    assert stated / 4 < spread < 1.5 * stated


def test_infinity_needs_enough_embeddings():
    with pytest.raises(ValueError, match="at least 4 embeddings per dimension, 96 in all; this set has 95"):
        frechet_distance_infinity(normal((500, 24)), normal((95, 24)))


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        (np.full((5, 3), np.nan), "NaN or infinite"),
        (np.zeros((0, 3)), r"these are \[0, 3\]"),
        (np.zeros(3), r"these are \[3\]"),
        (np.zeros((1, 3)), "at least 2"),
        (np.zeros((5, 4)), "use one embedder for both"),
    ],
)
def test_refuses_what_has_no_distance(embeddings, message):
    with pytest.raises(ValueError, match=message):
        frechet_audio_distance(normal((50, 3)), embeddings)


def test_refuses_to_accumulate_nothing():
    with pytest.raises(ValueError, match="no embeddings"):
        accumulate([])
