# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Reference sets on disk: embeddings or their statistics as safetensors, with a JSON file saying what they are of.

A Fréchet distance to a reference is comparable only with another to the same reference and the same embedder, so both
are named in the file and checked on loading.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from .frechet import EmbeddingStatistics


@dataclass(frozen=True)
class ReferenceAbout:
    """What a reference set is of.

    Attributes:
        embedder: `Embedder.name`, preset included, as "vggish-google".
        source: the audio in words a reader can follow, as "MUSDB18 test, instrumentals, 10 s clips".
        tracks: number of tracks the audio comes from.
        license: licence of that audio.
    """

    embedder: str
    source: str
    tracks: int
    license: str


@dataclass(frozen=True)
class Reference:
    """A reference set: what it is of, its statistics and, where kept, its embeddings [n, d] (a KAD needs them)."""

    about: ReferenceAbout
    statistics: EmbeddingStatistics
    embeddings: np.ndarray | None = None


def save_reference(reference: Reference, path: str | Path) -> None:
    """Writes `path` (which must end in .safetensors) and, beside it, the same name ending in .json."""
    path = _checked(path)
    statistics = reference.statistics
    tensors = {"count": np.array(statistics.count), "mean": statistics.mean, "scatter": statistics.scatter}
    if reference.embeddings is not None:
        tensors["embeddings"] = np.ascontiguousarray(reference.embeddings, dtype=np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial)
    about = asdict(reference.about) | {
        "count": statistics.count,
        "dimension": len(statistics.mean),
        "sha256": _sha256(partial),  # ties the two files together
    }
    os.replace(partial, path)
    partial.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, path.with_suffix(".json"))


def load_reference(path: str | Path, *, embedder: str | None = None) -> Reference:
    """Reads what `save_reference` wrote.

    Args:
        embedder: name of the embedder it is about to be compared with.

    Raises:
        ValueError: a file is missing or damaged, or the reference was made with another embedder.
    """
    path = _checked(path)
    try:
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if about["sha256"] != _sha256(path):
            raise ValueError("the .json beside it is of another file")
        tensors = load_file(path)
        reference = Reference(
            ReferenceAbout(**{name: about[name] for name in ReferenceAbout.__dataclass_fields__}),
            EmbeddingStatistics(int(tensors["count"]), tensors["mean"], tensors["scatter"]),
            tensors.get("embeddings"),
        )
    except FileNotFoundError as error:
        raise ValueError(
            f"{error.filename or path}: no such file; a reference is a .safetensors and a .json"
        ) from None
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ValueError(f"{path}: not a readable reference set ({error}); compute it again") from error
    if embedder is not None and embedder != reference.about.embedder:
        raise ValueError(
            f"{path}: made with {reference.about.embedder}, which does not compare with {embedder}: "
            "use that embedder, or compute a reference with this one"
        )
    return reference


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{path}: the name of a reference set ends in .safetensors")
    return path
