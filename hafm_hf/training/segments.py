# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Random segments of audio files, read where they lie."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from torch.utils.data import Dataset

from ..modeling.audio_hafm import resample, to_mono


GAIN_DB = (-9.0, 6.0)


class RandomSegments(Dataset):
    """Segment `i` is the same whenever it is asked for: from a random file, a random place and with a random gain.

    Args:
        files: audio files that libsndfile reads; channels are averaged.
        num_samples: length of a segment; shorter files are padded with zeros.
        sampling_rate: of the segments, in Hz.
        seed: of all choices.
    """

    silence = 0.00177828  # root mean square up to which another is drawn, -55 dB full scale
    attempts = 20

    def __init__(self, files: Sequence[Path], num_samples: int, sampling_rate: int, seed: int | Sequence[int] = 0):
        if not files:
            raise ValueError("There are no audio files to train on; check the folder and the pattern.")
        self.files, self.num_samples, self.sampling_rate, self.seed = list(files), num_samples, sampling_rate, seed

    def __getitem__(self, index: int) -> np.ndarray:
        """`float32 [num_samples]` within [-1, 1]. Silence is passed over."""
        rng, _, _, audio = self._draw(index)
        gain = 10 ** (rng.uniform(*GAIN_DB) / 20)
        return (audio * min(gain, 1 / (np.abs(audio).max() + 1e-9))).astype(np.float32)

    def _draw(self, index: int) -> tuple[np.random.Generator, Any, float, np.ndarray]:
        """A file, a place in it (0: as early, 1: as late as can be) and what sounds there, if possible not silence.

        Before them the generator, for whatever else is drawn.
        """
        rng = np.random.default_rng((self.seed, index))
        for _ in range(self.attempts):
            file, place = self.files[rng.integers(len(self.files))], rng.random()
            audio = self._read(file, place)
            if np.sqrt(np.mean(audio**2)) > self.silence:
                break
        return rng, file, place, audio

    def _read(self, path: Path, place: float) -> np.ndarray:
        try:
            with soundfile.SoundFile(path) as file:
                room = file.frames - -(-self.num_samples * file.samplerate // self.sampling_rate)
                return read_segment(file, int(place * max(room, 0)), self.num_samples, self.sampling_rate)
        except soundfile.SoundFileError as error:
            raise ValueError(
                f"{path} cannot be read ({error}); repair or remove it, and start again to go on."
            ) from error


def read_segment(file: soundfile.SoundFile, start: int, num_samples: int, sampling_rate: int) -> np.ndarray:
    """`float32 [num_samples]` from sample `start` of a file on: mono, at `sampling_rate`, zero behind its end."""
    file.seek(min(start, file.frames))
    audio = file.read(-(-num_samples * file.samplerate // sampling_rate), "float32", always_2d=True)
    if not len(audio):
        return np.zeros(num_samples, np.float32)
    audio = resample(to_mono(np.nan_to_num(audio.T)), file.samplerate, sampling_rate)[:num_samples]
    return np.pad(audio, (0, num_samples - len(audio)))
