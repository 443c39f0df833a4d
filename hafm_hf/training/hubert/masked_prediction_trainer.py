# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`MaskedPredictionTrainer`: transformers' Trainer for a HuBERT, which asks the teachers for the labels."""

import torch
from torch import nn

from ..base_trainer import BaseTrainer
from .teachers import Teacher


class MaskedPredictionTrainer(BaseTrainer):
    """
    Trains a [`HubertForMaskedPrediction`] on a [`CropDataset`].

    The logs hold, beside the loss, `<teacher>_loss` and `<teacher>_accuracy` of the masked frames.

    Args:
        model, args:
            Those of `Trainer`.
        teachers (`dict[str, Teacher]`):
            What is predicted, in the order of the model's heads.
        kwargs:
            Those of `Trainer`.

    Raises:
        ValueError: if one process would train on several GPUs.
    """

    def __init__(self, model, args, teachers: dict[str, Teacher], **kwargs):
        if args.n_gpu > 1:
            raise ValueError(f"This process sees {args.n_gpu} GPUs; show it one with CUDA_VISIBLE_DEVICES=0.")
        super().__init__(model, args, **kwargs)
        self.teachers = nn.ModuleDict(teachers).to(args.device)
        self._sums = torch.zeros(2, len(teachers))
        self._steps = 0

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        frames = self.model._get_feat_extract_output_lengths(inputs["clean"].shape[-1])
        labels = [teacher(inputs["clean"])[:, :frames] for teacher in self.teachers.values()]
        outputs = model(inputs["input_values"], torch.stack(labels, dim=-1))
        self._sums += torch.stack([outputs.losses, outputs.accuracies]).float().cpu()
        self._steps += 1
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            losses, accuracies = (self._sums / self._steps).tolist()
            for name, loss, accuracy in zip(self.teachers, losses, accuracies, strict=True):
                logs |= {f"{name}_loss": loss, f"{name}_accuracy": accuracy}
            self._sums, self._steps = torch.zeros_like(self._sums), 0
        super().log(logs, start_time)
