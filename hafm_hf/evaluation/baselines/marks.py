# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The marks between which scores lie: the truth, the truth as far as the codec can say it, and noise."""

from collections.abc import Sequence

import numpy as np
import torch

from ...modeling.audio_hafm import resample
from ...modeling.loudness_hafm import match_loudness
from ...modeling.processing_hafm import HafmProcessor
from .base import AccompanimentSystem, CannotAccompany, EvaluationClip


class Truth(AccompanimentSystem):
    """The true accompaniment."""

    name = "truth"

    def accompany(self, clips: Sequence[EvaluationClip]) -> list[np.ndarray]:
        return [true_accompaniment(clip) for clip in clips]


class CodecCeiling(AccompanimentSystem):
    """The true accompaniment, encoded and decoded: the best that a model of the codec's tokens can do."""

    name = "codec"

    def __init__(self, processor: HafmProcessor):
        self.processor = processor

    def accompany(self, clips: Sequence[EvaluationClip]) -> list[np.ndarray]:
        return [self._code(clip) for clip in clips]

    @torch.no_grad()
    def _code(self, clip: EvaluationClip) -> np.ndarray:
        rate = self.processor.sampling_rate
        audio = resample(true_accompaniment(clip), clip.sampling_rate, rate)
        inputs = self.processor.codec_feature_extractor(audio, sampling_rate=rate, return_tensors="pt")
        codes = self.processor.audio_tokenizer.encode_acoustic(**inputs)
        return clip.fit(self.processor.decode(codes[0], len(audio)), rate)


class Noise(AccompanimentSystem):
    """White noise as loud as the vocal."""

    name = "noise"

    def accompany(self, clips: Sequence[EvaluationClip]) -> list[np.ndarray]:
        return [self._noise(clip) for clip in clips]

    def _noise(self, clip: EvaluationClip) -> np.ndarray:
        noise = 0.1 * clip.generator().standard_normal(len(clip.vocal), dtype=np.float32)
        return match_loudness(noise, clip.vocal, clip.sampling_rate)


def true_accompaniment(clip: EvaluationClip) -> np.ndarray:
    if clip.accompaniment is None:
        raise CannotAccompany(f"The true accompaniment of {clip.id} is not known; leave out what needs it.")
    return clip.accompaniment
