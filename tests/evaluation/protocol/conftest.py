# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""One evaluation of truth and noise, for all who look at what it leaves."""

from functools import partial

import pytest
from evaluating import evaluation, marks, write_pairs

from hafm_hf.evaluation.protocol.clips import pair_songs


@pytest.fixture(scope="session")
def pairs(songs, tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("evaluated") / "pairs", songs[:3])


@pytest.fixture(scope="session")
def evaluated(pairs):
    """The folder of an evaluation."""
    evaluation(pairs.parent / "out").run(partial(pair_songs, pairs), marks())
    return pairs.parent / "out"
