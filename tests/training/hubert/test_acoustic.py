# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Acoustic features of music on the frame grid of HuBERT."""

import numpy as np
import pytest
import torch
from waveforms import noise, tone

from hafm_hf.training.hubert.acoustic import chroma, mfcc
from hafm_hf.training.hubert.crops import normalized


def note(pitch, seconds=1.0):
    """A MIDI pitch with a few overtones, `[1, samples]`."""
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    return sum(tone(seconds, frequency=frequency * k, amplitude=0.3 / k) for k in (1, 2, 3, 4))


def features(function, waveform):
    return function(normalized(waveform[0])[None])[0]


@pytest.mark.parametrize("samples", [16_000, 16_079, 16_080, 16_399, 16_400])
@pytest.mark.parametrize(("function", "size"), [(mfcc, 39), (chroma, 12)])
def test_there_are_as_many_frames_as_hubert_gives(function, size, samples):
    waveform = torch.from_numpy(noise(samples / 16_000, 16_000))
    assert function(waveform).shape == (1, (samples - 80) // 320, size)


@pytest.mark.parametrize("pitch", [50, 60, 64, 71, 81])
def test_the_pitch_class_of_a_note_is_the_strongest(pitch):
    assert (features(chroma, note(pitch)).argmax(-1) == pitch % 12).all()


def test_the_pitch_classes_of_a_chord_are_the_three_strongest():
    strongest = features(chroma, note(60) + note(64) + note(67)).mean(0).topk(3).indices
    assert set(strongest.tolist()) == {0, 4, 7}


def test_silence_has_no_chroma_and_constant_cepstra():
    silence = torch.zeros(1, 16_000)
    assert chroma(silence).abs().max() == 0
    assert mfcc(silence).std(1).max() < 1e-5


def test_a_frame_lies_where_hubert_has_it():
    """A note that begins in the middle of frame 25 begins there in the features."""
    begin = 25 * 320 + 200
    waveform = np.concatenate([np.zeros(begin, np.float32), note(69, 1.0)[0][: 16_000 - begin]])
    loudness = features(mfcc, waveform[None])[:, 0]
    halfway = (loudness[:10].mean() + loudness[-10:].mean()) / 2
    assert (loudness > halfway).nonzero()[0].item() == 25
    energy = features(chroma, waveform[None]).norm(dim=-1)
    assert abs((energy > 0.5).nonzero()[0].item() - 25) <= 6  # windows of 256 ms hear it coming


def test_slopes_tell_where_loudness_rises():
    swell = tone(2.0) * np.geomspace(0.01, 1, 32_000, dtype=np.float32)
    slopes = features(mfcc, swell)[5:-5, 13]
    assert (slopes > 0).all()
    assert features(mfcc, swell[:, ::-1].copy())[5:-5, 13].max() < 0
