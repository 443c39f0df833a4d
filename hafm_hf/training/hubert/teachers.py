# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Teachers: k-means clusters of features, which say what a HuBERT is to predict."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import nn
from tqdm.auto import tqdm
from transformers import HubertModel

from ...data.resume import replacing
from ..kmeans import cluster_use, fit_centroids


class HubertLayer(nn.Module):
    """Features of one layer of a trained HuBERT.

    Args:
        folder: The HuBERT.
        layer: Its transformer layer, counted from 1.
        bf16: Whether to compute in bfloat16.
    """

    def __init__(self, folder: str | Path, layer: int, bf16: bool = False):
        super().__init__()
        self.bf16 = bf16
        self.hubert = HubertModel.from_pretrained(folder, num_hidden_layers=layer).eval()

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """`[batch, samples]` to `[batch, frames, hidden_size]`."""
        with torch.autocast(waveforms.device.type, torch.bfloat16, enabled=self.bf16):
            return self.hubert(waveforms).last_hidden_state


class Teacher(nn.Module):
    """Labels every frame with its nearest cluster.

    Args:
        features: From waveforms `[batch, samples]` to features `[batch, frames, size]`.
        centroids: `[clusters, size]` of features that are standardised by `mean` and `deviation`, both `[size]`.
        perplexity: The number of clusters in use among the frames they were fitted on.
    """

    def __init__(
        self,
        features: Callable,
        centroids: torch.Tensor,
        mean: torch.Tensor,
        deviation: torch.Tensor,
        perplexity: torch.Tensor,
    ):
        super().__init__()
        self.features = features
        self.perplexity = perplexity.item()
        self.centroids, self.mean, self.deviation = (nn.Buffer(value) for value in (centroids, mean, deviation))

    @torch.no_grad()
    def forward(self, waveforms: torch.Tensor) -> torch.LongTensor:
        """`[batch, samples]` to labels `[batch, frames]`."""
        features = (self.features(waveforms).float() - self.mean) / self.deviation
        return (self.centroids.pow(2).sum(-1) - 2 * features @ self.centroids.T).argmin(-1)


def load_or_fit(
    path: Path, features: Callable, waveforms: Iterable[torch.Tensor], num_clusters: int, seed: int
) -> Teacher:
    """The teacher whose clusters are in the file `path`, or else are fitted and written there.

    Args:
        path: A `.safetensors` file.
        features: As in [`Teacher`].
        waveforms: What to fit on, `[samples]` each.
        num_clusters: Number of clusters.
        seed: Of the k-means.

    Raises:
        ValueError: There are fewer frames than clusters.
    """
    if not path.exists():
        with replacing(path) as file:
            file.write(save(fit(features, waveforms, num_clusters, seed)))
    return Teacher(features, **load_file(path))


@torch.no_grad()
def fit(
    features: Callable, waveforms: Iterable[torch.Tensor], num_clusters: int, seed: int
) -> dict[str, torch.Tensor]:
    """`centroids`, `mean`, `deviation` and `perplexity` of a [`Teacher`]."""
    frames = [features(waveform[None])[0].float() for waveform in tqdm(waveforms, desc="Features", unit="crop")]
    frames = torch.cat(frames)
    if len(frames) < num_clusters:
        raise ValueError(f"{num_clusters} clusters need at least as many frames, not {len(frames)}; add audio.")
    mean, deviation = frames.mean(0), frames.std(0) + 1e-5
    standardised = ((frames - mean) / deviation).numpy()
    centroids = fit_centroids(standardised, num_clusters, seed)
    use = cluster_use(standardised, {"all": np.ones(len(frames), bool)}, centroids)
    return {
        "centroids": torch.from_numpy(centroids),
        "mean": mean,
        "deviation": deviation,
        "perplexity": torch.tensor(use["perplexity"]["all"]),
    }
