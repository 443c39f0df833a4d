# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The one door through which audio enters the evaluation: mono, checked, at the rate a measure works at."""

from typing import Any

import numpy as np

from ..modeling.audio_hafm import load_audio, resample, to_mono


def load_mono(source: Any, sampling_rate: int | None, target_rate: int) -> np.ndarray:
    """Whatever `load_audio` reads (a path, samples with their rate, ...) as mono float32 [samples] at `target_rate`.

    Raises:
        ValueError: the audio cannot be read, is empty, shorter than 0.05 s or not finite, or its rate is missing.
    """
    clip = load_audio(source, sampling_rate)
    return resample(to_mono(clip.waveform), clip.sampling_rate, target_rate)
