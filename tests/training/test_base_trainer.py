# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Where a training that was stopped goes on, that it ends at its last step, and what it leaves behind."""

import pytest
from training.killable import make_trainer

from hafm_hf.training.base_trainer import last_checkpoint


def test_a_torn_checkpoint_is_passed_over(tmp_path):
    for step in (6, 9, 12):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(f'{{"global_step": {step}}}')
    (tmp_path / "checkpoint-best").mkdir()
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-12")
    (tmp_path / "checkpoint-12" / "trainer_state.json").write_text('{"global_st')
    (tmp_path / "checkpoint-9" / "trainer_state.json").unlink()
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-6")
    assert last_checkpoint(tmp_path / "nowhere") is None


@pytest.mark.parametrize("steps", [3, 4])
def test_a_finished_run_is_not_trained_on(steps, tmp_path):
    """Whether or not the last step is the last of an epoch."""
    for _ in range(2):
        trainer = make_trainer(tmp_path, max_steps=steps, save_strategy="steps", save_steps=steps)
        trainer.train(resume_from_checkpoint=last_checkpoint(tmp_path))
        assert trainer.state.global_step == steps
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == [f"checkpoint-{steps}"]


def test_no_pickle_is_saved_with_the_model(tmp_path):
    make_trainer(tmp_path).save_model()
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".safetensors", ".py"}
