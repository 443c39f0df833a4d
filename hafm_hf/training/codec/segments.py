# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Random segments of audio files, read where they lie."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from torch.utils.data import Dataset

from hafm_hf.modeling.audio_hafm import resample, to_mono


QUIETEST_DB = -55.0
GAIN_DB = (-9.0, 6.0)
_ATTEMPTS = 20


class RandomSegments(Dataset):
    """Segment `i` is the same whenever it is asked for: from a random file, a random place and with a random gain.

    Args:
        files: audio files that libsndfile reads; channels are averaged.
        num_samples: length of a segment; shorter files are padded with zeros.
        sampling_rate: of the segments, in Hz.
        seed: of all choices.
    """

    def __init__(self, files: Sequence[Path], num_samples: int, sampling_rate: int, seed: int = 0):
        if not files:
            raise ValueError("There are no audio files to train on; check the folder and the pattern.")
        self.files, self.num_samples, self.sampling_rate, self.seed = list(files), num_samples, sampling_rate, seed

    def __getitem__(self, index: int) -> np.ndarray:
        """`float32 [num_samples]` within [-1, 1]. Silence is passed over."""
        rng = np.random.default_rng((self.seed, index))
        for _ in range(_ATTEMPTS):
            audio = self._read(self.files[rng.integers(len(self.files))], rng.random())
            if 20 * np.log10(np.sqrt(np.mean(audio**2)) + 1e-12) > QUIETEST_DB:
                break
        gain = 10 ** (rng.uniform(*GAIN_DB) / 20)
        return (audio * min(gain, 1 / (np.abs(audio).max() + 1e-9))).astype(np.float32)

    def _read(self, path: Path, place: float) -> np.ndarray:
        """The segment that starts at `place` (0: as early, 1: as late as it can)."""
        try:
            with soundfile.SoundFile(path) as file:
                rate, wanted = file.samplerate, -(-self.num_samples * file.samplerate // self.sampling_rate)
                file.seek(int(place * max(file.frames - wanted, 0)))
                audio = to_mono(file.read(wanted, dtype="float32", always_2d=True).T)
        except soundfile.SoundFileError as error:
            raise ValueError(
                f"{path} cannot be read ({error}); repair or remove it, and start again to go on."
            ) from error
        audio = resample(audio, rate, self.sampling_rate)[: self.num_samples]
        return np.pad(audio, (0, self.num_samples - len(audio)))
