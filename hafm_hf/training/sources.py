# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Tells what can be an id on the Hub from a mistyped path, before the network is asked."""

import re
from pathlib import Path


def is_hub_id(source: str) -> bool:
    return re.fullmatch(r"[\w.-]+/[\w.-]+", source) is not None


def folder_or_hub_id(source: str) -> str:
    """
    `source` as it is.

    Raises:
        ValueError: if it is neither.
    """
    if Path(source).is_dir() or is_hub_id(source):
        return source
    raise ValueError(f"{source} is neither a folder nor the id of a repository on the Hub (owner/name).")
