# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`evaluate` module for the kernel audio distance; the work is done by `hafm_hf.evaluation.kernel`."""

import datasets
import evaluate

from hafm_hf.evaluation.kernel import kernel_audio_distance


class KernelAudioDistance(evaluate.Metric):
    """Kernel audio distance of generated embeddings to reference embeddings."""

    def _info(self):
        row = datasets.Sequence(datasets.Value("float64"))
        return evaluate.MetricInfo(
            description="Kernel audio distance (100 x unbiased squared MMD) between two sets of embeddings.",
            citation="Chung et al., KAD: No More FAD!, ICML 2025",
            inputs_description="predictions, references: embeddings [n, d] and [m, d] of one embedder. bandwidth: of the "
            "kernel, the references' median distance unless given.",
            features=datasets.Features({"predictions": row, "references": row}),
        )

    def compute(self, *, predictions=None, references=None, **kwargs):
        """Distance of `predictions` to `references`, of any two lengths, or of what `add_batch` collected (equal ones)."""
        if predictions is None:
            return super().compute(**kwargs)
        return self._compute(predictions, references, **kwargs)

    def _compute(self, predictions, references, bandwidth=None):
        distance = kernel_audio_distance(references, predictions, bandwidth=bandwidth)
        return {"kernel_audio_distance": distance, "count": len(predictions)}
