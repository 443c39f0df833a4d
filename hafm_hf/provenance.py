# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Where a result came from: checkpoint, settings and versions."""

import hashlib
import platform
from importlib import metadata
from pathlib import Path

from huggingface_hub import try_to_load_from_cache


PACKAGES = ("hafm-hf", "transformers", "torch", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide what comes out."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}


def checkpoint_digest(model) -> str:
    """
    What identifies a checkpoint: the commit of a Hub repository, or the SHA-256 over a local folder's `config.json` and
    weights, those of model and audio tokenizer, in the order of their names.
    """
    folder = Path(model.name_or_path)
    if not folder.is_dir():
        return Path(try_to_load_from_cache(model.name_or_path, "config.json")).parent.name
    digest = hashlib.sha256()
    weights = [*folder.glob("*.safetensors"), *folder.glob("audio_tokenizer/*.safetensors")]
    for path in [folder / "config.json", *sorted(weights)]:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"


def sampling_settings(model, **given: float | None) -> dict[str, dict]:
    """What each stage of a `HafmModel` samples with: what is `given` for all of them, else the stage's own settings."""
    names = ("do_sample", "temperature", "top_k", "guidance_scale", "context_seconds")
    settings = {}
    for stage_name, stage in model.stages.items():
        own = {name: getattr(stage.generation_config, name, None) for name in names}
        settings[stage_name] = own | {name: value for name, value in given.items() if value is not None}
        if given.get("temperature") is not None:
            settings[stage_name]["do_sample"] = given["temperature"] > 0
    return settings
