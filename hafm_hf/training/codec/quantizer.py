# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The residual vector quantizer of EnCodec in training (Défossez et al., 2022, section 3.2), which transformers leaves out.

The codebooks are those of `EncodecModel.quantizer`, moved by exponential averages and not by gradients.
"""

import torch
from sklearn.cluster import MiniBatchKMeans
from torch import nn
from tqdm.auto import tqdm


DECAY = 0.99
RARE = 0.1  # a code with less than this share of its fair use is dead


def quantize(quantizer: nn.Module, latents: torch.Tensor, num_codebooks: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Quantizes in training, and moves the codebooks to what they stand for.

    Args:
        quantizer: that of an `EncodecModel`.
        latents: `(batch, dim, frames)`.
        num_codebooks: how many of the codebooks, the first ones, to use.

    Returns:
        The quantized latents, with a gradient as if they were not (straight through), and the commitment loss.
    """
    residual, commitment = latents, latents.new_zeros(())
    for layer in quantizer.layers[:num_codebooks]:
        ids = layer.encode(residual.detach())
        chosen = layer.decode(ids)
        _move(layer.codebook, residual.detach().transpose(1, 2).flatten(0, 1), ids.flatten())
        commitment = commitment + nn.functional.mse_loss(residual, chosen)
        residual = residual - chosen
    quantized = latents - residual
    return latents + (quantized - latents).detach(), commitment / num_codebooks


@torch.no_grad()
def _move(codebook: nn.Module, vectors: torch.Tensor, ids: torch.Tensor) -> None:
    """One step of the averages of `vectors` `(n, dim)` by code, then dead codes become vectors drawn from among them."""
    counts = torch.zeros_like(codebook.cluster_size).index_add_(0, ids, torch.ones_like(vectors[:, 0]))
    sums = torch.zeros_like(codebook.embed_avg).index_add_(0, ids, vectors)
    codebook.cluster_size.lerp_(counts, 1 - DECAY)
    codebook.embed_avg.lerp_(sums, 1 - DECAY)
    fair = codebook.cluster_size.sum() / len(codebook.cluster_size)
    dead = codebook.cluster_size < RARE * fair
    if dead.any():
        drawn = vectors[torch.randint(len(vectors), (int(dead.sum()),), device=vectors.device)]
        codebook.cluster_size[dead] = fair
        codebook.embed_avg[dead] = drawn * fair
    codebook.embed.copy_(codebook.embed_avg / codebook.cluster_size[:, None])


@torch.no_grad()
def initialize_codebooks(quantizer: nn.Module, latents: torch.Tensor, fair_use: float, seed: int) -> None:
    """Sets each codebook to the k-means centroids of what the codebooks before it leave of `latents` `(n, dim)`.

    Args:
        fair_use: vectors per code and step in the training that follows.
    """
    residual = latents
    for layer in tqdm(quantizer.layers, desc="codebooks", unit="codebook"):
        codebook = layer.codebook
        kmeans = MiniBatchKMeans(codebook.codebook_size, batch_size=4096, n_init=1, max_iter=20, random_state=seed)
        centroids = torch.from_numpy(kmeans.fit(residual.numpy()).cluster_centers_).to(codebook.embed)
        codebook.embed.copy_(centroids)
        codebook.cluster_size.fill_(fair_use)
        codebook.embed_avg.copy_(centroids * fair_use)
        residual = residual - layer.codebook.decode(layer.codebook.encode(residual))


def perplexity(codes: torch.Tensor, codebook_size: int) -> list[float]:
    """Effective number of codes in use in each codebook: `2 ** entropy` of `codes` `(batch, codebooks, frames)`."""
    result = []
    for ids in codes.transpose(0, 1).flatten(1):
        shares = torch.bincount(ids, minlength=codebook_size) / ids.numel()
        result.append(float(torch.exp(torch.special.entr(shares).sum())))
    return result
