# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Where a result came from: checkpoint, versions, and a JSON file that is written whole or not at all."""

import hashlib
import json
import os
import platform
import uuid
from importlib import metadata
from pathlib import Path


PACKAGES = ("hafm-hf", "transformers", "torch", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide what comes out."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}


def checkpoint_digest(model) -> str:
    """
    What identifies a checkpoint: the commit of a Hub repository, or the SHA-256 over a local folder's `config.json` and
    weights, whose files are read in the order of their names.
    """
    if getattr(model.config, "_commit_hash", None) is not None:
        return model.config._commit_hash
    folder = Path(model.config._name_or_path)
    digest = hashlib.sha256()
    for path in [folder / "config.json", *sorted(folder.rglob("*.safetensors"))]:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"


def write_json(path: Path, content: dict) -> None:
    """Write `content` to `path`, through a temporary file beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        unfinished.write_text(json.dumps(content, indent=2) + "\n")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
