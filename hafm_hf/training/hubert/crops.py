# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Random crops of the audio files of a folder, clean and as HuBERT hears them."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from ...data.corpora.folder import AUDIO_SUFFIXES, existing_folder, walk
from ...modeling.audio_hafm import resample, to_mono
from . import SAMPLING_RATE
from .augmentation import augment


MIN_SECONDS = 1.0
SILENCE = 1e-3  # root mean square, -60 dB full scale
ATTEMPTS = 10
LEAK_PROBABILITY = 0.3


class AudioFolder:
    """The audio files below a folder that can be read in parts (by soundfile) and last a second or more.

    Args:
        root: The folder.

    Attributes:
        files: Paths, sampling rates in Hz and lengths in samples.
        skipped: Why the other audio files are of no use.

    Raises:
        ValueError: `root` is not a folder, or there is nothing to use in it.
    """

    def __init__(self, root: Path):
        self.files: list[tuple[Path, int, int]] = []
        self.skipped: dict[str, str] = {}
        root = existing_folder(root)
        found = [path for _, files in walk(root) for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
        digest = hashlib.sha256()
        for path in tqdm(found, desc="Files", unit="file"):
            try:
                info = soundfile.info(path)
            except (soundfile.SoundFileError, TypeError):  # TypeError: headerless data
                self.skipped[str(path)] = "soundfile cannot read it; convert it to flac"
                continue
            if info.duration < MIN_SECONDS:
                self.skipped[str(path)] = f"it is shorter than {MIN_SECONDS:g} s"
                continue
            self.files.append((path, info.samplerate, info.frames))
            digest.update(json.dumps([path.relative_to(root).as_posix(), info.frames]).encode())
        if not self.files:
            raise ValueError(f"{root} holds no audio that can be used; give a folder of wav, flac, ogg or mp3 files.")
        self.digest = digest.hexdigest()
        siblings = defaultdict(list)
        for index, (path, *_) in enumerate(self.files):
            siblings[path.parent].append(index)
        self._siblings = siblings

    @property
    def seconds(self) -> float:
        """Length of all files."""
        return sum(frames / rate for _, rate, frames in self.files)

    def survey(self) -> dict[str, Any]:
        """Number of files and a digest of their names and lengths."""
        return {"count": len(self.files), "digest": self.digest}

    def sibling(self, index: int, generator: np.random.Generator) -> int:
        """Another file of the same folder, as stems of a song are, or any file where there is none."""
        others = [other for other in self._siblings[self.files[index][0].parent] if other != index]
        return int(generator.choice(others)) if others else int(generator.integers(len(self.files)))

    def read(self, index: int, start: float, samples: int) -> np.ndarray:
        """`[samples]` of a file at 16 kHz from `start` (in seconds), mono, zero behind its end and where it is damaged."""
        path, rate, _ = self.files[index]
        first, count = round(start * rate), -(-samples * rate // SAMPLING_RATE)
        try:
            waveform, _ = soundfile.read(path, count, first, dtype="float32", always_2d=True)
        except soundfile.SoundFileError:
            waveform = np.zeros((0, 1), np.float32)
        waveform = resample(to_mono(np.nan_to_num(waveform.T)), rate, SAMPLING_RATE)[:samples]
        return np.pad(waveform, (0, samples - len(waveform)))


class CropDataset(Dataset):
    """Crops drawn at random; each is a function of the seed and its index alone.

    Args:
        folder: The files.
        length: How many crops there are.
        samples: Of each, at 16 kHz.
        seed: Of all that is drawn.

    Items are dicts of `clean` and `input_values` (augmented), float32 tensors `[samples]` of zero mean and unit
    variance, as `Wav2Vec2FeatureExtractor` gives.
    """

    def __init__(self, folder: AudioFolder, length: int, samples: int, seed: Sequence[int]):
        self.folder, self.length, self.samples, self.seed = folder, length, samples, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        generator = np.random.default_rng([*self.seed, index])
        file, start, clean = self._draw(generator)
        leak = None
        if generator.random() < LEAK_PROBABILITY:
            leak = self.folder.read(self.folder.sibling(file, generator), start, self.samples)
        augmented = augment(clean, generator, leak)
        return {"clean": normalized(clean), "input_values": normalized(augmented)}

    def clean(self, index: int) -> torch.Tensor:
        """`clean` of an item alone."""
        return normalized(self._draw(np.random.default_rng([*self.seed, index]))[2])

    def _draw(self, generator: np.random.Generator) -> tuple[int, float, np.ndarray]:
        """File, start in seconds and samples of a crop, if possible not a silent one."""
        for _ in range(ATTEMPTS):
            file = int(generator.integers(len(self.folder.files)))
            _, rate, frames = self.folder.files[file]
            start = generator.uniform(0, max(frames / rate - self.samples / SAMPLING_RATE, 0))
            waveform = self.folder.read(file, start, self.samples)
            if np.sqrt(np.mean(waveform**2)) > SILENCE:
                break
        return file, start, waveform


def normalized(waveform: np.ndarray) -> torch.Tensor:
    """`waveform` at zero mean and unit variance."""
    waveform = waveform - waveform.mean()
    return torch.from_numpy(waveform / np.sqrt(waveform.var() + 1e-7))
