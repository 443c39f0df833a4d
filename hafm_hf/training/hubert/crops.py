# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Random crops of the audio files of a folder, clean and as HuBERT hears them."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import torch
from tqdm.auto import tqdm

from ...data.corpora.folder import AUDIO_SUFFIXES, existing_folder, walk
from ..segments import RandomSegments, read_segment
from . import SAMPLING_RATE
from .augmentation import augment


MIN_SECONDS = 1.0
LEAK_PROBABILITY = 0.3


class AudioFile(NamedTuple):
    """Where a file is, its sampling rate in Hz and its length in samples."""

    path: Path
    sampling_rate: int
    frames: int


class AudioFolder:
    """The audio files below a folder that can be read in parts (by soundfile) and last a second or more.

    Args:
        root: The folder.

    Attributes:
        files: Those of use.
        skipped: Why the other audio files are of no use.

    Raises:
        ValueError: `root` is not a folder, or there is nothing to use in it.
    """

    def __init__(self, root: Path):
        self.files: list[AudioFile] = []
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
            self.files.append(AudioFile(path, info.samplerate, info.frames))
            digest.update(json.dumps([path.relative_to(root).as_posix(), info.frames]).encode())
        if not self.files:
            raise ValueError(f"{root} holds no audio that can be used; give a folder of wav, flac, ogg or mp3 files.")
        self.digest = digest.hexdigest()
        self._siblings = defaultdict(list)
        for file in self.files:
            self._siblings[file.path.parent].append(file)

    @property
    def seconds(self) -> float:
        """Length of all files."""
        return sum(file.frames / file.sampling_rate for file in self.files)

    def survey(self) -> dict[str, Any]:
        """Number of files and a digest of their names and lengths."""
        return {"count": len(self.files), "digest": self.digest}

    def sibling(self, file: AudioFile, generator: np.random.Generator) -> AudioFile:
        """Another file of the same folder, as stems of a song are, or any file where there is none."""
        others = [other for other in self._siblings[file.path.parent] if other != file] or self.files
        return others[generator.integers(len(others))]

    def read(self, file: AudioFile, start: float, samples: int) -> np.ndarray:
        """`[samples]` of a file at 16 kHz from `start` (in seconds), mono, zero behind its end and where it is damaged."""
        try:
            with soundfile.SoundFile(file.path) as opened:
                return read_segment(opened, round(start * file.sampling_rate), samples, SAMPLING_RATE)
        except soundfile.SoundFileError:
            return np.zeros(samples, np.float32)


class CropDataset(RandomSegments):
    """Crops drawn at random; each is a function of the seed and its index alone.

    Args:
        folder: The files.
        length: How many crops there are.
        samples: Of each, at 16 kHz.
        seed: Of all that is drawn.

    Items are dicts of `clean` and `input_values` (augmented), float32 tensors `[samples]` of zero mean and unit
    variance, as `Wav2Vec2FeatureExtractor` gives.
    """

    silence = 1e-3  # root mean square, -60 dB full scale
    attempts = 10

    def __init__(self, folder: AudioFolder, length: int, samples: int, seed: Sequence[int]):
        super().__init__(folder.files, samples, SAMPLING_RATE, seed)
        self.folder, self.length = folder, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        generator, file, place, clean = self._draw(index)
        leak = None
        if generator.random() < LEAK_PROBABILITY:
            leak = self.folder.read(self.folder.sibling(file, generator), self._start(file, place), self.num_samples)
        augmented = augment(clean, generator, leak)
        return {"clean": normalized(clean), "input_values": normalized(augmented)}

    def clean(self, index: int) -> torch.Tensor:
        """`clean` of an item alone."""
        return normalized(self._draw(index)[-1])

    def _read(self, file: AudioFile, place: float) -> np.ndarray:
        return self.folder.read(file, self._start(file, place), self.num_samples)

    def _start(self, file: AudioFile, place: float) -> float:
        """Seconds from the beginning to `place` (0: as early, 1: as late as can be)."""
        return place * max(file.frames / file.sampling_rate - self.num_samples / SAMPLING_RATE, 0)


def normalized(waveform: np.ndarray) -> torch.Tensor:
    """`waveform` at zero mean and unit variance."""
    waveform = waveform - waveform.mean()
    return torch.from_numpy(waveform / np.sqrt(waveform.var() + 1e-7))
