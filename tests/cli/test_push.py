# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm push` says why it could not; what it puts on the Hub is in `tests/test_round_trips.py`."""

from functools import partial

import pytest
from huggingface_hub import HfApi

from hafm_hf.cli import push
from hafm_hf.cli.main import main


@pytest.mark.parametrize(
    "folder, repo_id, named",
    [
        (None, "user/mine", "check the name and the connection"),
        (None, "a/b/c", "'a/b/c'"),
        ("/nowhere/at/all", "user/mine", "/nowhere/at/all is not a folder"),
    ],
)
def test_one_sentence(monkeypatch, capsys, checkpoint, folder, repo_id, named):
    monkeypatch.setattr(push, "HfApi", partial(HfApi, endpoint="http://127.0.0.1:9", token="any"))  # nobody is there
    assert main(["push", folder or checkpoint, repo_id]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hafm push: ") and line.endswith(".") and named in line
