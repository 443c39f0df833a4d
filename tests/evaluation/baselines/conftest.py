# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Clips of a tone at a rate that no codec has, and the processor of a tiny checkpoint."""

import numpy as np
import pytest
from waveforms import tone

from hafm_hf.evaluation.baselines.base import EvaluationClip


RATE = 22_050


@pytest.fixture
def clips() -> list[EvaluationClip]:
    """Two clips of one song, a short one of another, and one whose accompaniment is not known."""
    lengths = {"set/a@0.00": 0.5, "set/a@0.50": 0.5, "set/b@0.00": 0.3337, "set/c@0.00": 0.5}
    clips = []
    for number, (name, seconds) in enumerate(lengths.items()):
        vocal, accompaniment = (tone(seconds, RATE, frequency=(220 + 110 * number) / part)[0] for part in (1, 4))
        truth = None if name.startswith("set/c") else 0.5 * accompaniment
        clips.append(EvaluationClip(name, name.split("@")[0], 0.2 * vocal, RATE, accompaniment=truth))
    return clips


@pytest.fixture(scope="session")
def processor(checkpoint):
    from hafm_hf import HafmProcessor

    return HafmProcessor.from_pretrained(checkpoint)


@pytest.fixture(scope="session")
def fits():
    """Whether accompaniments are what the interface promises: mono float32, finite, as long as their vocals."""

    def check(clips, accompaniments) -> bool:
        return all(
            audio.dtype == np.float32 and audio.shape == clip.vocal.shape and np.isfinite(audio).all()
            for clip, audio in zip(clips, accompaniments, strict=True)
        )

    return check
