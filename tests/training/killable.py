# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A training run that other processes can start and kill."""

import torch
from training.clips import make_clips, stage_config
from transformers import set_seed

from hafm_hf.training import STAGES
from hafm_hf.training.arguments import HafmTrainingArguments
from hafm_hf.training.base_trainer import last_checkpoint
from hafm_hf.training.trainer import HafmTrainer


def make_trainer(folder, stage: str = "coarse", clips=None, model=None, seed: int = 42, **arguments) -> HafmTrainer:
    """A trainer of a tiny stage on the CPU, always from the same weights; it logs every step."""
    set_seed(seed)
    model = model or STAGES[stage](stage_config(stage))
    defaults = {
        "per_device_train_batch_size": 2,
        "learning_rate": 1e-2,
        "warmup_steps": 2,
        "logging_steps": 1,
        "save_strategy": "no",
        "disable_tqdm": True,
    }
    args = HafmTrainingArguments(str(folder), use_cpu=True, seed=seed, **(defaults | arguments))
    clips = make_clips(7, 1.5) if clips is None else clips
    return HafmTrainer(model, args, train_dataset=clips, eval_dataset=clips)


def train_or_go_on(folder) -> None:
    """Six epochs of four steps, a checkpoint after every third step."""
    torch.set_num_threads(1)
    options = {"muon_learning_rate": 0.02, "history_corruption": 0.5}
    trainer = make_trainer(folder, max_steps=24, save_strategy="steps", save_steps=3, **options)
    trainer.train(resume_from_checkpoint=last_checkpoint(folder))
    trainer.save_model()
    trainer.save_state()
