# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Truth, codec ceiling and noise."""

import numpy as np
import pytest

from hafm_hf.evaluation.baselines.base import CannotAccompany
from hafm_hf.evaluation.baselines.marks import CodecCeiling, Noise, Truth
from hafm_hf.modeling.loudness_hafm import loudness


RATE = 22_050


def test_every_mark_is_as_long_as_its_vocal(clips, processor, fits):
    for system in (Truth(), CodecCeiling(processor), Noise()):
        assert fits(clips[:3], system.accompany(clips[:3])), system.name


def test_the_truth_is_returned_as_it_is(clips):
    for clip, audio in zip(clips[:3], Truth().accompany(clips[:3]), strict=True):
        assert np.array_equal(audio, clip.accompaniment)


def test_the_codec_ceiling_is_what_the_codec_makes_of_the_truth(clips, processor):
    from dataclasses import replace

    from waveforms import tone

    truth = tone(0.5, processor.sampling_rate)[0]
    clip = replace(clips[0], vocal=truth, sampling_rate=processor.sampling_rate, accompaniment=truth)
    codes = processor.encode(truth, processor.sampling_rate)["instrumental_codes"][0]
    assert np.array_equal(CodecCeiling(processor).accompany([clip])[0], processor.decode(codes, len(truth)))


def test_noise_is_as_loud_as_the_vocal_and_differs_from_clip_to_clip(clips):
    first, second, _ = Noise().accompany(clips[:3])
    assert loudness(first, RATE) == pytest.approx(loudness(clips[0].vocal, RATE), abs=0.1)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05
    assert np.array_equal(first, Noise().accompany(clips[:1])[0])


def test_an_unknown_truth_is_one_that_cannot_be_given(clips, processor):
    for system in (Truth(), CodecCeiling(processor)):
        with pytest.raises(CannotAccompany, match="true accompaniment of set/c@0.00 is not known"):
            system.accompany(clips)
