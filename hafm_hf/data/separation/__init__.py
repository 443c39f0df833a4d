# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Songs to aligned (vocal, instrumental) pairs (paper, section 3.6), whatever the separator.

`demucs` is the default, `mdx` the network of the paper, `precomputed` takes stems at hand, `repet` needs no weights and
is for smoke tests. In every pair the two add up to the mixture: the vocal is estimated, the instrumental is the rest.
"""

from collections.abc import Iterable, Iterator
from importlib import import_module

from hafm_hf.data.corpora import Pair, Song
from hafm_hf.data.filters import Report

from .base import MixtureSeparator, PrecomputedStems, Separator


SEPARATORS = {
    "demucs": ".demucs:DemucsSeparator",
    "mdx": ".mdx:MdxSeparator",
    "precomputed": ".base:PrecomputedStems",
    "repet": ".repet:RepetSeparator",
}

__all__ = ["SEPARATORS", "MixtureSeparator", "PrecomputedStems", "Separator", "make_separator", "separate_songs"]


def make_separator(name: str = "demucs", **options) -> Separator:
    """The separator called `name`, one of `SEPARATORS`, built with the arguments of its class.

    Raises:
        ValueError: The name is unknown, or the model cannot be loaded.
        ImportError: The library that the separator needs is not installed.
    """
    if name not in SEPARATORS:
        raise ValueError(f"There is no separator {name!r}; choose one of {', '.join(SEPARATORS)}.")
    module, _, cls = SEPARATORS[name].partition(":")
    return getattr(import_module(module, __name__), cls)(**options)


def separate_songs(
    songs: Iterable[Song], separator: Separator, report: Report, min_seconds: float = 0.0
) -> Iterator[tuple[Song, Pair]]:
    """Separate song after song. One that is broken, silent or shorter than `min_seconds` is listed in `report`, with the
    reason, and left out; what is wrong with the separator itself is raised."""
    for song in songs:
        report.songs += 1
        try:
            pair = separator.separate_song(song)
        except (ValueError, OSError) as error:
            report.skip(song.id, error)
            continue
        if pair.duration < min_seconds:
            report.skip(song.id, f"{song.path} is {pair.duration:.2f} s long, shorter than {min_seconds:g} s.")
        elif not (pair.vocal.any() or pair.instrumental.any()):
            report.skip(song.id, f"{song.path} is silent.")
        else:
            yield song, pair
