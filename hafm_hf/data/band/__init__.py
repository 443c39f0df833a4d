# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The built-in band: songs with a sung voice, an accompaniment and known truth, rendered from a seed.

It makes data where none can be downloaded, and needs the extra `[band]`, tinysoundfont (installed with `--no-deps`), the
program espeak-ng and a General MIDI soundfont; `check_requirements` says what is missing. From score to sound:
`composition` says what is sung and played, `arrangement` and `performance` how, `instruments`, `voice` and `rooms` make it
sound, `render` writes songs.
"""

from .arrangement import arrange
from .composition import Song, compose
from .render import RenderedSong, render_song, render_songs
from .requirements import check_requirements, find_soundfont
from .seeds import SPLITS, split_of


__all__ = [
    "SPLITS",
    "RenderedSong",
    "Song",
    "arrange",
    "check_requirements",
    "compose",
    "find_soundfont",
    "render_song",
    "render_songs",
    "split_of",
]
