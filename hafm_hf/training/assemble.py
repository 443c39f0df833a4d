# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Stages, trained apart, and the processor whose tokens they speak, to one checkpoint."""

import os
import shutil
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, PreTrainedModel

from ..evaluation.baselines.modeling_singsong import SingSongForAccompaniment
from ..modeling.configuration_hafm import HafmConfig
from ..modeling.modeling_hafm import HafmModel
from ..modeling.processing_hafm import HafmProcessor
from . import STAGES
from .recipes import TRAINABLE
from .sources import folder_or_hub_id


SINGSONG_PARTS = ("seq2seq", "fine")


def assemble(
    folder: str | Path, stages: dict[str, str], processor: str | None = None
) -> HafmModel | SingSongForAccompaniment:
    """
    Write one checkpoint folder that `pipeline("vocal-accompaniment", model=folder)` loads.

    Args:
        folder: to write; it must not exist yet.
        stages: where each of `semantic`, `coarse` and `fine` is, or `seq2seq` and `fine` of a SingSong: the checkpoint of
            that stage, of a whole model, or a LoRA adapter, which is merged into the stage it was trained on.
        processor: checkpoint with processor and audio tokenizer; by default the first stage whose folder has one.

    Raises:
        ValueError: if the folder exists, a stage is another one, or the parts do not fit each other.
    """
    folder = Path(folder)
    if folder.exists():
        raise ValueError(f"{folder} exists; choose a new folder.")
    parts = {
        name: load_stage(name, folder_or_hub_id(stages[name]))
        for name in (SINGSONG_PARTS if "seq2seq" in stages else STAGES)
    }
    for part in parts.values():
        part.config.use_cache = True  # Trainer turns it off
    model = SingSongForAccompaniment.from_parts(**parts) if "seq2seq" in parts else join(parts)
    processor = HafmProcessor.from_pretrained(processor or find_processor(stages))
    check_vocabularies(parts, processor)

    unfinished = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    processor.save_pretrained(unfinished)
    os.replace(unfinished, folder)
    return model


def find_processor(stages: dict[str, str]) -> str:
    for source in stages.values():
        if (Path(source) / "processor_config.json").is_file():
            return source
    raise ValueError(f"None of {', '.join(stages.values())} has a processor; name a checkpoint that has.")


def load_stage(name: str, source: str) -> PreTrainedModel:
    if (Path(source) / "adapter_config.json").is_file():
        return load_adapted_stage(name, source)
    model_type = AutoConfig.from_pretrained(source).model_type
    if model_type not in (TRAINABLE[name].config_class.model_type, "hafm"):
        raise ValueError(f"{source} is a {model_type} checkpoint, not the {name} stage.")
    return TRAINABLE[name].from_pretrained(source)


def load_adapted_stage(name: str, source: str) -> PreTrainedModel:
    try:
        from peft import PeftConfig, PeftModel
    except ImportError as error:
        raise ValueError(f"{source} is a LoRA adapter; install what reads it with `pip install peft`.") from error

    config = PeftConfig.from_pretrained(source)
    # The weights have the same names and shapes in every stage.
    adapted = config.auto_mapping["base_model_class"]
    if adapted != STAGES[name].__name__:
        raise ValueError(f"{source} is an adapter of {adapted}, not of the {name} stage.")
    stage = load_stage(name, config.base_model_name_or_path)
    return PeftModel.from_pretrained(stage, source).merge_and_unload()


def join(stages: dict[str, PreTrainedModel]) -> HafmModel:
    try:
        config = HafmConfig(**{f"{name}_config": stage.config for name, stage in stages.items()})
    except StrictDataclassError as error:
        raise ValueError(f"The stages do not fit each other: {error.__cause__}") from error
    with torch.device("meta"):
        model = HafmModel(config)
    for name, stage in stages.items():
        setattr(model, name, stage)
    return model


def check_vocabularies(stages: dict[str, PreTrainedModel], processor: HafmProcessor) -> None:
    *_, coarse, fine = (stage.config for stage in stages.values())
    tokenizer = processor.audio_tokenizer.config
    needed = {
        "num_clusters": coarse.conditioning_vocab_size,
        "codebook_size": coarse.vocab_size,
        "num_codebooks": coarse.num_codebooks + fine.num_codebooks,
    }
    for name, value in needed.items():
        if getattr(tokenizer, name) != value:
            raise ValueError(
                f"The audio tokenizer has a `{name}` of {getattr(tokenizer, name)}, but the stages speak {value}; "
                "take the processor that made their training data."
            )
