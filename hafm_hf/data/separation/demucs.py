# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Separation with Demucs (Défossez 2021; Rouard, Massa and Défossez 2023) from safetensors on the Hub or on disk.

Demucs' own loader falls back to pickled weights and builds whatever class a file names; this one does neither.
"""

from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors import SafetensorError, safe_open

from .base import MixtureSeparator, file_digest


ARCHITECTURES = ("demucs.htdemucs.HTDemucs", "demucs.hdemucs.HDemucs", "demucs.demucs.Demucs")


class DemucsSeparator(MixtureSeparator):
    """Demucs without random shifts, so that a song always gives the same vocal.

    Args:
        model: A Hub repository or a folder that holds one bag (`<name>.yaml`) and its models (`<signature>.safetensors`).
        revision: Branch, tag or commit of the Hub repository.
        overlap: Of neighbouring segments, as a fraction.
        device: Where the model runs.

    Raises:
        ValueError: `model` does not hold a bag of Demucs models with a vocal output.
        ImportError: demucs is not installed.
    """

    name = "demucs"

    def __init__(
        self,
        model: str | Path = "adefossez/HTDemucs",
        revision: str | None = None,
        overlap: float = 0.25,
        device: str | torch.device = "cpu",
    ):
        folder = Path(model) if Path(model).is_dir() else _download(str(model), revision)
        self.bag, weights = _load_bag(folder)
        if "vocals" not in self.bag.sources or self.bag.audio_channels != 2:
            raise ValueError(f"{model} does not separate the vocals of a stereo mixture; choose another Demucs model.")
        self.sampling_rate = self.bag.samplerate
        self.overlap = overlap
        self.device = device
        self.parameters = {"model": str(model), "weights": weights, "overlap": overlap, "shifts": 0}

    @torch.no_grad()
    def estimate_vocal(self, mixture: np.ndarray, sampling_rate: int) -> np.ndarray:
        from demucs.apply import apply_model

        audio = torch.from_numpy(mixture)
        # The models were trained on mixtures normalised like this; undone below, it leaves levels as they were.
        mean, std = audio.mean(), audio.mean(dim=0).std() + 1e-8
        sources = apply_model(
            self.bag, ((audio - mean) / std)[None], shifts=0, overlap=self.overlap, device=self.device
        )
        return (sources[0, self.bag.sources.index("vocals")] * std + mean).numpy()


def _download(repository: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=["*.yaml", "*.safetensors"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise ValueError(f"{repository} is neither a folder nor a Hub repository that can be reached.") from error


def _load_bag(folder: Path):
    """The bag of models in `folder` and the digest of each file of weights."""
    try:
        from demucs.apply import BagOfModels
    except ImportError as error:
        raise ImportError("Separating with Demucs needs: pip install 'hafm-hf[separation]'.") from error

    descriptions = sorted(folder.glob("*.yaml"))
    if len(descriptions) != 1:
        raise ValueError(f"{folder} holds {len(descriptions)} .yaml files; a Demucs model folder has exactly one.")
    try:
        bag = yaml.safe_load(descriptions[0].read_text(encoding="utf-8"))
        paths = [folder / f"{signature}.safetensors" for signature in bag["models"]]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ValueError(f"{descriptions[0]} does not list the models of a bag.") from error
    models = [_load_model(path) for path in paths]
    return BagOfModels(models, bag.get("weights"), bag.get("segment")).eval(), [file_digest(path) for path in paths]


def _load_model(path: Path):
    from demucs.hf import load_safetensors_model

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be read; Demucs models are read from safetensors files only.") from error
    # Both name Python objects that Demucs would import and call: the class of the model, and that of a quantised state.
    if metadata.get("klass") not in ARCHITECTURES or "structure" in metadata:
        raise ValueError(f"{path} does not hold a Demucs model without quantisation; get it from a source you trust.")
    return load_safetensors_model(path)
