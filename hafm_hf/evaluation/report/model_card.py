# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Results as entries of a model card, which the Hub shows beside the model."""

from typing import Any

from huggingface_hub import EvalResult

from ..protocol.results import LEVELS
from .table import distance_of


def card_results(results: dict[str, Any], system: str) -> list[EvalResult]:
    """The entries of `system`, for `ModelCardData(eval_results=..., model_name=...)`.

    Distances of mixes and instrumentals for each condition, and how far isolated vocals are followed beyond chance. Every
    entry carries its embedder, its interval, its songs and what it is a distance to as `metric_args`.

    Args:
        results: as `read_results` gives them.
        system: the name of one of their systems.

    Raises:
        ValueError: there is no such system.
    """
    if system not in results["systems"]:
        raise ValueError(f"There are no results of {system!r}; there are of {', '.join(results['systems'])}.")
    entry = results["systems"][system]
    found = []
    for condition in entry["conditions"]:
        for kind in ("mix", "instrumental"):
            distance = distance_of(entry, condition, kind)
            if "fad" in distance:
                about = {"reference": results["reference"], "embeddings": distance["embeddings"]}
                name = f"FAD, {kind}, {condition} vocals ({results['embedder']})"
                found.append(_entry(results, "frechet_audio_distance", name, distance["fad"], about))
    adherence = entry["conditions"].get("isolated", {}).get("adherence", {})
    for measure, parts in adherence.items():
        part = "matched" if measure in LEVELS else "difference"
        if parts[part]["value"] is not None:
            name = f"{measure.replace('_', ' ')}{'' if part == 'matched' else ' above chance'}"
            found.append(_entry(results, measure, name, parts[part], {}))
    return found


def _entry(
    results: dict[str, Any], metric: str, name: str, interval: dict[str, Any], about: dict[str, Any]
) -> EvalResult:
    test_set = results["test_set"]
    return EvalResult(
        task_type="audio-to-audio",
        task_name="vocal accompaniment",
        dataset_type=test_set["name"].lower().replace(" ", "-"),
        dataset_name=f"{test_set['name']} ({test_set['clips']} clips of {test_set['songs']} songs)",
        metric_type=metric,
        metric_name=name,
        metric_value=interval["value"],
        metric_args={"interval_95": [interval["low"], interval["high"]], "songs": interval["songs"]} | about,
    )
