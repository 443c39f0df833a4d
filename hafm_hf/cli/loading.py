# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The pipeline of a checkpoint; what is wrong with one in a single sentence."""

import os

import torch
from huggingface_hub.errors import HFValidationError, StrictDataclassError
from huggingface_hub.utils import validate_repo_id
from transformers import PreTrainedConfig, pipeline

from .. import TASK, HafmModel, HafmPipeline


def load_pipeline(checkpoint: str, device: str | None = None, dtype: str = "auto", **settings) -> HafmPipeline:
    """
    Args:
        checkpoint: a folder, or an id on the Hub.
        device, dtype, settings: as for `pipeline`.

    Raises:
        ValueError: if the checkpoint cannot be found, is damaged or is no HAFM, or the device is not there.
    """
    if device is not None:
        check_device(device)
    # Not by `pipeline`, which would bury the reason under tracebacks, and ask to trust code that is installed here.
    model = load_model(checkpoint, dtype)
    return pipeline(TASK, model=model, device=device, **settings)


def load_model(checkpoint: str, dtype: str) -> HafmModel:
    advice = "pass the folder or the Hub id of a HAFM checkpoint"
    try:
        if not os.path.isdir(checkpoint):
            validate_repo_id(checkpoint)
        model_type = PreTrainedConfig.get_config_dict(checkpoint)[0].get("model_type", "nothing")
        if model_type != HafmModel.config_class.model_type:
            raise ValueError(f"{checkpoint} is no HAFM checkpoint (its config.json says {model_type}); {advice}.")
        return HafmModel.from_pretrained(checkpoint, dtype=dtype)
    except HFValidationError as error:
        raise ValueError(f"{checkpoint} is not a folder; {advice}.") from error
    except StrictDataclassError as error:
        reason = str(error).split("Error: ")[-1].split(". ")[0].rstrip(".")
        raise ValueError(
            f"{checkpoint} has a faulty config.json ({reason}); correct it or download it again."
        ) from error
    except OSError as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise ValueError(f"{checkpoint} cannot be loaded ({reason}); {advice}.") from error


def check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"The device {device} cannot be used on this machine; leave it out for the best there is."
        ) from error
