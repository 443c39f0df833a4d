# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import itertools
import json

import numpy as np
import pytest

from hafm_hf.evaluation.listening_test.score import Answer, fit, read_answers, score


def simulate(strengths, tie, count, seed=0):
    """Answers of listeners who choose as the model says, `count` for every two systems, on 20 songs."""
    generator = np.random.default_rng(seed)
    answers = []
    for first, second in itertools.combinations(strengths, 2):
        weights = np.exp([strengths[first], strengths[second], tie + (strengths[first] + strengths[second]) / 2])
        for choice in generator.choice(3, size=count, p=weights / weights.sum()):
            answers.append(Answer(first, second, (first, second, None)[choice], str(generator.integers(20))))
    return answers


STRENGTHS = {"truth": 1.5, "hafm": 0.5, "retrieval": -0.5, "noise": -1.5}


def test_strengths_of_simulated_listeners_are_found():
    found = fit(simulate(STRENGTHS, tie=0.3, count=4000), list(STRENGTHS))
    assert found == pytest.approx(STRENGTHS, abs=0.1)
    assert sum(found.values()) == pytest.approx(0, abs=1e-9)


def test_intervals_hold_the_true_strength_about_as_often_as_they_say():
    hits = [
        result.strength.low <= STRENGTHS[result.system] <= result.strength.high
        for seed in range(15)
        for result in score(simulate(STRENGTHS, 0.3, 60, seed), resamples=60)
    ]
    assert 0.8 < np.mean(hits) <= 1.0


def test_the_strongest_comes_first_with_its_share_of_preferences():
    answers = [
        Answer("a", "b", "b", "1"),
        Answer("b", "a", "b", "2"),
        Answer("a", "b", None, "3"),
        Answer("a", "b", "a", "4"),
    ]
    first, second = score(answers, resamples=20)
    assert (first.system, first.preferred, first.answers) == ("b", 0.625, 4)
    assert (second.system, second.preferred) == ("a", 0.375)
    assert first.strength.value == -second.strength.value > 0


def test_only_ties_mean_equal_and_only_wins_stay_finite():
    ties = fit([Answer("a", "b", None, "1")] * 50, ["a", "b"])
    assert ties["a"] == pytest.approx(0, abs=1e-4)
    wins = fit([Answer("a", "b", "a", "1")] * 50, ["a", "b"])
    assert 2 < wins["a"] - wins["b"] < 20


def test_answers_are_read_by_their_key(tmp_path):
    pairs = [
        {"clip": "c", "song": "s", "first": "a", "second": "b"},
        {"clip": "d", "song": "t", "first": "b", "second": "a"},
    ]
    key, answers = tmp_path / "key.json", tmp_path / "answers.json"
    key.write_text(json.dumps({"test": "1", "pairs": pairs}))
    answers.write_text(json.dumps({"test": "1", "answers": {"1": "first", "0": "tie"}}))
    assert read_answers(key, [answers]) == [Answer("b", "a", "b", "t"), Answer("a", "b", None, "s")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"test": "2", "answers": {}}, "answers.json answers another test than that of .*key.json"),
        ({"test": "1", "answers": {"7": "first"}}, "answers.json holds an answer that the key does not know"),
        ({"test": "1", "answers": {"0": "loud"}}, "answers.json holds an answer that the key does not know"),
        ({"test": "1", "answers": {}}, "There are no answers"),
        ([], "answers.json is no file of a listening test"),
    ],
)
def test_answers_that_do_not_fit_are_one_sentence(tmp_path, content, message):
    key, answers = tmp_path / "key.json", tmp_path / "answers.json"
    key.write_text(json.dumps({"test": "1", "pairs": [{"song": "s", "first": "a", "second": "b"}]}))
    answers.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        read_answers(key, [answers])
