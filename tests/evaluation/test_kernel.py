# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import numpy as np
import pytest

from hafm_hf.evaluation import kernel
from hafm_hf.evaluation.kernel import kernel_audio_distance, median_bandwidth


def normal(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_equals_the_definition_pair_by_pair():
    x, y = normal((7, 3)), normal((5, 3), 1) + 1

    def k(a, b):
        return np.exp(-((a - b) ** 2).sum() / (2 * 1.7**2))

    within_x = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    across = np.mean([k(a, b) for a in x for b in y])
    assert kernel_audio_distance(x, y, bandwidth=1.7) == pytest.approx(
        100 * (within_x + within_y - 2 * across), rel=1e-12
    )


def test_is_unbiased_and_finds_the_closed_form_between_gaussians():
    d, sigma, shift = 8, 3.0, 1.0
    spread = (sigma**2 / (sigma**2 + 2)) ** (d / 2)
    truth = 100 * 2 * spread * (1 - np.exp(-(shift**2) / (2 * (sigma**2 + 2))))
    same, shifted = [], []
    for seed in range(100):
        x, y = normal((40, d), seed), normal((60, d), 1000 + seed)
        same.append(kernel_audio_distance(x, y, bandwidth=sigma))
        y[:, 0] += shift
        shifted.append(kernel_audio_distance(x, y, bandwidth=sigma))
    assert abs(np.mean(same)) < 3 * np.std(same) / 10
    assert np.mean(shifted) == pytest.approx(truth, abs=3 * np.std(shifted) / 10)


def test_does_not_depend_on_order_blocks_or_a_common_offset(monkeypatch):
    x, y = normal((50, 4)), normal((45, 4), 1) + 0.5
    expected = kernel_audio_distance(x, y)
    assert kernel_audio_distance(x[::-1], y[::-1]) == pytest.approx(expected, rel=1e-10)
    assert kernel_audio_distance(x + 1e7, y + 1e7) == pytest.approx(expected, rel=1e-5)
    monkeypatch.setattr(kernel, "BLOCK", 7)
    assert kernel_audio_distance(x, y) == pytest.approx(expected, rel=1e-10)


def test_the_bandwidth_is_the_references_alone():
    reference = np.array([[0.0], [1.0], [3.0]])
    assert median_bandwidth(reference) == 2
    wide = normal((30, 1)) * 100
    assert kernel_audio_distance(reference, wide) == kernel_audio_distance(reference, wide, bandwidth=2.0)


@pytest.mark.parametrize(
    ("reference", "generated", "message"),
    [
        (np.zeros((5, 2)), normal((5, 2)), "identical"),
        (normal((5, 2)), normal((1, 2)), "at least 2"),
        (normal((1, 2)), normal((5, 2)), "at least 2"),
        (normal((5, 2)), normal((5, 3)), "one embedder"),
        (normal((5, 2)), np.full((5, 2), np.inf), "NaN or infinite"),
    ],
)
def test_refuses_what_has_no_distance(reference, generated, message):
    with pytest.raises(ValueError, match=message):
        kernel_audio_distance(reference, generated)
