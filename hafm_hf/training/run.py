# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""From a recipe to a trained stage in its output folder; killed at any moment and started again, it goes on."""

from dataclasses import asdict
from pathlib import Path

import yaml
from huggingface_hub.errors import StrictDataclassError
from transformers import set_seed

from ..data.resume import differences, replacing
from ..modeling.modeling_hafm import HafmModel
from ..modeling.processing_hafm import HafmProcessor
from . import STAGES
from .arguments import HafmTrainingArguments
from .base_trainer import last_checkpoint
from .callbacks import ListenCallback
from .dataset import load_clips, stage_clips
from .locality import start_local
from .recipes import TRAINABLE, Recipe, dump_recipe, lora_config
from .sources import folder_or_hub_id
from .token_geometry import start_from_tokenizer
from .trainer import HafmTrainer


RECIPE_NAME = "recipe.yaml"


def train(recipe: Recipe) -> HafmTrainer:
    """
    Train a stage, or the rest of it where the output folder holds a checkpoint of the same recipe, and save it there.

    Raises:
        ValueError: if recipe, data, checkpoint and output folder do not fit together.
    """
    args = make_arguments(recipe)
    checkpoint = find_checkpoint(recipe, args)
    set_seed(args.seed)
    model = make_model(recipe)
    with args.main_process_first():  # the others find the dataset cached
        clips = load_clips(recipe.train_data)
        eval_clips = load_clips(recipe.eval_data) if recipe.eval_data else None
    train_dataset = stage_clips(clips, model.config, recipe.train_data)
    eval_dataset = stage_clips(eval_clips, model.config, recipe.eval_data) if recipe.eval_data else None

    processor = HafmProcessor.from_pretrained(folder_or_hub_id(recipe.processor)) if recipe.processor else None
    start(model, recipe, processor)
    trainer = HafmTrainer(model, args, processor, train_dataset=train_dataset, eval_dataset=eval_dataset)
    if recipe.listen_steps:
        band = HafmModel.from_pretrained(folder_or_hub_id(recipe.listen_with)) if recipe.listen_with else None
        heard = (eval_clips or clips).take(recipe.listen_clips)
        trainer.add_callback(ListenCallback(trainer, list(heard), recipe.listen_steps, band))

    if args.should_save:
        with replacing(Path(args.output_dir) / RECIPE_NAME) as file:
            file.write(dump_recipe(recipe).encode())
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model()
    trainer.save_state()
    return trainer


def make_arguments(recipe: Recipe) -> HafmTrainingArguments:
    evaluation = {"eval_strategy": "steps" if recipe.eval_data else "no"}
    return HafmTrainingArguments(**(evaluation | recipe.training))


def make_model(recipe: Recipe):
    """The stage, new or from a checkpoint, with a LoRA adapter where the recipe wants one."""
    stage = TRAINABLE[recipe.stage]
    try:
        if recipe.checkpoint is None:
            model = stage(stage.config_class(**recipe.model))
        else:
            model = stage.from_pretrained(folder_or_hub_id(recipe.checkpoint), dtype="float32", **recipe.model)
            if "window_seconds" in recipe.model and model.can_generate():  # and with it the context of windows
                model.generation_config.context_seconds = model.default_generation_settings()["context_seconds"]
    except StrictDataclassError as error:
        raise ValueError(f"A field of `model` has a value that does not fit: {error}") from error
    if recipe.lora is None:
        return model
    if recipe.checkpoint is None:
        raise ValueError("`lora` adapts a trained stage; name its `checkpoint`.")
    from peft import get_peft_model

    return get_peft_model(model, lora_config()(**recipe.lora))


def start(model, recipe: Recipe, processor: HafmProcessor | None) -> None:
    """What a new stage begins with where the recipe asks for more than random weights."""
    for name in ("start_from_tokenizer", "start_local"):
        if getattr(recipe, name) and recipe.checkpoint is not None:
            raise ValueError(f"`{name}` is for new stages; leave it or `checkpoint` out.")
    if recipe.stage not in STAGES and (recipe.start_from_tokenizer or recipe.start_local):
        raise ValueError(
            f"`start_from_tokenizer` and `start_local` are for HAFM's own stages; a {recipe.stage} has neither."
        )
    if recipe.stage not in STAGES and recipe.training.get("history_corruption"):
        raise ValueError(
            f"`history_corruption` is for HAFM's own stages; leave it out of a recipe for {recipe.stage}."
        )
    if recipe.start_from_tokenizer:
        if processor is None:
            raise ValueError("`start_from_tokenizer` needs the `processor` that made the data.")
        start_from_tokenizer(model, processor.audio_tokenizer)
    if recipe.start_local:
        start_local(model)


def find_checkpoint(recipe: Recipe, args: HafmTrainingArguments) -> str | None:
    """Where to go on: what `resume_from_checkpoint` names, or the newest checkpoint of the same recipe."""
    if args.resume_from_checkpoint is not None:
        return args.resume_from_checkpoint
    checkpoint, written = last_checkpoint(args.output_dir), Path(args.output_dir) / RECIPE_NAME
    if checkpoint is not None and written.exists():
        changed = differences(yaml.safe_load(written.read_text(encoding="utf-8")), asdict(recipe))
        if changed:
            raise ValueError(
                f"{args.output_dir} holds a run with another {', '.join(changed)}; choose another --output_dir, or go on "
                f"from it all the same with --resume_from_checkpoint {checkpoint}."
            )
    return checkpoint
