# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What the answers of a listening test say: how strong each system is, by the model of Bradley and Terry with ties.

Davidson ("On Extending the Bradley-Terry Model to Accommodate Ties in Paired Comparison Experiments", JASA 1970): with the
strengths s_i, all summing to zero, and a tie parameter t,

    p(i wins) : p(j wins) : p(tie) = exp(s_i) : exp(s_j) : exp(t + (s_i + s_j) / 2)

fitted by maximum likelihood with a normal prior of standard deviation 3 on the strengths, which keeps them finite where a
system always wins. Intervals resample songs: answers about one song are alike.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from ..bootstrap import Interval, bootstrap_interval


PRIOR_DEVIATION = 3.0
CHOICES = ("first", "second", "tie")


@dataclass(frozen=True)
class Answer:
    """One comparison: the two systems, which of them was preferred (None for a tie), and the song it was on."""

    first: str
    second: str
    preferred: str | None
    song: str


@dataclass(frozen=True)
class Strength:
    """How a system did.

    Attributes:
        strength: on the scale above; a difference of 1 means 73 wins to 27, leaving out ties.
        preferred: share of its comparisons in which it was preferred, a tie counted as half.
        answers: how many comparisons it took part in.
    """

    system: str
    strength: Interval
    preferred: float
    answers: int


def read_answers(key_path: Path, answer_paths: Iterable[Path]) -> list[Answer]:
    """The comparisons in files that listeners downloaded from the page.

    Raises:
        ValueError: a file cannot be read, or belongs to another test than the key.
    """
    key = _read(key_path, "test", "pairs")
    answers = []
    for path in answer_paths:
        given = _read(path, "test", "answers")
        if given["test"] != key["test"]:
            raise ValueError(f"{path} answers another test than that of {key_path}; use the key made with its page.")
        try:
            answers += [_answer(key["pairs"][int(number)], choice) for number, choice in given["answers"].items()]
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise ValueError(f"{path} holds an answer that the key does not know; download it again.") from error
    if not answers:
        raise ValueError("There are no answers; pass the files that listeners downloaded.")
    return answers


def _read(path: Path, *keys: str) -> dict:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return {key: content[key] for key in keys}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no file of a listening test with {' and '.join(keys)}.") from error


def _answer(pair: dict[str, str], choice: str) -> Answer:
    if choice not in CHOICES:
        raise ValueError(choice)
    return Answer(pair["first"], pair["second"], None if choice == "tie" else pair[choice], pair["song"])


def score(answers: Sequence[Answer], *, resamples: int = 500, seed: int = 0) -> list[Strength]:
    """Every system with its strength, the strongest first."""
    systems = sorted({name for answer in answers for name in (answer.first, answer.second)})
    songs = defaultdict(list)
    for answer in answers:
        songs[answer.song].append(answer)
    results = []
    # Resamples are the same for every system, so each is fitted once.
    fitted = {}

    def strength_of(system: str, resampled: list[list[Answer]]) -> float:
        drawn = tuple(map(id, resampled))
        if drawn not in fitted:
            fitted[drawn] = fit([answer for song in resampled for answer in song], systems)
        return fitted[drawn][system]

    for system in systems:
        interval = bootstrap_interval(
            list(songs.values()), lambda resampled, s=system: strength_of(s, resampled), resamples=resamples, seed=seed
        )
        own = [answer for answer in answers if system in (answer.first, answer.second)]
        points = sum(0.5 if answer.preferred is None else answer.preferred == system for answer in own)
        results.append(Strength(system, interval, points / len(own), len(own)))
    return sorted(results, key=lambda result: -result.strength.value)


def fit(answers: Sequence[Answer], systems: Sequence[str]) -> dict[str, float]:
    """The strengths of `systems`, summing to zero."""
    index = {system: number for number, system in enumerate(systems)}
    first, second = (np.array([index[getattr(answer, side)] for answer in answers]) for side in ("first", "second"))
    outcome = np.array([2 if a.preferred is None else int(a.preferred == a.second) for a in answers])

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        strengths, tie = parameters[:-1], parameters[-1]
        logits = np.stack([strengths[first], strengths[second], tie + (strengths[first] + strengths[second]) / 2])
        shifted = logits - logits.max(axis=0)
        probability = np.exp(shifted) / np.exp(shifted).sum(axis=0)
        chosen = probability[outcome, np.arange(len(outcome))]
        error = probability.copy()
        error[outcome, np.arange(len(outcome))] -= 1  # the gradient in the logits
        gradient = np.zeros_like(parameters)
        np.add.at(gradient, first, error[0] + error[2] / 2)
        np.add.at(gradient, second, error[1] + error[2] / 2)
        gradient[-1] = error[2].sum()
        penalty = (parameters**2).sum() / (2 * PRIOR_DEVIATION**2)
        return -np.log(chosen).sum() + penalty, gradient + parameters / PRIOR_DEVIATION**2

    found = minimize(loss, np.zeros(len(systems) + 1), jac=True, method="L-BFGS-B").x[:-1]
    return dict(zip(systems, (found - found.mean()).tolist(), strict=True))
