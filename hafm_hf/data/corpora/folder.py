# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Songs in a folder of one's own: audio files, or one folder of stems a song."""

import os
from collections.abc import Iterator
from pathlib import Path

from .song import STEM_SUFFIX, Song


AUDIO_SUFFIXES = {
    ".aac", ".aif", ".aiff", ".au", ".caf", ".flac", ".m4a", ".mka", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".wav",
    ".webm", ".wma",
}  # fmt: skip
MIXTURE_NAMES = {"mixture", "mix"}
INSTRUMENTAL_NAMES = {"instrumental", "accompaniment", "no_vocals"}


def folder_songs(root: str | os.PathLike, source: str | None = None, license: str | None = None) -> Iterator[Song]:
    """List every audio file below `root` as one song, known by its suffix; hidden files are left out.

    A file called `Artist - Title` gives both; a `.stem.mp4` comes with its stems.

    Args:
        root: The folder.
        source: Name of the corpus, the first part of every id. Defaults to the name of the folder.
        license: The licence of all its songs, as it should be recorded.

    Raises:
        ValueError: `root` is not a folder.
    """
    root = existing_folder(root)
    source = source or root.resolve().name
    for _, files in walk(root):
        for path in files:
            if path.name.endswith(STEM_SUFFIX):
                yield stem_file_song(path, song_id(source, root, path), source, license)
            elif path.suffix.lower() in AUDIO_SUFFIXES:
                artist, title = artist_and_title(path.stem)
                yield Song(song_id(source, root, path), path, source, license, title, artist)


def stem_folder_songs(
    root: str | os.PathLike, source: str | None = None, license: str | None = None
) -> Iterator[Song]:
    """List every folder below `root` (or `root` itself) that holds a `vocals` file as one song.

    The instrumental is the file called `instrumental`, `accompaniment` or `no_vocals` if there is one, else the sum of
    all other audio files but `mixture` (or `mix`). That is the layout of MUSDB18-HQ and of what separators write.
    Arguments and errors are those of [`folder_songs`].
    """
    root = existing_folder(root)
    source = source or root.resolve().name
    for folder, files in walk(root):
        if song := stem_folder_song(folder, files, song_id(source, root, folder), source, license):
            yield song


def stem_file_song(path: Path, id: str, source: str, license: str | None) -> Song:
    """The song in the `.stem.mp4` file `path`."""
    artist, title = artist_and_title(path.name.removesuffix(STEM_SUFFIX))
    return Song(id, path, source, license, title, artist, (path,))


def stem_folder_song(folder: Path, files: list[Path], id: str, source: str, license: str | None) -> Song | None:
    """The song whose stems are `files` of `folder`, or `None` where no file is called `vocals`."""
    audio = {path.stem.lower(): path for path in files if path.suffix.lower() in AUDIO_SUFFIXES}
    vocals = audio.pop("vocals", None)
    if vocals is None:
        return None
    mixture = next((path for name, path in audio.items() if name in MIXTURE_NAMES), folder)
    instrumental = [path for name, path in audio.items() if name in INSTRUMENTAL_NAMES]
    others = instrumental[:1] or [path for name, path in audio.items() if name not in MIXTURE_NAMES]
    artist, title = artist_and_title(folder.name)
    return Song(id, mixture, source, license, title, artist, (vocals, *others))


def artist_and_title(name: str) -> tuple[str | None, str]:
    """Split `Artist - Title`; a name without the dash is a title."""
    artist, dash, title = name.partition(" - ")
    return (artist, title) if dash else (None, name)


def existing_folder(root: str | os.PathLike) -> Path:
    """`root` as a path, or a `ValueError` that says it is no folder."""
    root = Path(root)
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder; give the folder that holds the songs.")
    return root


def song_id(source: str, root: Path, path: Path) -> str:
    """`<source>/<path below root>`, with bytes that are not UTF-8 escaped so that it can be stored anywhere."""
    return f"{source}/{path.relative_to(root).as_posix()}".encode("utf-8", "backslashreplace").decode("utf-8")


def walk(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Every folder from `root` down with its files, hidden ones left out, in an order that no file system decides."""
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield Path(folder), [Path(folder, name) for name in sorted(files) if not name.startswith(".")]
