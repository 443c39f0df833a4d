# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The front end that begins as filters."""

import pytest
import torch
from transformers import HubertConfig, HubertModel
from waveforms import tone

from hafm_hf.training.hubert.front_end import FRONT_END, begin_with_filters, gabor_filters


@pytest.fixture(scope="module")
def front_end():
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    hubert = HubertModel(HubertConfig(**FRONT_END, **shape, num_conv_pos_embeddings=4)).eval()
    begin_with_filters(hubert)
    return hubert.feature_extractor


@torch.no_grad()
def magnitudes(front_end, frequency, seconds=0.5):
    """`[frequencies, frames]`"""
    return front_end(torch.from_numpy(tone(seconds, frequency=frequency, amplitude=1.4)))[0]


@pytest.mark.parametrize("frequency", [110.0, 233.1, 440.0, 1000.0, 3000.0])
def test_a_tone_is_heard_where_it_lies(front_end, frequency):
    centres = torch.logspace(torch.tensor(60.0).log2(), torch.tensor(7600.0).log2(), 128, base=2)
    loudest = centres[magnitudes(front_end, frequency).mean(-1).argmax()]
    assert abs(12 * torch.log2(loudest / frequency)) < 0.5  # semitones


def test_semitones_are_told_apart(front_end):
    lower, upper = (magnitudes(front_end, 440 * 2 ** (semitones / 12)).mean(-1) for semitones in (0, 1))
    assert lower.argmax() != upper.argmax()


def test_the_magnitude_does_not_wobble_with_the_phase(front_end):
    steady = magnitudes(front_end, 443.7)
    loudest = steady.mean(-1).argmax()
    assert steady[loudest].std() < 0.05 * steady[loudest].mean()
    assert steady[loudest].mean() > 3 * steady.mean()


def test_a_frame_comes_every_20_ms(front_end):
    assert magnitudes(front_end, 440.0, seconds=(2048 + 9 * 320) / 16_000).shape == (128, 10)


def test_filters_are_of_equal_loudness():
    norms = gabor_filters().norm(dim=-1)
    assert norms.max() < 1.1 * norms.min()
