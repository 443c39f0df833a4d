# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`evaluate` module for the Fréchet audio distance; the work is done by `hafm_hf.evaluation.frechet`."""

import datasets
import evaluate

from hafm_hf.evaluation.frechet import frechet_audio_distance


class FrechetAudioDistance(evaluate.Metric):
    """Fréchet audio distance of generated embeddings to reference embeddings."""

    def _info(self):
        row = datasets.Sequence(datasets.Value("float64"))
        return evaluate.MetricInfo(
            description="Fréchet audio distance between two sets of embeddings.",
            citation="Kilgour et al., Fréchet Audio Distance, Interspeech 2019",
            inputs_description="predictions, references: embeddings [n, d] and [m, d] of one embedder.",
            features=datasets.Features({"predictions": row, "references": row}),
        )

    def compute(self, *, predictions=None, references=None, **kwargs):
        """Distance of `predictions` to `references`, of any two lengths, or of what `add_batch` collected (equal ones)."""
        if predictions is None:
            return super().compute(**kwargs)
        return self._compute(predictions, references, **kwargs)

    def _compute(self, predictions, references):
        return {"frechet_audio_distance": frechet_audio_distance(references, predictions), "count": len(predictions)}
