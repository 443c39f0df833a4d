# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The trainer that asks teachers for labels."""

import pytest
import torch
from song_files import write_stems
from transformers import HubertConfig, TrainingArguments, set_seed

from hafm_hf.training.hubert.acoustic import chroma, mfcc
from hafm_hf.training.hubert.crops import AudioFolder, CropDataset
from hafm_hf.training.hubert.masked_prediction import HubertForMaskedPrediction
from hafm_hf.training.hubert.masked_prediction_trainer import MaskedPredictionTrainer
from hafm_hf.training.hubert.teachers import load_or_fit


SHAPE = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_dim": (16, 16),
    "conv_kernel": (640, 1),
    "conv_stride": (320, 1),
    "num_conv_pos_embeddings": 4,
    "layerdrop": 0.0,
}


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    root = write_stems(tmp_path_factory.mktemp("songs"), count=2)
    return CropDataset(AudioFolder(root), 12, 9_600, seed=(0,))


@pytest.fixture(scope="module")
def teachers(crops, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teachers")
    waveforms = [crops.clean(index) for index in range(6)]
    return {
        name: load_or_fit(folder / f"{name}.safetensors", function, waveforms, clusters, seed=0)
        for name, function, clusters in (("mfcc", mfcc, 6), ("chroma", chroma, 4))
    }


def make_trainer(folder, crops, teachers, **arguments):
    set_seed(0)
    model = HubertForMaskedPrediction(HubertConfig(**SHAPE), [6, 4])
    defaults = {"per_device_train_batch_size": 2, "logging_steps": 1, "report_to": "none", "save_strategy": "no"}
    args = TrainingArguments(
        str(folder), use_cpu=True, remove_unused_columns=False, disable_tqdm=True, **(defaults | arguments)
    )
    return MaskedPredictionTrainer(model, args, teachers, train_dataset=crops)


def test_logs_hold_loss_and_accuracy_of_every_teacher(crops, teachers, tmp_path):
    trainer = make_trainer(tmp_path, crops, teachers, max_steps=4, logging_steps=2)
    trainer.train()
    logs = [logs for logs in trainer.state.log_history if "loss" in logs]
    assert len(logs) == 2
    for entry in logs:
        assert entry["loss"] == pytest.approx((entry["mfcc_loss"] + entry["chroma_loss"]) / 2, rel=1e-4)
        assert 0 <= entry["mfcc_accuracy"] <= 1


def test_the_clean_crop_is_labelled_and_the_augmented_one_heard(crops, teachers, tmp_path):
    trainer = make_trainer(tmp_path, crops, teachers)
    batch = {name: torch.stack([crops[index][name] for index in range(2)]) for name in ("clean", "input_values")}

    def loss(**changed):
        torch.manual_seed(0)
        return trainer.compute_loss(trainer.model.eval(), batch | changed).item()

    labels = torch.stack([teacher(batch["clean"])[:, :29] for teacher in teachers.values()], dim=-1)
    as_computed = loss()
    torch.manual_seed(0)
    assert as_computed == pytest.approx(trainer.model(batch["input_values"], labels).loss.item())
    assert loss(clean=batch["clean"].flip(-1)) != loss()
    assert loss(input_values=batch["input_values"].flip(-1)) != loss()


def test_teachers_are_neither_trained_nor_saved(crops, teachers, tmp_path):
    before = {name: teacher.centroids.clone() for name, teacher in teachers.items()}
    trainer = make_trainer(tmp_path, crops, teachers, max_steps=2)
    trainer.train()
    trainer.save_model()
    assert all(torch.equal(teachers[name].centroids, centroids) for name, centroids in before.items())
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}


def test_it_learns(crops, teachers, tmp_path):
    trainer = make_trainer(tmp_path, crops, teachers, num_train_epochs=12, learning_rate=1e-2)
    trainer.train()
    losses = [logs["loss"] for logs in trainer.state.log_history if "loss" in logs]
    assert sum(losses[-6:]) < 0.8 * sum(losses[:6])


def test_one_process_does_not_take_several_gpus(crops, teachers, tmp_path):
    trainer = make_trainer(tmp_path, crops, teachers)
    trainer.args._n_gpu = 2
    with pytest.raises(ValueError, match="sees 2 GPUs"):
        MaskedPredictionTrainer(trainer.model, trainer.args, teachers)
