# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`evaluate` module for the adherence of accompaniments; the work is done by `hafm_hf.evaluation.adherence`."""

import datasets
import evaluate
import numpy as np

from hafm_hf.evaluation.adherence import measure_adherence


class AccompanimentAdherence(evaluate.Metric):
    """How far accompaniments follow their vocals, against chance."""

    def _info(self):
        audio = datasets.Sequence(datasets.Value("float32"))
        return evaluate.MetricInfo(
            description="Rhythm, harmony and level of accompaniments against their vocals, beyond chance.",
            citation="hafm_hf",
            inputs_description="predictions: accompaniments, mono samples. references: their vocals, or the true "
            "accompaniments. sampling_rate: of both, in Hz. songs: the song of each pair, if pairs are clips.",
            features=datasets.Features({"predictions": audio, "references": audio}),
        )

    def _compute(self, predictions, references, sampling_rate, songs=None):
        references, predictions = ([np.asarray(audio) for audio in column] for column in (references, predictions))
        results = measure_adherence(references, predictions, sampling_rate, songs=songs)
        return {
            f"{name}_{part}": getattr(adherence, part).value
            for name, adherence in results.items()
            for part in ("matched", "shuffled", "difference")
        }
