# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What retrieval knows of a piece of music: its key and its beats, kept in a file for a whole pool."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ...data.corpora import Song
from ...data.resume import open_journal, read_journal
from ..track_features import Track
from .pool import load_instrumental


logger = logging.getLogger(__name__)

JOURNAL = "outlines.jsonl"


@dataclass(frozen=True)
class Outline:
    """Key and beats of one track.

    Attributes:
        key: as "C# minor", or None if nothing is tonal.
        beats: their times in seconds.
    """

    key: str | None
    beats: tuple[float, ...]

    @property
    def tempo(self) -> float | None:
        """Beats a minute, or None where there are no two beats."""
        if len(self.beats) < 2:
            return None
        return 60 * (len(self.beats) - 1) / (self.beats[-1] - self.beats[0])


def outline(audio: np.ndarray, sampling_rate: int) -> Outline:
    """The outline of a mono track of at least 1 s."""
    track = Track(audio, sampling_rate)
    return Outline(track.key, tuple(np.round(track.beats, 3).tolist()))


def pool_outlines(songs: Sequence[Song], cache: str | Path) -> list[tuple[Song, Outline]]:
    """The instrumentals of a pool that can be used, with their outlines.

    Each is analysed once and noted in the folder `cache`, from where it is read the next time, after an interruption
    too. A file that has changed is analysed again; what cannot be read is noted, with a warning, and left out.

    Raises:
        ValueError: there is no usable instrumental, or another process is at work on `cache`.
    """
    path = Path(cache) / JOURNAL
    with open_journal(path) as journal:
        notes = {note["id"]: note for note in read_journal(path)}
        unknown = [song for song in songs if notes.get(song.id, {}).get("files") != file_stamps(song)]
        for song in tqdm(unknown, desc="Analysing the pool", unit="song", disable=None):
            notes[song.id] = analyse(song)
            journal.append(notes[song.id])
    usable = [(song, notes[song.id]) for song in songs if "error" not in notes[song.id]]
    if not usable:
        raise ValueError(
            f"None of the {len(songs)} instrumentals in the pool can be used; see {path} for the reasons."
        )
    return [(song, Outline(note["key"], tuple(note["beats"]))) for song, note in usable]


def analyse(song: Song) -> dict[str, Any]:
    """The note of a song: its outline, or the error."""
    note = {"id": song.id, "files": file_stamps(song)}
    try:
        found = outline(*load_instrumental(song))
    except ValueError as error:
        logger.warning(f"{song.id} is left out of the pool: {error}")
        return note | {"error": str(error)}
    return note | {"key": found.key, "beats": found.beats}


def file_stamps(song: Song) -> list[list[int]]:
    """Size and time of change of the files of a song."""
    stats = [path.stat() for path in song.stems or (song.path,)]
    return [[stat.st_size, stat.st_mtime_ns] for stat in stats]
