# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The losses tell better from worse reconstructions, and never give a gradient that is not a number."""

import pytest
import torch

from hafm_hf.training.codec.losses import MelSpectrogram, ReconstructionLoss


def tone(frequency: float, seconds: float = 0.5, rate: int = 24000) -> torch.Tensor:
    return 0.3 * torch.sin(2 * torch.pi * frequency * torch.arange(int(seconds * rate)) / rate)[None]


def test_the_same_audio_has_no_loss():
    assert all(loss == 0 for loss in ReconstructionLoss(24000)(tone(440), tone(440)).values())


@pytest.mark.parametrize("name", ["log_mel", "linear_mel", "waveform"])
def test_what_is_further_away_costs_more(name):
    losses = ReconstructionLoss(24000)
    near, far, noise = (
        losses(other, tone(440))[name]
        for other in (tone(440) * 0.9, tone(440) * 0.5, tone(440) + torch.randn(1, 12000))
    )
    assert 0 < near < far < noise


@pytest.mark.parametrize(
    "decoded, audio", [(torch.zeros(1, 6400), torch.zeros(1, 6400)), (torch.zeros(1, 6400), tone(440, 6400 / 24000))]
)
def test_silence_gives_finite_gradients(decoded, audio):
    decoded.requires_grad_()
    sum(ReconstructionLoss(24000)(decoded, audio).values()).backward()
    assert decoded.grad.isfinite().all()


def test_a_tone_of_full_scale_is_one_in_its_band():
    mel = MelSpectrogram(2048, 24000)(tone(3000) / 0.3)
    loudest = mel[0, :, 5].argmax()
    centre = (mel[0, :, 5] > 0.1).nonzero().flatten()
    assert 0.1 < mel[0, loudest, 5] <= 1 and len(centre) <= 4
