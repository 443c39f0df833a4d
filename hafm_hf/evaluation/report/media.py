# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Audio and pictures as data URIs, so that a page needs no other file and no network."""

import base64
import io
from pathlib import Path

import numpy as np
import soundfile

from hafm_hf.modeling.audio_hafm import load_audio, resample, to_mono
from hafm_hf.picture import FLOOR_DB, mel_decibels


COLUMNS = 480  # of a spectrogram, at most


def read_mono(path: Path, sampling_rate: int) -> np.ndarray:
    """A recording as mono float32 [samples]."""
    clip = load_audio(path)
    return resample(to_mono(clip.waveform), clip.sampling_rate, sampling_rate)


def audio_uri(waveform: np.ndarray, sampling_rate: int, format: str = "MP3") -> str:
    """Mono audio as a file of `format`: MP3, which every browser plays and which is small, or FLAC, which loses nothing."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(waveform, -1, 1), sampling_rate, format=format)
    return data_uri({"MP3": "audio/mpeg", "FLAC": "audio/flac"}[format], file.getvalue())


def spectrogram_uri(waveform: np.ndarray, sampling_rate: int) -> str:
    """The mel spectrogram as a PNG, low frequencies at the bottom, without axes."""
    from matplotlib.image import imsave

    decibels = mel_decibels(waveform, sampling_rate)
    step = -(-decibels.shape[1] // COLUMNS)
    file = io.BytesIO()
    imsave(file, decibels[:, ::step], format="png", cmap="magma", vmin=FLOOR_DB, vmax=0, origin="lower")
    return data_uri("image/png", file.getvalue())


def data_uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
