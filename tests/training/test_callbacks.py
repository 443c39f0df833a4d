# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Listening: audio of the right length arrives in TensorBoard, and the training does not notice."""

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training.clips import make_clips, stage_config
from training.killable import make_trainer

from hafm_hf import DEFAULT_CHECKPOINT, HafmModel, HafmProcessor
from hafm_hf.training import STAGES
from hafm_hf.training.callbacks import ListenCallback


@pytest.fixture(scope="module")
def processor():
    return HafmProcessor.from_pretrained(DEFAULT_CHECKPOINT)


def logged(folder) -> EventAccumulator:
    (file,) = folder.rglob("events.out.tfevents.*")
    events = EventAccumulator(str(file))
    events.Reload()
    return events


def stage_of_the_band(stage: str):
    """An untrained stage with the vocabularies of the packaged checkpoint, always the same."""
    torch.manual_seed(0)
    return STAGES[stage](stage_config(stage, vocab_size=1024 if stage != "semantic" else 500, window_seconds=0.4,
                                      conditioning_vocab_size=1024 if stage == "fine" else 500))  # fmt: skip


@pytest.mark.parametrize("stage", ["coarse", "fine"])
def test_audio_of_each_clip_is_logged_beside_the_loss(stage, processor, tmp_path):
    trainer = make_trainer(tmp_path, model=stage_of_the_band(stage), max_steps=4, report_to="tensorboard")
    trainer.processor = processor
    trainer.add_callback(ListenCallback(trainer, list(make_clips(2)), steps=2))
    trainer.train()
    events = logged(tmp_path)
    assert "train/codebook_4_loss" in events.Tags()["scalars"]
    assert events.Tags()["audio"] == ["clip_1", "clip_2"]
    heard = events.Audio("clip_1")
    assert [audio.step for audio in heard] == [0, 2, 4]
    assert heard[0].sample_rate == 24_000 and heard[0].length_frames == 0.4 * 24_000
    assert heard[0].encoded_audio_string[:4] == b"RIFF"


def test_listening_leaves_the_training_as_it_was(processor, tmp_path):
    weights = []
    for steps in (None, 1):
        trainer = make_trainer(tmp_path, model=stage_of_the_band("fine"), max_steps=3, report_to="tensorboard")
        for layer in trainer.model.decoder.layers:
            layer.self_attn.attention_dropout = 0.1  # takes random numbers that listening must not use up
        trainer.processor = processor
        if steps:
            trainer.add_callback(ListenCallback(trainer, list(make_clips(1)), steps))
        trainer.train()
        weights.append(torch.cat([weight.detach().flatten() for weight in trainer.model.parameters()]))
    assert torch.equal(*weights)


@pytest.mark.parametrize("stage", list(STAGES))
def test_a_band_completes_the_stage_that_is_trained(stage, processor, tmp_path):
    band = HafmModel.from_pretrained(DEFAULT_CHECKPOINT)
    trainer = make_trainer(tmp_path, model=stage_of_the_band(stage), report_to="tensorboard")
    trainer.processor = processor
    callback = ListenCallback(trainer, list(make_clips(2, 0.4)), 1, band)
    before = callback.listen(trainer.model)
    assert before.shape == (2, 0.4 * 24_000)
    assert torch.equal(before, callback.listen(trainer.model))
    with torch.no_grad():
        for weight in trainer.model.parameters():
            weight.add_(torch.randn_like(weight))
    assert not torch.equal(before, callback.listen(trainer.model)), "it is the trained stage that is heard"


def test_what_cannot_be_heard_is_refused(processor, tmp_path):
    trainer = make_trainer(tmp_path, "semantic", report_to="tensorboard")
    with pytest.raises(ValueError, match="needs the `processor`"):
        ListenCallback(trainer, list(make_clips(1)), 1)
    trainer.processor = processor
    with pytest.raises(ValueError, match="semantic stage alone makes no audio"):
        ListenCallback(trainer, list(make_clips(1)), 1)
    with pytest.raises(ValueError, match="set `report_to: tensorboard`"):
        ListenCallback(make_trainer(tmp_path), list(make_clips(1)), 1)
