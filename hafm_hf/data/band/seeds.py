# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Seeds: which song belongs to which split, and independent random streams for the parts of one song."""

import zlib

import numpy as np


SPLITS = {
    "train": range(0, 1_000_000),
    "validation": range(1_000_000, 2_000_000),
    "test": range(2_000_000, 3_000_000),
}
"""The seeds of each split; `SPLITS["train"][:500]` are the first 500 songs to train on."""


def split_of(seed: int) -> str:
    """The split that `seed` belongs to: "train", "validation" or "test".

    Raises:
        ValueError: if the seed lies in no split.
    """
    for split, seeds in SPLITS.items():
        if seed in seeds:
            return split
    raise ValueError(f"Seed {seed} belongs to no split: give an integer from 0 to {SPLITS['test'].stop - 1}.")


def stream(seed: int, purpose: str) -> np.random.Generator:
    """A random stream of its own for one `purpose`, so that a change in one part of a song leaves the others alone."""
    return np.random.default_rng((seed, zlib.crc32(purpose.encode())))
