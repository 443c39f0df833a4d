# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Separation with an MDX-Net in ONNX format (Kim, Choi, Chung, Lee and Jung 2021), the separator of the paper.

The network maps the spectrogram of a chunk to that of one source. Chunks overlap by one FFT window, the part of each that
saw its edge is cut off, and no level is changed on the way in or out.
"""

import math
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from .base import MixtureSeparator, file_digest


class MdxSeparator(MixtureSeparator):
    """An MDX-Net. Its number of bins and frames are read from the file, what follows is known to its publisher only.

    Args:
        model: The `.onnx` file: `[batch, 4, bins, frames]` in and out, the real and imaginary parts of left and right.
        n_fft: Size of the FFT.
        hop_length: Samples between frames.
        target: The source that the network estimates.
        compensation: Gain that its publisher found the network to be short of.
        sampling_rate: The rate it was trained at, in Hz.
        device: `"cpu"`, `"cuda"` or `"cuda:<index>"`.

    Raises:
        ValueError: The file is no such network, or the parameters do not fit it.
        ImportError: onnxruntime is not installed.
    """

    name = "mdx"

    def __init__(
        self,
        model: str | Path,
        n_fft: int = 6144,
        hop_length: int = 1024,
        target: Literal["vocals", "instrumental"] = "vocals",
        compensation: float = 1.0,
        sampling_rate: int = 44100,
        device: str | torch.device = "cpu",
    ):
        self.session = _open_session(Path(model), torch.device(device))
        shape = self.session.get_inputs()[0].shape
        if len(shape) != 4 or shape[1] != 4 or not all(isinstance(size, int) for size in shape[2:]):
            raise ValueError(f"{model} takes {shape}, not the [batch, 4, bins, frames] of an MDX-Net.")
        self.bins, frames = shape[2:]
        self.chunk = hop_length * (frames - 1)
        if self.bins > n_fft // 2 + 1 or self.chunk <= n_fft:
            raise ValueError(f"{model} has {self.bins} bins and {frames} frames; n_fft={n_fft} does not fit them.")
        if target not in ("vocals", "instrumental"):
            raise ValueError(f"An MDX-Net estimates 'vocals' or 'instrumental', not {target!r}.")
        self.n_fft, self.hop_length, self.target, self.compensation = n_fft, hop_length, target, compensation
        self.sampling_rate = sampling_rate
        self.window = torch.hann_window(n_fft)
        self.parameters = {
            "model": Path(model).name,
            "weights": [file_digest(Path(model))],
            "n_fft": n_fft,
            "hop_length": hop_length,
            "target": target,
            "compensation": compensation,
            "sampling_rate": sampling_rate,
        }

    def estimate_vocal(self, mixture: np.ndarray, sampling_rate: int) -> np.ndarray:
        edge = self.n_fft // 2
        step = self.chunk - 2 * edge
        samples = mixture.shape[1]
        starts = range(0, math.ceil(samples / step) * step, step)
        padded = torch.nn.functional.pad(torch.from_numpy(mixture), (edge, starts[-1] + step - samples + edge))
        parts = [self._chunk_vocal(padded[:, start : start + self.chunk])[:, edge:-edge] for start in starts]
        return torch.cat(parts, dim=1)[:, :samples].numpy()

    def _chunk_vocal(self, chunk: torch.Tensor) -> torch.Tensor:
        """The vocal in `chunk`, both `[2, samples]`."""
        settings = {"n_fft": self.n_fft, "hop_length": self.hop_length, "window": self.window}
        spectrum = torch.stft(chunk, **settings, return_complex=True)
        mixture = torch.view_as_real(spectrum[:, : self.bins]).permute(0, 3, 1, 2).reshape(1, 4, self.bins, -1)
        (estimate,) = self.session.run(None, {self.session.get_inputs()[0].name: mixture.numpy()})
        vocal = self.compensation * torch.from_numpy(estimate)
        if self.target == "instrumental":
            # Here and not on the waveform: what lies above the last bin is no vocal.
            vocal = mixture - vocal
        vocal = vocal.reshape(2, 2, self.bins, -1).permute(0, 2, 3, 1).contiguous()
        spectrum[:, : self.bins] = torch.view_as_complex(vocal)
        spectrum[:, self.bins :] = 0
        return torch.istft(spectrum, **settings, length=self.chunk)


def _open_session(path: Path, device: torch.device):
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError("Separating with an MDX-Net needs: pip install 'hafm-hf[separation]'.") from error
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf, NoSuchFile

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # its own default is every core for every process
    cuda = [("CUDAExecutionProvider", {"device_id": device.index or 0})] if device.type == "cuda" else []
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=[*cuda, "CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf, NoSuchFile) as error:
        raise ValueError(f"{path} is not an ONNX file that can be opened.") from error
