# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""VGGish: the front end in the two conventions in use, the network, and where its weights come from.

Hershey et al., "CNN Architectures for Large-Scale Audio Classification", ICASSP 2017. Both presets give the 128
numbers before the last activation, without PCA and quantisation. They are not comparable: name the preset.

* google: each file divided by its largest sample (but by no less than 0.1), windows of 1 s every 0.5 s, each with a
  spectrogram of its own of which the first 96 frames count. 19 embeddings for 10 s.
* torchvggish: no normalisation, 96 frames every 96 frames of one spectrogram. 10 embeddings for 10 s.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers.audio_utils import mel_filter_bank, window_function
from transformers.utils import cached_file


SAMPLING_RATE = 16_000
FRAME, HOP, FFT = 400, 160, 512
FRAMES, MELS = 96, 64

WHERE_FROM = (
    "The public weights are the file vggish-10086976.pth of release v0.1 of harritaylor/torchvggish on GitHub. "
    'Convert it once: save_file(torch.load("vggish-10086976.pth", weights_only=True), "vggish.safetensors"), with '
    "save_file from safetensors.torch, and pass the path of vggish.safetensors."
)


class Preset(NamedTuple):
    """Windows of `window` samples every `hop`, after peak normalisation or without."""

    window: int
    hop: int
    normalize: bool


PRESETS = {
    "google": Preset(window=SAMPLING_RATE, hop=SAMPLING_RATE // 2, normalize=True),
    "torchvggish": Preset(window=FRAME + (FRAMES - 1) * HOP, hop=FRAMES * HOP, normalize=False),
}


def vggish_preset(name: str) -> Preset:
    """One of `PRESETS`; ValueError for another name."""
    if name not in PRESETS:
        raise ValueError(f"unknown VGGish preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def vggish_windows(audio: np.ndarray, preset: str) -> np.ndarray:
    """Windows [n, window] of 16 kHz audio [samples]; a remainder shorter than a window is dropped.

    Raises:
        ValueError: an unknown preset, or audio shorter than one window.
    """
    window, hop, normalize = vggish_preset(preset)
    if len(audio) < window:
        raise ValueError(
            f"{len(audio) / SAMPLING_RATE:.2f} s of audio are too short: VGGish needs {window / SAMPLING_RATE:.3f} s"
        )
    if normalize:
        audio = audio / max(0.1, audio.max())
    return np.lib.stride_tricks.sliding_window_view(audio, window)[::hop]


def vggish_log_mel(windows: np.ndarray) -> np.ndarray:
    """Log-mel examples [n, 96, 64], float32, of windows [n, window] of 16 kHz audio.

    Periodic Hann window of 400, hop 160, no padding, FFT 512, magnitude, 64 HTK mel bands of 125-7500 Hz that are
    triangular on the mel axis, log(x + 0.01); in float64 up to the end.
    """
    frames = np.lib.stride_tricks.sliding_window_view(windows, FRAME, axis=-1)[:, ::HOP][:, :FRAMES]
    magnitude = np.abs(np.fft.rfft(frames * window_function(FRAME, "hann", periodic=True), FFT))
    return np.log(magnitude @ _mel_filters() + 0.01).astype(np.float32)


@functools.cache
def _mel_filters() -> np.ndarray:
    return mel_filter_bank(
        num_frequency_bins=FFT // 2 + 1,
        num_mel_filters=MELS,
        min_frequency=125.0,
        max_frequency=7500.0,
        sampling_rate=SAMPLING_RATE,
        mel_scale="htk",
        triangularize_in_mel_space=True,
    )


class VGGish(nn.Module):
    """VGGish up to its embedding, in the state-dict layout of torchvggish (`features.N`, `embeddings.N`)."""

    def __init__(self):
        super().__init__()
        layers, channels = [], 1
        for width in (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool"):
            if width == "pool":
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 6 * 4, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 128)
        )

    def forward(self, log_mel: torch.Tensor) -> torch.Tensor:
        """Log-mel examples [n, 96, 64] to embeddings [n, 128]."""
        hidden = self.features(log_mel[:, None])
        return self.embeddings(hidden.permute(0, 2, 3, 1).flatten(1))  # TensorFlow flattens channels last


def load_vggish(weights: str | Path) -> VGGish:
    """VGGish with the weights of a safetensors file, of a folder or of a Hub repository holding model.safetensors.

    Raises:
        ValueError: there are no weights there (the message says where they come from), or they are not VGGish's.
    """
    path = _weights_file(weights)
    with torch.device("meta"):
        model = VGGish()
    try:
        state = {name: tensor.float() for name, tensor in load_file(path).items()}
        # The public checkpoint may carry its PCA along, which no Fréchet distance uses.
        state = {name: tensor for name, tensor in state.items() if not name.startswith("pproc.")}
        model.load_state_dict(state, assign=True)
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"{path}: no VGGish weights ({error}). {WHERE_FROM}") from error
    return model.requires_grad_(False).eval()


def _weights_file(weights: str | Path) -> Path:
    path = Path(weights)
    if path.is_file():
        return path
    if path.suffix == ".safetensors":
        raise ValueError(f"{path}: no such file. {WHERE_FROM}")
    try:
        return Path(cached_file(str(weights), "model.safetensors"))
    except (OSError, HFValidationError) as error:
        raise ValueError(f"{weights}: no model.safetensors there or on the Hub. {WHERE_FROM}") from error
