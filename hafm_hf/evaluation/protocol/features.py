# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What is heard in a file, kept beside it, so that scoring again costs seconds.

Both measures of a clip, on the instrumental alone and on its mix with the vocal, come from one file of embeddings. All
mixes, those of the truth too, have the accompaniment at the loudness of the vocal: the level has a measure of its own.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hafm_hf.data.resume import replacing
from hafm_hf.modeling.loudness_hafm import mix

from ..adherence import Track
from ..audio_input import load_mono
from ..embedders import Embedder
from .clips import SAMPLING_RATE


KINDS = ("mix", "instrumental")
ARRAYS = ("sounding", "onsets", "beats", "chroma", "chords", "pitch_classes")


class FeatureFolder:
    """The features of recordings, in files of their own.

    Args:
        folder: where they are, or will be, kept.
        embedder: what makes the embeddings.
    """

    def __init__(self, folder: Path, embedder: Embedder):
        self.folder, self.embedder = folder, embedder

    def settings(self) -> dict[str, str]:
        """JSON values that decide the embeddings: the name of the embedder and a digest of its weights."""
        digest = hashlib.sha256()
        for module in vars(self.embedder).values():
            if isinstance(module, torch.nn.Module):
                for name, tensor in module.state_dict().items():
                    digest.update(name.encode() + tensor.cpu().numpy().tobytes())
        return {"embedder": self.embedder.name, "weights": digest.hexdigest()}

    def embeddings(
        self, key: str, vocal: Path, accompaniment: Path, kinds: Sequence[str] = KINDS
    ) -> dict[str, np.ndarray]:
        """Embeddings [n, d] of the mix and of the instrumental, as far as both recordings last."""

        def compute():
            tracks = [load_mono(path, None, SAMPLING_RATE) for path in (vocal, accompaniment)]
            length = min(map(len, tracks))
            tracks = [track[:length] for track in tracks]
            audio = {"mix": mix(*tracks, SAMPLING_RATE), "instrumental": tracks[1]}
            return {kind: self.embedder(audio[kind], SAMPLING_RATE) for kind in kinds}, {}

        return kept(self.folder / f"{key}.{self.embedder.name}.safetensors", compute)[0]

    def track(self, key: str, recording: Path, *, sung: bool) -> Track:
        """What the adherence measures look at, with the sung pitch only of a vocal."""

        def compute():
            track = Track(recording)
            track.drop_audio(sung=sung)
            numbers = {"duration": track.duration, "loudness": track.loudness}
            arrays = {name: vars(track)[name] for name in ARRAYS if name in vars(track)}
            return arrays | {name: np.array(number) for name, number in numbers.items()}, {"key": track.key or ""}

        arrays, about = kept(self.folder / f"{key}.track.safetensors", compute)
        track = object.__new__(Track)
        vars(track).update(arrays, key=about["key"] or None)
        vars(track).update({name: arrays[name].item() for name in ("duration", "loudness")})
        return track


def kept(path: Path, compute: Callable[[], tuple[dict, dict]]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and strings from the file `path`, computed and written first where it is missing or damaged."""
    try:
        with safe_open(path, "numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (FileNotFoundError, SafetensorError):
        arrays, about = compute()
        with replacing(path) as file:
            file.write(save({name: np.asarray(array, order="C") for name, array in arrays.items()}, about))
        return arrays, about
