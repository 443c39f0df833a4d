# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`HafmTrainer`: transformers' Trainer for one stage, with loss and accuracy of every codebook."""

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule
from transformers import EvalPrediction

from .arguments import HafmTrainingArguments
from .base_trainer import BaseTrainer
from .callbacks import EpochCallback
from .collator import IGNORED, HafmCollator
from .muon import MuonWithAdamW


class HafmTrainer(BaseTrainer):
    """
    Trains one stage on rows of the token columns.

    The loss of a step is the mean over all its tokens, however they are spread over accumulated batches and processes.
    The logs hold, beside the loss, `codebook_<q>_loss` and `codebook_<q>_accuracy` of every predicted codebook.

    Args:
        model (`HafmStageModel`, or a `PeftModel` of one):
            The stage.
        args (`HafmTrainingArguments`):
            How to train it.
        train_dataset, eval_dataset (`datasets.Dataset`, *optional*):
            Rows with at least the columns that `HafmCollator(model.config).columns` names.
        processor (`HafmProcessor`, *optional*):
            Saved with the model, so that a checkpoint holds the audio tokenizer whose tokens it speaks.
        kwargs:
            Those of `Trainer`.

    Raises:
        ValueError: if one process would train on several GPUs.
    """

    # compute_loss divides by the tokens of all accumulated batches.
    loss_is_scaled_for_ga = True

    def __init__(self, model, args: HafmTrainingArguments, processor=None, **kwargs):
        if args.n_gpu > 1:
            raise ValueError(
                f"This process sees {args.n_gpu} GPUs; start it with `accelerate launch`, or show it one with "
                "CUDA_VISIBLE_DEVICES=0."
            )
        super().__init__(
            model,
            args,
            data_collator=HafmCollator(model.config, seed=args.seed, history_corruption=args.history_corruption),
            compute_metrics=self._evaluation_metrics,
            preprocess_logits_for_metrics=token_scores,
            **kwargs,
        )
        self.processor = processor
        # Makes Trainer count the tokens of a step; compute_loss uses them, the model does not.
        self.model_accepts_loss_kwargs = True
        self.add_callback(EpochCallback(self.data_collator))
        self._training_sums = torch.zeros(model.config.num_codebooks, 3)

    def get_eval_dataloader(self, eval_dataset=None):
        # Evaluations are comparable only if they all see the same crops, and the conditioning.
        collator = self.data_collator
        self.data_collator = HafmCollator(collator.config, seed=collator.seed, training=False)
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = collator

    def create_optimizer(self, model=None):
        if self.optimizer is None and self.args.muon_learning_rate is not None:
            self.optimizer = MuonWithAdamW(
                self.model if model is None else model,
                muon_lr=self.args.muon_learning_rate,
                lr=self.args.learning_rate,
                betas=(self.args.adam_beta1, self.args.adam_beta2),
                eps=self.args.adam_epsilon,
                weight_decay=self.args.weight_decay,
            )
        return super().create_optimizer(model)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        outputs = model(**inputs)
        labels = inputs["labels"]
        if model.training:
            sums = codebook_sums(token_scores(outputs.logits.detach(), labels), labels, len(self._training_sums))
            self._training_sums = self._training_sums.to(sums.device) + sums
        # The model's loss is the mean over the tokens of this batch; those of the whole step are what counts. Each
        # process sees its own share, and their gradients are averaged.
        processes = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
        loss = outputs.loss * (labels != IGNORED).sum() / num_items_in_batch * processes
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs |= codebook_metrics(self.accelerator.reduce(self._training_sums))
            self._training_sums = torch.zeros_like(self._training_sums)
        super().log(logs, start_time)

    def _evaluation_metrics(self, prediction: EvalPrediction) -> dict[str, float]:
        scores, labels = torch.from_numpy(prediction.predictions), torch.from_numpy(prediction.label_ids)
        return codebook_metrics(codebook_sums(scores, labels, len(self._training_sums)))

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        if isinstance(self.model, FSDPModule):
            # A class made on the fly, and the code that would be saved with it is PyTorch's.
            type(self.model)._auto_class = None
        super()._save(output_dir, state_dict)
        if self.processor is not None and self.args.should_save:
            self.processor.save_pretrained(output_dir or self.args.output_dir)


def token_scores(logits: torch.Tensor, labels: torch.LongTensor) -> torch.Tensor:
    """Cross-entropy and correctness (0 or 1) of each token, `(batch, length, 2)`, of logits `(batch, length, vocab)`."""
    losses = nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="none")
    correct = logits.argmax(dim=-1) == labels
    return torch.stack([losses.view_as(labels), correct], dim=-1)


def codebook_sums(scores: torch.Tensor, labels: torch.LongTensor, num_codebooks: int) -> torch.Tensor:
    """Cross-entropy, correct tokens and tokens of each codebook, `(codebooks, 3)`, of scores `(batch, length, 2)`."""
    real = (labels != IGNORED)[..., None]
    counted = torch.cat([scores * real, real], dim=-1).unflatten(1, (-1, num_codebooks))
    return counted.sum((0, 1))


def codebook_metrics(sums: torch.Tensor) -> dict[str, float]:
    """Mean loss and accuracy of each codebook from `codebook_sums`."""
    metrics = {}
    for number, (loss, correct, tokens) in enumerate(sums.tolist(), start=1):
        metrics[f"codebook_{number}_loss"] = loss / tokens
        metrics[f"codebook_{number}_accuracy"] = correct / tokens
    return metrics
