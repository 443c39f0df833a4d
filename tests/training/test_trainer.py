# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Gradients, logs, checkpoints and resuming of a stage's training, and that training teaches the stage something."""

import json
import multiprocessing
import random
import shutil
import signal
from pathlib import Path

import pytest
import torch
from datasets import concatenate_datasets
from safetensors.torch import load_file
from torch.distributed.fsdp import FSDPModule
from training.clips import make_clips, stage_config
from training.killable import make_trainer, train_or_go_on
from transformers import TrainerCallback

from hafm_hf import DEFAULT_CHECKPOINT, HafmProcessor
from hafm_hf.training import STAGES
from hafm_hf.training.collator import HafmCollator
from hafm_hf.training.trainer import HafmTrainer


@pytest.fixture(scope="module", params=["semantic", "coarse"])
def overfitted(request, tmp_path_factory):
    """A stage that was shown eight clips again and again, and those clips."""
    stage = request.param
    clips = make_clips(8, 0.24)
    config = stage_config(stage, window_seconds=0.24, hidden_size=64, intermediate_size=128)
    trainer = make_trainer(
        tmp_path_factory.mktemp(stage),
        clips=clips,
        model=STAGES[stage](config),
        per_device_train_batch_size=8,
        max_steps=200,
        logging_steps=50,
        warmup_steps=10,
        learning_rate=5e-3,
    )
    trainer.train()
    return trainer, clips


def test_a_stage_learns_eight_clips_by_heart_and_gives_them_back(overfitted):
    trainer, clips = overfitted
    model = trainer.model.eval()
    metrics = trainer.evaluate()
    assert metrics["eval_loss"] < 0.05
    assert metrics["eval_codebook_1_accuracy"] > 0.99

    batch = HafmCollator(model.config, training=False)(list(clips))
    labels = batch.pop("labels")
    tokens = model.generate(**batch, max_new_tokens=labels.shape[1], temperature=0, guidance_scale=1)
    assert (tokens[:, 1:] == labels).float().mean() > 0.99


def test_shuffled_conditioning_raises_the_loss_of_a_trained_stage(overfitted):
    trainer, clips = overfitted
    model = trainer.model.eval()
    batch = HafmCollator(model.config, training=False)(list(clips))
    with torch.no_grad():
        matched = model(**batch).loss
        for name in model.config.conditioning_sources:
            batch[name] = batch[name].roll(1, dims=0)
        shuffled = model(**batch).loss
    assert shuffled > 10 * matched


class GradientCallback(TrainerCallback):
    """Keeps the gradient of the last step."""

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.gradient = torch.cat([weight.grad.flatten() for weight in model.parameters()])


@pytest.mark.parametrize("stage", list(STAGES))
def test_accumulated_gradients_are_those_of_one_batch(stage, tmp_path):
    """Also where clips are shorter than the window, so that batches differ in tokens."""
    clips = concatenate_datasets([make_clips(2, 1.0), make_clips(4, 0.4).select([2, 3])])
    gradients, losses = [], []
    for batch_size, steps in ((4, 1), (1, 4), (2, 2)):
        trainer = make_trainer(
            tmp_path,
            stage,
            clips,
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=steps,
            max_steps=1,
            max_grad_norm=0.0,
        )
        callback = GradientCallback()
        trainer.add_callback(callback)
        trainer.train()
        gradients.append(callback.gradient)
        losses.append(trainer.state.log_history[0]["loss"])
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0], rtol=1e-4, atol=1e-6)
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=1e-5)


def test_logs_hold_loss_and_accuracy_of_every_codebook(tmp_path):
    trainer = make_trainer(
        tmp_path, max_steps=4, logging_steps=2, gradient_accumulation_steps=2, eval_strategy="steps", eval_steps=4
    )
    trainer.train()
    logs = trainer.state.log_history
    training = [log for log in logs if "loss" in log]
    (evaluation,) = [log for log in logs if "eval_loss" in log]
    assert len(training) == 2
    for log, prefix in ((training[0], ""), (training[1], ""), (evaluation, "eval_")):
        losses = [log[f"{prefix}codebook_{number}_loss"] for number in (1, 2, 3, 4)]
        assert sum(losses) / 4 == pytest.approx(log[f"{prefix}loss"], rel=1e-4)
        assert all(0 <= log[f"{prefix}codebook_{number}_accuracy"] <= 1 for number in (1, 2, 3, 4))
        assert f"{prefix}codebook_5_loss" not in log


