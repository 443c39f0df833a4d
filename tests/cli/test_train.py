# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm train`: from a recipe and shards to a trained stage, in one process or several, at once or in pieces."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from training.clips import SHAPE, VOCABULARY, make_clips, write_shards

from hafm_hf import HafmCoarseModel
from hafm_hf.cli.main import main


RECIPE = {
    "stage": "coarse",
    "train_data": "data",
    "model": SHAPE
    | {
        "vocab_size": VOCABULARY["acoustic"],
        "conditioning_vocab_size": VOCABULARY["semantic"],
        "window_seconds": 0.4,
    },
    "training": {
        "output_dir": "out",
        "use_cpu": True,
        "per_device_train_batch_size": 4,
        "max_steps": 4,
        "learning_rate": 1e-2,
        "warmup_steps": 1,
        "logging_steps": 1,
        "disable_tqdm": True,
    },
}


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with `data` and `recipe.yaml`, which is where the commands run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    write_shards(tmp_path / "data", make_clips(8, 1.0))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return tmp_path


def weights(folder: str | Path) -> torch.Tensor:
    tensors = load_file(Path(folder) / "model.safetensors")
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)])


def curves(folder: str | Path) -> list[dict[str, float]]:
    """Losses and accuracies of each step."""
    history = json.loads((Path(folder) / "trainer_state.json").read_text())["log_history"]
    steps = [log for log in history if "loss" in log]
    return [{name: log[name] for name in log if name.endswith(("loss", "accuracy"))} for log in steps]


def test_a_recipe_becomes_a_stage(workplace, capsys):
    assert main(["train", "recipe.yaml", "--max_steps", "6", "--eval_data", "data", "--eval_steps=3"]) == 0
    assert capsys.readouterr().out.strip().endswith("out")
    assert HafmCoarseModel.from_pretrained("out").config.window_seconds == 0.4
    assert len(curves("out")) == 6
    history = json.loads(Path("out/trainer_state.json").read_text())["log_history"]
    assert [log["step"] for log in history if "eval_loss" in log] == [3, 6]
    assert yaml.safe_load(Path("out/recipe.yaml").read_text())["training"]["max_steps"] == 6


def test_the_same_command_goes_on_and_another_is_refused(workplace, capsys):
    command = ["train", "recipe.yaml", "--save_steps", "2"]
    assert main(command) == 0
    undisturbed = weights("out")
    Path("out/model.safetensors").unlink()
    Path("out/checkpoint-4/trainer_state.json").unlink()
    Path("out/checkpoint-4/optimizer.pt").write_bytes(b"torn")
    assert main(command) == 0
    assert torch.equal(weights("out"), undisturbed)
    assert curves("out") == curves("out/checkpoint-4")

    capsys.readouterr()
    assert main([*command, "--learning_rate", "0.5"]) == 2
    assert "out holds a run with another training.learning_rate; choose another" in capsys.readouterr().err
    assert torch.equal(weights("out"), undisturbed)


def test_a_checkpoint_can_be_trained_further_in_other_windows(workplace):
    assert main(["train", "recipe.yaml", "--max_steps", "1"]) == 0
    further = ["--checkpoint", "out", "--output_dir", "further", "--window_seconds", "0.2"]
    assert main(["train", "recipe.yaml", "--max_steps", "1", *further]) == 0
    assert torch.equal(weights("further"), weights("out")), "the first step of a warm-up changes nothing"
    stage = HafmCoarseModel.from_pretrained("further")
    assert (stage.config.window_seconds, stage.generation_config.context_seconds) == (0.2, 0.08)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--lerning_rate", "1"], "did you mean `learning_rate`?"),
        (["--hidden_size", "wide"], "A field of `model` has a value that does not fit"),
        (["--learning_rate", "fast"], "`learning_rate` in `training` of recipe.yaml is 'fast'; it must be a number"),
        (["--train_data", "nowhere"], "nowhere does not exist"),
        (["--train_data", "text.parquet"], "text.parquet lacks id, vocal_semantic, instrumental_semantic"),
        (["--checkpoint", "nowhere"], "nowhere is neither a folder nor"),
        (["--lora.r", "4"], "name its `checkpoint`"),
        (["--listen_steps", "2", "--report_to", "tensorboard"], "Listening needs the `processor`"),
    ],
)
def test_mistakes_are_one_sentence(workplace, overrides, message, capsys):
    make_clips(1).select_columns("source").to_parquet("text.parquet")
    capsys.readouterr()
    assert main(["train", "recipe.yaml", *overrides]) == 2
    error = capsys.readouterr().err.strip().split("\n")[-1]
    assert error.startswith("hafm train: ") and message in error


def test_two_processes_go_on_as_one_with_twice_the_batch(workplace):
    """From within the second epoch, with random crops, clips of unequal length and dropped conditioning."""
    write_shards(workplace / "data" / "short", make_clips(12, 0.3).select([8, 9, 10, 11]), shards=1)
    command = ["train", "recipe.yaml", "--max_steps", "8"]
    assert main([*command, "--save_steps", "4"]) == 0
    shutil.copytree("out/checkpoint-4", "two/checkpoint-4")

    # On a machine without GPUs, too, `--multi_gpu` is what starts several processes.
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2"]
    launch += ["--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]
    halves = ["--output_dir", "two", "--per_device_train_batch_size", "2"]
    subprocess.run([*launch, "-m", "hafm_hf.cli", *command, *halves], check=True)
    torch.testing.assert_close(weights("two"), weights("out"), rtol=1e-3, atol=1e-4)
    for step, expected in zip(curves("two"), curves("out"), strict=True):
        assert step == pytest.approx(expected, rel=1e-3)
