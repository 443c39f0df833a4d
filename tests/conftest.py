# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What all tests share: a tiny checkpoint, and the stand-in Hub as the fixture `hub_server`."""

import os


# Tests are small: a second thread costs more than it brings, most of all while other processes want the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest  # noqa: E402


pytest_plugins = ("hub_server",)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> str:
    """The folder of a whole random checkpoint; see `tiny_checkpoint`."""
    from tiny_checkpoint import make_model, make_processor

    folder = str(tmp_path_factory.mktemp("checkpoint") / "tiny")
    make_model().save_pretrained(folder)
    make_processor().save_pretrained(folder)
    return folder
