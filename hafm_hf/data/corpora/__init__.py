# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Where songs come from. A corpus lists its songs lazily, in an order that is the same on every machine, and decodes nothing."""

from .fma import fma_songs, license_class
from .folder import folder_songs, stem_folder_songs
from .musdb import musdb18_songs
from .song import Pair, Song, load_mixture, load_pair


CORPORA = {"folder": folder_songs, "stems": stem_folder_songs, "fma": fma_songs, "musdb18": musdb18_songs}

__all__ = [
    "CORPORA",
    "Pair",
    "Song",
    "fma_songs",
    "folder_songs",
    "license_class",
    "load_mixture",
    "load_pair",
    "musdb18_songs",
    "stem_folder_songs",
]
