# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`HubertForMaskedPrediction`: a HuBERT with the heads that it is pre-trained with (Hsu et al., 2021, section 2)."""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import HubertConfig, HubertModel, HubertPreTrainedModel
from transformers.utils import ModelOutput


PROJECTION_SIZE = 128
TEMPERATURE = 0.1


@dataclass
class MaskedPredictionOutput(ModelOutput):
    """
    loss (`torch.FloatTensor`):
        Mean over targets, with a weight of the masked frames and one of the others.
    losses (`torch.FloatTensor` of shape `(targets,)`):
        Cross-entropy of the masked frames.
    accuracies (`torch.FloatTensor` of shape `(targets,)`):
        Share of the masked frames whose cluster comes first.
    """

    loss: torch.FloatTensor | None = None
    losses: torch.FloatTensor | None = None
    accuracies: torch.FloatTensor | None = None


class ClusterHead(nn.Module):
    """Scores each cluster by the cosine between its embedding and a projection of the frame (section 2.5, equation 3)."""

    def __init__(self, hidden_size: int, num_clusters: int):
        super().__init__()
        self.projection = nn.Linear(hidden_size, PROJECTION_SIZE)
        self.embeddings = nn.Linear(PROJECTION_SIZE, num_clusters, bias=False)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """`(..., hidden_size)` to logits `(..., num_clusters)`."""
        projected = nn.functional.normalize(self.projection(hidden_states), dim=-1)
        embeddings = nn.functional.normalize(self.embeddings.weight, dim=-1)
        return nn.functional.linear(projected, embeddings) / TEMPERATURE


class HubertForMaskedPrediction(HubertPreTrainedModel):
    """
    Predicts the clusters of masked frames, one for each of several clusterings (section 2.3, equation 2: an ensemble).

    Args:
        config (`HubertConfig`):
            `mask_time_prob` over `mask_time_length` is the share of frames at which a masked span begins.
        num_clusters (`list[int]`):
            Of each clustering.
        masked_weight (`float`):
            Weight of the masked frames in the loss, α of section 2.2; the others have the rest.
    """

    def __init__(self, config: HubertConfig, num_clusters: list[int], masked_weight: float = 1.0):
        super().__init__(config)
        self.masked_weight = masked_weight
        self.hubert = HubertModel(config)
        self.heads = nn.ModuleList(ClusterHead(config.hidden_size, clusters) for clusters in num_clusters)
        self.post_init()

    def forward(
        self,
        input_values: torch.Tensor,
        labels: torch.LongTensor,
        mask_time_indices: torch.BoolTensor | None = None,
    ) -> MaskedPredictionOutput:
        """
        Args:
            input_values: `(batch, samples)` at 16 kHz, of zero mean and unit variance.
            labels: `(batch, frames, targets)`, the cluster of every frame.
            mask_time_indices: `(batch, frames)`, which frames are masked. Drawn at random by default.
        """
        if mask_time_indices is None:
            mask_time_indices = self.draw_mask(labels.shape[:2])
        hidden_states = self.hubert(input_values, mask_time_indices=mask_time_indices).last_hidden_state
        masked, masked_labels = hidden_states[mask_time_indices], labels[mask_time_indices].T
        logits = [head(masked) for head in self.heads]
        losses = cross_entropies(logits, masked_labels)
        loss = self.masked_weight * losses.mean()
        if self.masked_weight < 1:
            heard, heard_labels = hidden_states[~mask_time_indices], labels[~mask_time_indices].T
            heard_losses = cross_entropies([head(heard) for head in self.heads], heard_labels)
            loss = loss + (1 - self.masked_weight) * heard_losses.mean()
        correct = [
            (scores.argmax(-1) == answer).float().mean() for scores, answer in zip(logits, masked_labels, strict=True)
        ]
        return MaskedPredictionOutput(loss, losses.detach(), torch.stack(correct))

    def draw_mask(self, shape: tuple[int, int]) -> torch.BoolTensor:
        """A mask `(batch, frames)` of spans that begin anywhere and may overlap, never of none."""
        length = self.config.mask_time_length
        starts = torch.rand(shape, device=self.device) < self.config.mask_time_prob / length
        starts[:, torch.randint(shape[1], ())] = True
        spans = nn.functional.pad(starts.float(), (length - 1, 0))
        return nn.functional.max_pool1d(spans, length, stride=1).bool()


def cross_entropies(logits: list[torch.Tensor], labels: torch.LongTensor) -> torch.Tensor:
    """Cross-entropy `(targets,)` of logits `(frames, clusters)` and labels `(targets, frames)`."""
    return torch.stack(
        [nn.functional.cross_entropy(scores.float(), answer) for scores, answer in zip(logits, labels, strict=True)]
    )
