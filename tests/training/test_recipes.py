# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Every recipe of the package is one that works, and a mistake in a recipe is named."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch
import yaml
from accelerate.commands.config.config_args import load_config_from_file

from hafm_hf import training
from hafm_hf.evaluation.baselines.configuration_singsong import SHAPES
from hafm_hf.training import STAGES
from hafm_hf.training.recipes import TRAINABLE, Recipe, dump_recipe, load_recipe, packaged_recipes
from hafm_hf.training.run import make_arguments


PACKAGE = Path(training.__file__).parent
BASE = {stage: f"recipes/hafm-base/{stage}.yaml" for stage in STAGES}


@pytest.mark.parametrize("path", packaged_recipes())
def test_every_recipe_is_a_stage_and_arguments(path):
    recipe = load_recipe(path, ["--use_cpu", "true"])
    assert recipe.stage == Path(path).stem
    args = make_arguments(recipe)
    assert args.save_steps % args.logging_steps == 0, "a resumed run continues the same curve"
    stage = TRAINABLE[recipe.stage]
    with torch.device("meta"):
        model = stage(stage.config_class(**recipe.model))
    if recipe.lora is not None:
        from peft import LoraConfig, get_peft_model

        adapted = get_peft_model(model, LoraConfig(**recipe.lora))
        assert 0 < adapted.get_nb_trainable_parameters()[0] < 0.1 * model.num_parameters()


def test_the_packaged_recipes_are_all_there():
    kinds = ("hafm-base", "hafm-smoke", "hafm-tiny", "lora")
    assert packaged_recipes() == [f"recipes/{kind}/{stage}.yaml" for kind in kinds for stage in sorted(STAGES)] + [
        f"recipes/singsong-{shape}/seq2seq.yaml" for shape in sorted(SHAPES)
    ]


@pytest.mark.parametrize("shape", list(SHAPES))
def test_singsong_recipes_have_the_shapes_of_t5(shape):
    recipe = load_recipe(f"recipes/singsong-{shape}/seq2seq.yaml", ["--use_cpu", "true"])
    assert SHAPES[shape].items() <= recipe.model.items()
    args = make_arguments(recipe)
    if shape != "tiny":
        assert 7 * args.per_device_train_batch_size * args.gradient_accumulation_steps == 210


@pytest.mark.parametrize(
    ("stage", "batch", "seconds", "steps", "accumulation", "positions", "millions"),
    [
        ("semantic", 210, 10, 100_000, 1, 500 + 500, 38.5),
        ("coarse", 42, 5, 200_000, 2, 1500, 42.5),
        ("fine", 140, 3, 150_000, 1, 900, 44.1),
    ],
)
def test_base_recipes_are_table_1(stage, batch, seconds, steps, accumulation, positions, millions):
    recipe = load_recipe(BASE[stage], ["--use_cpu", "true"])
    args = make_arguments(recipe)
    config = STAGES[stage].config_class(**recipe.model)
    assert 7 * args.per_device_train_batch_size == batch
    assert args.gradient_accumulation_steps == accumulation
    assert args.max_steps == steps
    assert config.window_seconds == seconds
    target = config.window_frames * config.num_codebooks
    assert (target + config.conditioning_length if stage == "semantic" else target) == positions
    assert len(config.conditioning_sources) + 1 == {"semantic": 2, "coarse": 3, "fine": 2}[stage]
    with torch.device("meta"):
        assert STAGES[stage](config).num_parameters() / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize("stage", list(STAGES))
def test_base_recipes_state_the_papers_training_and_comment_every_field(stage):
    text = (PACKAGE / BASE[stage]).read_text()
    training = load_recipe(BASE[stage]).training
    stated = {"learning_rate": 3e-4, "adam_beta1": 0.9, "adam_beta2": 0.98, "weight_decay": 0.01, "max_grad_norm": 1.0}
    stated |= {
        "warmup_steps": 4000,
        "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr": 1e-6},
    }
    assert {name: training[name] for name in stated} == stated
    for line in text.splitlines():
        assert not re.match(r"\s*\w+:", line) or " # " in line, line
    assert {field.name for field in fields(Recipe)} - {"lora"} == set(yaml.safe_load(text))


def test_overrides_find_their_section():
    recipe = load_recipe(
        BASE["coarse"],
        ["--learning_rate", "1e-4", "--train_data=my songs", "--hidden-size", "64", "--model.use_cache=false"]
        + ["--training.lr_scheduler_kwargs", "{min_lr: 0}", "--eval_data", "null"],
    )
    assert recipe.training["learning_rate"] == 1e-4
    assert recipe.training["lr_scheduler_kwargs"] == {"min_lr": 0}
    assert recipe.train_data == "my songs" and recipe.eval_data is None
    assert recipe.model["hidden_size"] == 64 and recipe.model["use_cache"] is False


def test_a_recipe_survives_writing_and_reading(tmp_path):
    recipe = load_recipe(BASE["fine"], ["--learning_rate", "1e-4", "--train_data", "año nuevo/клипы"])
    (tmp_path / "recipe.yaml").write_text(dump_recipe(recipe))
    assert load_recipe(tmp_path / "recipe.yaml") == recipe


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--lerning_rate", "1"], "--lerning_rate is not a field; did you mean `learning_rate`"),
        (["--training.max_step", "1"], "`max_step` in `training` .*did you mean `max_steps`"),
        (["--model.hiden_size", "1"], "`hiden_size` in `model` .*did you mean `hidden_size`"),
        (["--train_dat", "x"], "--train_dat is not a field; did you mean `train_data`"),
        (["--stage", "corse"], "`stage` is 'corse'; choose semantic, coarse or fine"),
        (["--learning_rate"], "--learning_rate is not understood"),
        (["1e-4"], "1e-4 is not understood"),
        (["--lora.rank", "3"], "`rank` in `lora` .*did you mean"),
        (["--train_data", "null"], "does not say `train_data`"),
    ],
)
def test_mistakes_in_overrides_are_named(overrides, message):
    with pytest.raises(ValueError, match=message):
        load_recipe(BASE["coarse"], overrides)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stage: coarse\ntrain_dat: x\ntraining: {}", "`train_dat` in .*did you mean `train_data`"),
        ("stage: coarse\ntrain_data: x\ntraining: {wormup_steps: 3}", "`wormup_steps` .*did you mean `warmup_steps`"),
        ("stage: coarse\ntrain_data: x\ntraining: fast", "`training` .*must be a section"),
        ("stage: coarse\ntrain_data: [", "is not YAML"),
        ("only words", "is not a recipe"),
        ("", "is not a recipe"),
    ],
)
def test_mistakes_in_a_file_are_named(text, message, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_recipe(path)


def test_a_missing_recipe_is_an_error_that_names_those_there_are():
    with pytest.raises(ValueError, match="no recipe nowhere.yaml.*recipes/hafm-base/coarse.yaml"):
        load_recipe("nowhere.yaml")


@pytest.mark.parametrize("path", sorted((PACKAGE / "accelerate_configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_reads_its_configurations(path):
    config = load_config_from_file(str(path))
    assert config.num_processes == {"cpu": 1, "gpu": 1, "ddp": 7, "fsdp2": 7}[path.stem]
    if path.stem == "fsdp2":
        layers = {module.__class__.__name__ for module in _tiny_stage().modules()}
        assert config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"] in layers


def _tiny_stage():
    with torch.device("meta"):
        return STAGES["semantic"](STAGES["semantic"].config_class(num_hidden_layers=1))
