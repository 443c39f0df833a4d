# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""MUSDB18 and MUSDB18-HQ (Rafii, Liutkus, Stöter, Mimilakis and Bittner, 2017 and 2019): 150 songs with stems."""

import os
from collections.abc import Iterator

from .folder import existing_folder, song_id, stem_file_song, stem_folder_song, walk
from .song import STEM_SUFFIX, Song


SPLITS = ("train", "test")
LICENSE = "MUSDB18: education and research only, mostly CC BY-NC-SA"


def musdb18_songs(root: str | os.PathLike, split: str | None = None) -> Iterator[Song]:
    """List the songs of MUSDB18 (`<split>/Artist - Title.stem.mp4`) or MUSDB18-HQ (`<split>/Artist - Title/vocals.wav`).

    Args:
        root: The folder that holds `train` and `test`.
        split: One of the two; both, `train` first, by default.

    Raises:
        ValueError: `split` is unknown, or its folder is missing.
    """
    if split not in (None, *SPLITS):
        raise ValueError(f"MUSDB18 has no split {split!r}; choose one of {', '.join(SPLITS)}.")
    root = existing_folder(root)
    for folder in [existing_folder(root / name) for name in SPLITS if split in (None, name)]:
        for subfolder, files in walk(folder):
            for path in files:
                if path.name.endswith(STEM_SUFFIX):
                    yield stem_file_song(path, song_id("musdb18", root, path), "musdb18", LICENSE)
            hq_id = song_id("musdb18hq", root, subfolder)
            if song := stem_folder_song(subfolder, files, hq_id, "musdb18hq", LICENSE):
                yield song
