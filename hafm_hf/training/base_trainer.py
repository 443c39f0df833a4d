# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`BaseTrainer`: what every training here mends in transformers' Trainer, and where one that was stopped goes on."""

import json
from pathlib import Path

from transformers import Trainer
from transformers.trainer import TRAINER_STATE_NAME, TRAINING_ARGS_NAME


class BaseTrainer(Trainer):
    """Trainer that takes no step after the last and saves no pickle beside the weights."""

    def _run_epoch(self, **kwargs):
        # Resumed after its last step, Trainer would make one more.
        if self.state.global_step < self.state.max_steps:
            super()._run_epoch(**kwargs)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        super()._save(output_dir, state_dict)
        if self.args.should_save:
            (Path(output_dir or self.args.output_dir) / TRAINING_ARGS_NAME).unlink()  # which nothing reads


def last_checkpoint(folder: str | Path) -> str | None:
    """The newest checkpoint in `folder` that was written to its end, which a killed run may have failed to do."""
    checkpoints = [path for path in Path(folder).glob("checkpoint-*") if path.name.split("-")[1].isdigit()]
    for path in sorted(checkpoints, key=lambda path: int(path.name.split("-")[1]), reverse=True):
        try:
            json.loads((path / TRAINER_STATE_NAME).read_text())  # the last of its files
        except (OSError, ValueError):
            continue
        return str(path)
    return None
