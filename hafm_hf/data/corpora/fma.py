# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""FMA (Defferrard, Benzi, Vandergheynst and Bresson, 2017): 106,574 songs of the Free Music Archive, each with a licence."""

import csv
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from .folder import existing_folder, song_id, walk
from .song import Song


# In the order in which Creative Commons writes them; the keys are found in every spelling the archive has used.
LICENSE_TERMS = {"attribution": "BY", "noncommercial": "NC", "noderiv": "ND", "sharealike": "SA"}


def fma_songs(
    root: str | os.PathLike,
    metadata: str | os.PathLike | None = None,
    licenses: Collection[str] | None = None,
    source: str = "fma",
) -> Iterator[Song]:
    """List the songs of FMA-Large (or of any other FMA size), `<root>/000/000002.mp3` and on.

    Args:
        root: The folder `fma_large`.
        metadata: The file `tracks.csv`. Defaults to `fma_metadata/tracks.csv` beside `root`.
        licenses: Keep only songs of these licence classes (see [`license_class`]), such as `{"CC0", "CC-BY"}`; a song
            without a licence on record is then left out. Keeps all by default.
        source: Name of the corpus, the first part of every id.

    Raises:
        ValueError: `root` is not a folder, or `metadata` cannot be read.
    """
    root = existing_folder(root)
    tracks = _read_tracks(Path(metadata or root.parent / "fma_metadata" / "tracks.csv"))
    for path in (path for _, files in walk(root) for path in files if path.suffix.lower() == ".mp3"):
        license, title, artist = tracks.get(path.stem.lstrip("0"), (None, None, None))
        if licenses is None or license_class(license) in licenses:
            yield Song(song_id(source, root, path), path, source, license, title, artist)


def license_class(text: str | None) -> str:
    """Name the class of a licence, whatever its spelling, version and country: `CC0`, `PD`, `CC-BY`, `CC-BY-SA`, `CC-BY-ND`,
    `CC-BY-NC`, `CC-BY-NC-SA`, `CC-BY-NC-ND`, or `other`.

    >>> license_class("Attribution-Noncommercial-Share Alike 3.0 United States")
    'CC-BY-NC-SA'
    """
    letters = "".join(filter(str.isalnum, (text or "").lower()))
    if "cc0" in letters:
        return "CC0"
    if "publicdomain" in letters:
        return "PD"
    terms = [short for term, short in LICENSE_TERMS.items() if term in letters]
    return "-".join(["CC", *terms]) if "BY" in terms else "other"


def _read_tracks(path: Path) -> dict[str, tuple[str | None, ...]]:
    """Licence, title and artist by track number. The table has two header rows, group and column, and a third that names the index."""
    columns = [("track", "license"), ("track", "title"), ("artist", "name")]
    limit = csv.field_size_limit(2**31 - 1)  # artists' biographies have no bound
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            header = list(zip(next(rows), next(rows), strict=True))
            indices = [header.index(column) for column in columns]
            next(rows)
            return {row[0]: tuple(row[index] or None for index in indices) for row in rows}
    except (OSError, ValueError, StopIteration, IndexError, csv.Error) as error:
        raise ValueError(f"{path} is not FMA's track table; give the tracks.csv of fma_metadata.zip.") from error
    finally:
        csv.field_size_limit(limit)
