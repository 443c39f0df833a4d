# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
from pathlib import Path

import evaluate
import numpy as np
import pytest

import hafm_hf.evaluation.frechet
from hafm_hf.evaluation.adherence import measure_adherence
from hafm_hf.evaluation.frechet import frechet_audio_distance
from hafm_hf.evaluation.kernel import kernel_audio_distance


METRICS = Path(hafm_hf.evaluation.frechet.__file__).parent / "metrics"


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate.config, "HF_MODULES_CACHE", str(folder / "modules"))
        yield lambda name: evaluate.load(str(METRICS / name), cache_dir=str(folder / "cache"))


@pytest.mark.parametrize(
    ("name", "function"),
    [("frechet_audio_distance", frechet_audio_distance), ("kernel_audio_distance", kernel_audio_distance)],
)
def test_distances_take_sets_of_any_two_sizes_or_batch_by_batch(load, name, function):
    generator = np.random.default_rng(0)
    generated, reference = generator.normal(size=(40, 4)), generator.normal(size=(60, 4))
    metric = load(name)
    assert metric.compute(predictions=generated, references=reference) == {
        name: pytest.approx(function(reference, generated)),
        "count": 40,
    }
    for rows in (slice(0, 10), slice(10, 40)):
        metric.add_batch(predictions=generated[rows], references=reference[rows])
    assert metric.compute()[name] == pytest.approx(function(reference[:40], generated))


def test_adherence_is_that_of_the_functions(load, songs):
    vocals, bands = [song.vocal for song in songs[:2]], [song.band for song in songs[:2]]
    results = load("accompaniment_adherence").compute(predictions=bands, references=vocals, sampling_rate=16_000)
    expected = measure_adherence(vocals, bands, 16_000)
    assert results["pitch_in_chord_matched"] == pytest.approx(expected["pitch_in_chord"].matched.value)
    assert results["chroma_agreement_difference"] == pytest.approx(expected["chroma_agreement"].difference.value)
