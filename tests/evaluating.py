# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Evaluations that tests run: pairs of synthetic songs, short clips, an embedder that costs nothing."""

import numpy as np
import soundfile

from hafm_hf.evaluation.baselines.marks import Noise, Truth
from hafm_hf.evaluation.embedders import Embedder
from hafm_hf.evaluation.protocol.contenders import everywhere
from hafm_hf.evaluation.protocol.evaluation import Evaluation
from hafm_hf.evaluation.protocol.separated import SimulatedLeakage


RATE = 16_000


class SpectrumEmbedder(Embedder):
    """The logarithm of eight bands of the spectrum, every 0.1 s."""

    name = "spectrum"
    sampling_rate = RATE

    def embed(self, audio):
        frames = audio[: len(audio) // 1600 * 1600].reshape(-1, 1600)
        bands = np.abs(np.fft.rfft(frames))[:, 1:801].reshape(len(frames), 8, 100)
        return np.log(bands.mean(axis=2) + 1e-3).astype(np.float32)


def write_pairs(root, songs):
    """`0_vocals.wav` beside `0_accompaniment.wav`, and so on."""
    root.mkdir(parents=True, exist_ok=True)
    for number, song in enumerate(songs):
        soundfile.write(root / f"{number}_vocals.wav", song.vocal, RATE)
        soundfile.write(root / f"{number}_accompaniment.wav", song.band, RATE)
    return root


def evaluation(output, **settings):
    """Two clips of 3 s a song, isolated and with leakage."""
    settings = {"embedder": SpectrumEmbedder(), "voice_of_mix": SimulatedLeakage(), "clip_seconds": 3.0} | settings
    return Evaluation(output, "test songs", **settings)


def marks():
    return [everywhere(Truth()), everywhere(Noise())]
