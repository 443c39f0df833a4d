# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What a codec is trained on: distances of spectra at several resolutions, and of waveforms."""

import torch
from torch import nn
from transformers.audio_utils import mel_filter_bank


LOG_SCALES = (256, 512, 1024, 2048)
LINEAR_SCALES = (512, 2048)
_MELS = {256: 20, 512: 40, 1024: 64, 2048: 80}
_FLOOR = 1e-4  # of magnitudes of full-scale audio: what is below is silence


class MelSpectrogram(nn.Module):
    """Magnitudes in mel bands `(batch, mels, frames)` of waveforms `(batch, samples)`; hops of a quarter window."""

    def __init__(self, window: int, sampling_rate: int):
        super().__init__()
        self.window = window
        filters = mel_filter_bank(
            window // 2 + 1, _MELS[window], 0.0, sampling_rate / 2, sampling_rate, norm="slaney", mel_scale="slaney"
        )
        scale = filters.sum(axis=0, keepdims=True)  # a mean over the band, so that one floor suits all
        self.register_buffer("filters", torch.from_numpy(filters / scale).float().T)
        self.register_buffer("taper", torch.hann_window(window) / (window / 4))

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        spectrum = torch.stft(audio, self.window, self.window // 4, window=self.taper, return_complex=True)
        # The square root has no gradient at zero.
        magnitudes = (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt()
        return self.filters @ magnitudes


class ReconstructionLoss(nn.Module):
    """The sum of three distances, each a share and thus of no unit:

    * the mean over window lengths 256 to 2048 of the mean difference of log10 mel magnitudes;
    * the mean difference of mel magnitudes over the mean magnitude: without it, training from nothing stays at the
      average spectrum (docs/LOG.md);
    * the mean difference of samples over the mean sample.
    """

    def __init__(self, sampling_rate: int):
        super().__init__()
        self.mels = nn.ModuleDict({str(window): MelSpectrogram(window, sampling_rate) for window in LOG_SCALES})

    def forward(self, decoded: torch.Tensor, audio: torch.Tensor) -> dict[str, torch.Tensor]:
        """Losses by name, of `decoded` and `audio`, `(batch, samples)` each."""
        logarithmic, linear = [], []
        for window, mel in self.mels.items():
            ours, theirs = mel(decoded), mel(audio)
            logarithmic.append((ours.clamp(min=_FLOOR).log10() - theirs.clamp(min=_FLOOR).log10()).abs().mean())
            if int(window) in LINEAR_SCALES:
                linear.append((ours - theirs).abs().mean() / (theirs.mean() + _FLOOR))
        return {
            "log_mel": torch.stack(logarithmic).mean(),
            "linear_mel": torch.stack(linear).mean(),
            "waveform": (decoded - audio).abs().mean() / (audio.abs().mean() + _FLOOR),
        }
