# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Pools of instrumentals, from which the systems that make no music of their own take it."""

from pathlib import Path

import numpy as np

from ...data.corpora import Song, folder_songs, load_pair, stem_folder_songs
from ...modeling.audio_hafm import load_audio, to_mono


def pool_songs(folder: str | Path) -> list[Song]:
    """The songs below a folder whose instrumentals are at hand: folders of stems, or else audio files but vocals.

    Raises:
        ValueError: there is no such folder, or there are no songs in it.
    """
    songs = list(stem_folder_songs(folder)) or [
        song for song in folder_songs(folder) if not song.path.stem.lower().endswith("vocals")
    ]
    if not songs:
        raise ValueError(f"{folder} holds no instrumentals; give a folder of audio files, or of folders of stems.")
    return songs


def load_instrumental(song: Song) -> tuple[np.ndarray, int]:
    """Mono float32 [samples] and their rate in Hz; a song without stems is its own instrumental.

    Raises:
        ValueError: it cannot be read.
    """
    if song.stems:
        pair = load_pair(song)
        return to_mono(pair.instrumental), pair.sampling_rate
    clip = load_audio(song.path)
    return to_mono(clip.waveform), clip.sampling_rate
