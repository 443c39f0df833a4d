# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""How the processes of a launch begin to work on songs: they find each other, and look at what there is to do."""

import hashlib
import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env

from hafm_hf.data.corpora import Song


def join_processes() -> PartialState:
    """This process among those of `accelerate launch` or `torchrun`, or alone, and the device it should use."""
    cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
    # Processes wait for each other at the end only, but then for as long as the longest song takes.
    return PartialState(cpu=cpu, timeout=timedelta(days=30))


def survey(songs: Iterable[Song]) -> dict[str, Any]:
    """How many songs there are, and a digest of what their corpus says of them.

    Raises:
        ValueError: There are none.
    """
    count, digest = 0, hashlib.sha256()
    for song in songs:
        count += 1
        digest.update(json.dumps([song.id, song.source, song.license]).encode())
    if count == 0:
        raise ValueError("There are no songs; check the folder and the kind of corpus.")
    return {"count": count, "digest": digest.hexdigest()}
