# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import numpy as np
import pytest

from hafm_hf.evaluation.bootstrap import Interval
from hafm_hf.evaluation.frechet import EmbeddingStatistics
from hafm_hf.evaluation.protocol.scores import (
    SAMPLED_EMBEDDINGS,
    EmbeddedSet,
    as_json,
    distances,
    gap,
    prompt_adherence,
)


def embedded(shift=0.0, songs=6, seed=0, count=40):
    generator = np.random.default_rng(seed)
    clips = [(str(number // 2), generator.normal(shift, size=(count, 4))) for number in range(2 * songs)]
    return EmbeddedSet.of(clips, len(clips))


def test_a_set_has_the_statistics_of_all_its_embeddings_and_an_even_sample():
    generator = np.random.default_rng(0)
    clips = [(str(number % 3), generator.normal(size=(2900, 4))) for number in range(10)]
    found = EmbeddedSet.of(clips, len(clips))
    whole = EmbeddingStatistics.of(np.concatenate([embeddings for _, embeddings in clips]))
    assert found.total.count == whole.count == sum(song.count for song in found.songs.values())
    assert found.total.scatter == pytest.approx(whole.scatter)
    assert list(found.songs) == ["0", "1", "2"]
    assert len(found.sample) == SAMPLED_EMBEDDINGS


def test_distances_grow_with_the_difference_and_lie_in_their_interval():
    reference = embedded()
    same, near, far = (distances(reference, embedded(shift, seed=1)) for shift in (0.0, 1.0, 2.0))
    assert same["fad"]["value"] < near["fad"]["value"] < far["fad"]["value"]
    assert same["kad"] < near["kad"] < far["kad"]
    assert near["fad"]["low"] < near["fad"]["value"] < near["fad"]["high"]
    assert near["fad"]["value"] == pytest.approx(4.0, rel=0.2)  # |shift|^2 in four dimensions
    assert (near["fad"]["songs"], near["embeddings"], near["dimension"]) == (6, 480, 4)
    assert same["fad"]["value"] < 3 * same["bias"]


def test_the_extrapolated_distance_is_without_the_bias_of_the_set():
    reference = embedded(songs=40, count=200)
    found = distances(reference, embedded(songs=6, seed=1, count=4))
    assert found["fad_infinity"]["value"] == pytest.approx(0, abs=0.15)
    assert found["fad"]["value"] > found["fad_infinity"]["value"] + 0.5 * found["bias"]
    assert found["fad_infinity"]["standard_error"] > 0 and found["fad_infinity"]["embeddings"] == 48


def test_too_few_embeddings_to_extrapolate_are_null_and_a_sentence():
    found = distances(embedded(), embedded(songs=1, count=7))
    assert found["fad"]["value"] > 0
    assert found["fad_infinity"]["value"] is None
    assert "at least 4 embeddings per dimension, 16 in all; this set has 14" in found["fad_infinity"]["error"]


def test_prompt_adherence_runs_from_shuffled_to_true_mixes():
    truth = {"matched": embedded(), "shuffled": embedded(1.0)}
    found = prompt_adherence(truth, truth)
    assert (found["matched"]["value"], found["shuffled"]["value"]) == pytest.approx((1, 0))
    assert found["difference"]["songs"] == 6 and found["difference"]["low"] > 0.5
    half = prompt_adherence(truth, {"matched": embedded(0.5), "shuffled": embedded(1.0)})
    assert half["matched"]["value"] == pytest.approx(0.5, abs=0.1)
    assert half["matched"]["low"] < half["matched"]["value"] < half["matched"]["high"]


def test_prompt_adherence_that_says_nothing_is_a_sentence():
    truth = {"matched": embedded(), "shuffled": embedded(0.1)}
    far = {"matched": embedded(9.0), "shuffled": embedded(9.1)}
    assert "at one end of its scale for matched and shuffled" in prompt_adherence(truth, far)["error"]
    assert "nothing to measure adherence by" in prompt_adherence(truth | {"shuffled": truth["matched"]}, far)["error"]
    assert "needs at least 2" in prompt_adherence(truth, {"matched": embedded(songs=1)})["error"]


def test_the_distance_of_a_set_to_itself_is_zero():
    reference = embedded()
    assert distances(reference, reference)["fad"]["value"] == pytest.approx(0, abs=1e-12)


def test_the_gap_is_signed_and_over_the_songs_that_both_have():
    reference, better, worse = embedded(), embedded(0.5, seed=1), embedded(1.0, seed=2, songs=4)
    found = gap(reference, better, worse)
    assert found["songs"] == 4
    assert 0 < found["low"] < found["value"] < found["high"]
    assert gap(reference, worse, better)["value"] == pytest.approx(-found["value"])


def test_too_few_embeddings_warn_with_the_bias_and_a_single_one_is_an_error_that_is_kept():
    reference = embedded()
    with pytest.warns(UserWarning, match="2 embeddings do not span 4 dimensions: .* is bias"):
        assert distances(reference, embedded(songs=1, count=1))["fad"]["low"] is None  # one song has no interval
    one = EmbeddedSet.of([("0", np.zeros((1, 4)))], 1)
    assert "needs at least 2" in distances(reference, one)["error"]
    assert "there is none" in gap(reference, one, EmbeddedSet({}, one.sample))["error"]


def test_what_is_not_defined_is_null():
    assert as_json(Interval(0.5, float("nan"), float("nan"), 1)) == {
        "value": 0.5,
        "low": None,
        "high": None,
        "songs": 1,
    }
