# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Training arguments whose defaults are the paper's optimiser and schedule (section 3.5, "Training configuration")."""

import os
from dataclasses import dataclass, field

import torch
from transformers import TrainingArguments


@dataclass
class HafmTrainingArguments(TrainingArguments):
    r"""
    `transformers.TrainingArguments` with the defaults of the paper: AdamW with betas 0.9 and 0.98 and weight decay
    0.01, 4000 steps of linear warm-up to 3e-4, a cosine down to 1e-6, gradients clipped at norm 1.

    fp16 (`bool`, *optional*):
        Mixed precision with gradient scaling. By default on a GPU, as in the paper, unless `bf16` or the launcher's
        `mixed_precision` chooses otherwise.
    muon_learning_rate (`float`, *optional*):
        Train the matrices of the layers with Muon at this peak rate, and all else with AdamW as before. The paper has
        AdamW alone.
    history_corruption (`float`, defaults to 0):
        Probability that a clip is trained with a partly wrong past, see `HafmCollator`. The paper has none.
    """

    learning_rate: float = 3e-4
    adam_beta2: float = 0.98
    weight_decay: float = 0.01
    warmup_steps: float = 4000
    lr_scheduler_type: str = "cosine_with_min_lr"
    lr_scheduler_kwargs: dict | str | None = field(default_factory=lambda: {"min_lr": 1e-6})
    fp16: bool | None = None
    muon_learning_rate: float | None = None
    history_corruption: float = 0.0
    disable_tqdm: bool | None = False
    # Every weight gets a gradient in every step.
    ddp_find_unused_parameters: bool | None = False
    # The collator needs columns that are no arguments of `forward`.
    remove_unused_columns: bool = False

    def __post_init__(self):
        # Where there is nothing else, bf16 would be refused if this were not said aloud.
        self.use_cpu = self.use_cpu or not torch.accelerator.is_available()
        if self.fp16 is None:
            launcher_chose = os.environ.get("ACCELERATE_MIXED_PRECISION", "no") != "no"
            self.fp16 = torch.cuda.is_available() and not (self.use_cpu or self.bf16 or launcher_chose)
        super().__post_init__()
