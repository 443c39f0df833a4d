# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A model is heard as its pipeline plays it."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import pipeline
from waveforms import tone

from hafm_hf import TASK, HafmModel, HafmPipeline
from hafm_hf.evaluation.baselines.model_system import ModelSystem


@pytest.fixture(scope="module")
def system(checkpoint, processor):
    return ModelSystem("tiny", HafmModel.from_pretrained(checkpoint), processor)


def test_accompaniments_are_those_of_the_pipeline(system, checkpoint, processor, clips, fits):
    rate = processor.sampling_rate
    vocals = [0.2 * tone(seconds, rate)[0] for seconds in (0.3, 0.2)]
    clips = [
        replace(clip, vocal=vocal, sampling_rate=rate, seed=7) for clip, vocal in zip(clips, vocals, strict=False)
    ]
    accompaniments = system.accompany(clips)
    assert fits(clips, accompaniments)
    accompany = pipeline(TASK, model=checkpoint, device="cpu")
    for clip, vocal, audio in zip(clips, vocals, accompaniments, strict=False):
        seed = int(clip.generator().integers(2**31))
        assert np.array_equal(accompany(vocal, sampling_rate=rate, seed=seed)["audio"], audio)


def test_peaks_are_limited_as_those_of_the_pipeline(checkpoint, processor, clips):
    processor = copy.deepcopy(processor)
    loudest = [
        m for m in processor.audio_tokenizer.acoustic_model.decoder.modules() if isinstance(m, torch.nn.Conv1d)
    ][-1]
    with torch.no_grad():
        loudest.parametrizations.weight.original0.mul_(300)
    rate, model = processor.sampling_rate, HafmModel.from_pretrained(checkpoint)
    clip = replace(clips[0], vocal=0.2 * tone(0.3, rate)[0], sampling_rate=rate)
    (audio,) = ModelSystem("loud", model, processor).accompany([clip])
    assert 0.85 < np.abs(audio).max() < 0.9
    seed = int(clip.generator().integers(2**31))
    accompany = HafmPipeline(model, processor=processor)
    assert np.array_equal(accompany(clip.vocal, sampling_rate=rate, seed=seed)["audio"], audio)


def test_clips_of_one_batch_are_sampled_independently(system, clips):
    first, second = system.accompany([clips[0], replace(clips[0], id="another")])
    assert not np.array_equal(first, second)


def test_clips_of_any_rate_come_in_their_order(system, clips, fits):
    clips = [replace(clip, seed=seed) for clip, seed in zip(clips, (1, 1, 2, 1), strict=True)]
    accompaniments = system.accompany(clips)
    assert fits(clips, accompaniments)
    for clip, audio in zip(clips, accompaniments, strict=True):
        assert np.allclose(system.accompany([clip])[0], audio, atol=1e-4)


def test_arguments_of_generation_are_passed_on(checkpoint, processor, clips):
    systems = [ModelSystem("tiny", HafmModel.from_pretrained(checkpoint), processor, temperature=t) for t in (0, 0.9)]
    greedy, other_seed, sampled = (
        systems[0].accompany(clips[:1])[0],
        systems[0].accompany([replace(clips[0], seed=1)])[0],
        systems[1].accompany(clips[:1])[0],
    )
    assert np.array_equal(greedy, other_seed)
    assert not np.array_equal(greedy, sampled)
