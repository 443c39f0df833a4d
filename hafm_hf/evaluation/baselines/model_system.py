# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A model as a system under test: HAFM, or whatever else speaks the tokens of a `HafmProcessor`."""

from collections.abc import Sequence

import numpy as np

from ...modeling.audio_hafm import resample
from ...modeling.loudness_hafm import PeakLimiter
from ...modeling.processing_hafm import HafmProcessor
from .base import AccompanimentSystem, EvaluationClip


class ModelSystem(AccompanimentSystem):
    """Accompanies clips as one batch, each with random numbers of its own, with peaks limited as the pipeline's are.

    Args:
        name: what tables call it.
        model: a `HafmModel`, a `SingSongForAccompaniment`, or anything with their `generate`.
        processor: of the tokens that the model was trained on.
        generate_kwargs: of `model.generate`.
    """

    def __init__(self, name: str, model, processor: HafmProcessor, **generate_kwargs):
        self.name = name
        self.model, self.processor = model.eval(), processor
        self.generate_kwargs = generate_kwargs
        processor.audio_tokenizer.to(model.device)

    def accompany(self, clips: Sequence[EvaluationClip]) -> list[np.ndarray]:
        rate = self.processor.sampling_rate
        vocals = [resample(clip.vocal, clip.sampling_rate, rate) for clip in clips]
        inputs = self.processor(audio=vocals, sampling_rate=rate)
        seeds = [int(clip.generator().integers(2**31)) for clip in clips]
        codes = self.model.generate(**inputs, seed=seeds, **self.generate_kwargs).codes
        waveforms = self.processor.batch_decode(codes, lengths=[len(vocal) for vocal in vocals])
        limited = [PeakLimiter(rate)(waveform) for waveform in waveforms]
        return [clip.fit(waveform, rate) for clip, waveform in zip(clips, limited, strict=True)]