def test_metrics_of_a_codebook_are_those_of_its_tokens(overfitted):
    """Against a plain loop over the tokens, where the second codebook is not what the stage has learnt."""
    trainer, clips = overfitted
    model = trainer.model.eval()
    codebooks = model.config.num_codebooks

    def disturb(clip):
        first, second, *others = clip["instrumental_codes"]
        return {"instrumental_codes": [first, second[::-1], *others]}

    clips = clips.select([0, 1, 2]).map(disturb)
    hits, losses = torch.zeros(codebooks), torch.zeros(codebooks)
    for clip in clips:
        batch = HafmCollator(model.config, training=False)([clip])
        with torch.no_grad():
            log_probabilities = model(**batch).logits[0].log_softmax(-1)
        for position, label in enumerate(batch["labels"][0]):
            hits[position % codebooks] += log_probabilities[position].argmax() == label
            losses[position % codebooks] -= log_probabilities[position, label]
    frames = 3 * batch["labels"].shape[1] // codebooks
    metrics = trainer.evaluate(clips)
    for name, sums in (("accuracy", hits), ("loss", losses)):
        measured = [metrics[f"eval_codebook_{number}_{name}"] for number in range(1, codebooks + 1)]
        assert measured == pytest.approx((sums / frames).tolist(), rel=1e-4, abs=1e-6)
    if codebooks > 1:
        assert hits[1] < hits.mean(), "the codebooks differ"


def test_evaluations_see_the_same_crops(tmp_path):
    trainer = make_trainer(tmp_path)
    first = trainer.evaluate()["eval_loss"]
    trainer.data_collator.set_epoch(5)
    assert trainer.evaluate()["eval_loss"] == first


def test_crops_change_from_epoch_to_epoch(tmp_path):
    trainer = make_trainer(tmp_path, max_steps=12)
    trainer.train()
    assert trainer.data_collator.epoch == 2, "the third epoch of four steps"


def test_reduced_precision_trains(tmp_path):
    trainer = make_trainer(tmp_path, max_steps=3, bf16=True)
    trainer.train()
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    assert losses[-1] < losses[0]
    assert next(trainer.model.parameters()).dtype == torch.float32


def curve(folder) -> list[dict]:
    """What a run logged of its steps, without the times."""
    history = json.loads((Path(folder) / "trainer_state.json").read_text())["log_history"]
    return [{name: value for name, value in log.items() if "runtime" not in name} for log in history if "loss" in log]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    train_or_go_on(folder)
    return folder


@pytest.mark.parametrize("step", [3, 6, 12])
def test_a_resumed_run_continues_the_same_curve(undisturbed, step, tmp_path):
    """From within the first and a later epoch, and from the end of one."""
    shutil.copytree(undisturbed / f"checkpoint-{step}", tmp_path / f"checkpoint-{step}")
    torch.manual_seed(step)
    train_or_go_on(tmp_path)
    assert curve(tmp_path) == curve(undisturbed)
    assert same_weights(tmp_path, undisturbed)


def same_weights(folder, other) -> bool:
    weights, others = (load_file(path / "model.safetensors") for path in (folder, other))
    return all(torch.equal(weights[name], others[name]) for name in weights)


def test_a_killed_run_started_again_ends_as_if_nothing_had_been(undisturbed, tmp_path):
    context, moments = multiprocessing.get_context("forkserver"), random.Random(0)
    context.set_forkserver_preload(["datasets", "hafm_hf.training.trainer"])
    for _ in range(3):
        checkpoints = len(list(tmp_path.glob("checkpoint-*")))
        process = context.Process(target=train_or_go_on, args=(tmp_path,))
        process.start()
        while process.is_alive() and len(list(tmp_path.glob("checkpoint-*"))) == checkpoints:
            process.join(0.01)
        process.join(moments.uniform(0, 0.1))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    train_or_go_on(tmp_path)
    assert curve(tmp_path) == curve(undisturbed)
    assert same_weights(tmp_path, undisturbed)


def test_one_process_does_not_take_several_gpus(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.args._n_gpu = 2
    with pytest.raises(ValueError, match="sees 2 GPUs; start it with `accelerate launch`"):
        HafmTrainer(trainer.model, trainer.args)


def test_a_sharded_model_is_not_saved_with_the_code_of_pytorch(tmp_path):
    trainer = make_trainer(tmp_path)
    # What fully_shard does to a model.
    trainer.model.__class__ = type("FSDPHafmCoarseModel", (FSDPModule, STAGES["coarse"]), {})
    trainer.save_model()
    assert not (tmp_path / Path(__file__).name).exists()
    assert STAGES["coarse"].from_pretrained(tmp_path).config.num_codebooks == 4


def test_the_processor_is_saved_with_the_stage_and_no_pickle_is(tmp_path):
    processor = HafmProcessor.from_pretrained(DEFAULT_CHECKPOINT)
    trainer = make_trainer(tmp_path)
    trainer.processor = processor
    trainer.save_model()
    loaded = HafmProcessor.from_pretrained(tmp_path)
    assert torch.equal(loaded.audio_tokenizer.centroids, processor.audio_tokenizer.centroids)
    assert type(trainer.model).from_pretrained(tmp_path).config.num_codebooks == 4
    kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert kinds <= {".safetensors", ".json", ".py"}
