# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The defaults are the paper's optimiser and schedule (section 3.5)."""

import pytest
import torch
from training.clips import make_clips, stage_config

from hafm_hf.training import STAGES
from hafm_hf.training.arguments import HafmTrainingArguments
from hafm_hf.training.trainer import HafmTrainer


def test_optimiser_and_schedule_are_the_papers(tmp_path):
    args = HafmTrainingArguments(str(tmp_path), use_cpu=True)
    trainer = HafmTrainer(STAGES["semantic"](stage_config("semantic")), args, train_dataset=make_clips(2))
    trainer.create_optimizer_and_scheduler(num_training_steps=100_000)
    optimizer, schedule = trainer.optimizer, trainer.lr_scheduler
    assert isinstance(optimizer, torch.optim.AdamW)
    assert {group["betas"] for group in optimizer.param_groups} == {(0.9, 0.98)}
    assert sorted(group["weight_decay"] for group in optimizer.param_groups) == [0.0, 0.01]
    assert args.max_grad_norm == 1.0

    rate = schedule.lr_lambdas[0]
    rates = {step: 3e-4 * rate(step) for step in (0, 2000, 4000, 52_000, 100_000)}
    assert rates == pytest.approx({0: 0, 2000: 1.5e-4, 4000: 3e-4, 52_000: (3e-4 + 1e-6) / 2, 100_000: 1e-6})


def test_half_precision_is_left_to_gpus(monkeypatch, tmp_path):
    assert not HafmTrainingArguments(str(tmp_path), use_cpu=True).fp16
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert not HafmTrainingArguments(str(tmp_path), use_cpu=True).fp16
