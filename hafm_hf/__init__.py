# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
HAFM for Hugging Face transformers: a singing voice goes in, an instrumental accompaniment comes out.

Importing this package registers the models with the Auto classes and the task `"vocal-accompaniment"` with `pipeline`.
"""

from pathlib import Path

from transformers import AutoConfig, AutoModel, AutoProcessor
from transformers.pipelines import PIPELINE_REGISTRY

from .modeling.audio_hafm import AudioClip, load_audio
from .modeling.configuration_hafm import HafmCoarseConfig, HafmConfig, HafmFineConfig, HafmSemanticConfig
from .modeling.configuration_hafm_audio_tokenizer import HafmAudioTokenizerConfig
from .modeling.loudness_hafm import mix
from .modeling.modeling_hafm import HafmCoarseModel, HafmFineModel, HafmModel, HafmSemanticModel
from .modeling.modeling_hafm_audio_tokenizer import HafmAudioTokenizer
from .modeling.pipeline_hafm import TASK, HafmPipeline
from .modeling.processing_hafm import HafmProcessor


__version__ = "0.1.0"

DEFAULT_CHECKPOINT = str(Path(__file__).parent / "checkpoints" / "hafm-tiny")

for config, model in (
    (HafmSemanticConfig, HafmSemanticModel),
    (HafmCoarseConfig, HafmCoarseModel),
    (HafmFineConfig, HafmFineModel),
    (HafmConfig, HafmModel),
    (HafmAudioTokenizerConfig, HafmAudioTokenizer),
):
    AutoConfig.register(config.model_type, config)
    AutoModel.register(config, model)
AutoProcessor.register(HafmConfig, HafmProcessor)
PIPELINE_REGISTRY.register_pipeline(
    TASK,
    pipeline_class=HafmPipeline,
    pt_model=AutoModel,
    default={"model": (DEFAULT_CHECKPOINT, None)},
    type="audio",
)

__all__ = [
    "DEFAULT_CHECKPOINT",
    "TASK",
    "AudioClip",
    "HafmAudioTokenizer",
    "HafmAudioTokenizerConfig",
    "HafmCoarseConfig",
    "HafmCoarseModel",
    "HafmConfig",
    "HafmFineConfig",
    "HafmFineModel",
    "HafmModel",
    "HafmPipeline",
    "HafmProcessor",
    "HafmSemanticConfig",
    "HafmSemanticModel",
    "load_audio",
    "mix",
]
