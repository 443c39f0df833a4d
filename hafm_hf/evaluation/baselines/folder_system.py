# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A folder of files that another system made."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...data.corpora.folder import AUDIO_SUFFIXES, existing_folder
from ..audio_input import load_mono
from .base import AccompanimentSystem, CannotAccompany, EvaluationClip


MAX_MISSING_SECONDS = 0.1  # what codecs and resamplers lose at the end


class FolderSystem(AccompanimentSystem):
    """Takes the accompaniment of a clip from the file `<clip id>.<suffix>`, at any rate and of any channels.

    Args:
        folder: of audio files. A clip id with slashes names a file in a subfolder.
        name: what tables call the system; by default the name of the folder.

    Raises:
        ValueError: there is no such folder.
    """

    def __init__(self, folder: str | Path, name: str | None = None):
        self.folder = existing_folder(folder)
        self.name = name or self.folder.resolve().name

    def accompany(self, clips: Sequence[EvaluationClip]) -> list[np.ndarray]:
        """The files' audio. What is longer than its vocal is cut; a file that is missing, unreadable or over 0.1 s
        shorter is a `CannotAccompany`."""
        return [self._read(clip) for clip in clips]

    def _read(self, clip: EvaluationClip) -> np.ndarray:
        path = self._path(clip.id)
        try:
            audio = load_mono(path, None, clip.sampling_rate)
        except ValueError as error:
            raise CannotAccompany(str(error)) from error
        missing = len(clip.vocal) - len(audio)
        if missing > MAX_MISSING_SECONDS * clip.sampling_rate:
            raise CannotAccompany(
                f"{path} is {missing / clip.sampling_rate:.2f} s shorter than its vocal; make it as long."
            )
        return np.pad(audio, (0, max(missing, 0)))[: len(clip.vocal)]

    def _path(self, clip_id: str) -> Path:
        stem = self.folder / clip_id
        for suffix in sorted(AUDIO_SUFFIXES):
            path = stem.with_name(stem.name + suffix)  # not with_suffix: ids have dots in them
            if path.is_file():
                return path
        raise CannotAccompany(f"{self.folder} has no audio file {clip_id}.wav, .flac or the like; add it.")
