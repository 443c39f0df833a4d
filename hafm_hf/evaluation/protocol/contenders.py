# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The systems that are compared: checkpoints, and the short names of all others, as a command line gives them.

truth            the true accompaniment: what perfect looks like
codec            the truth, encoded and decoded by the tokenizer of hafm-tiny, or codec=CHECKPOINT: the ceiling
noise            as loud as the vocal: the floor
random=SONGS     accompaniments of other songs, those in the folder SONGS: chance
retrieval=SONGS  the one among them that fits key and tempo best, made to fit (paper, section 4.1)
folder=OUTPUTS   what another system made of the vocals: OUTPUTS/<clip>.wav for clips/isolated/<clip>.wav, or both
                 conditions in OUTPUTS/isolated and OUTPUTS/separated
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub.errors import HFValidationError

from hafm_hf import DEFAULT_CHECKPOINT, HafmPipeline, HafmProcessor
from hafm_hf.data.launch import survey
from hafm_hf.data.tokenize import tokenizer_digest
from hafm_hf.provenance import checkpoint_digest, sampling_settings

from ..baselines.base import AccompanimentSystem
from ..baselines.folder_system import FolderSystem
from ..baselines.marks import CodecCeiling, Noise, Truth
from ..baselines.model_system import ModelSystem
from ..baselines.modeling_singsong import SingSongForAccompaniment
from ..baselines.pool import pool_songs
from ..baselines.random_accompaniment import RandomAccompaniment
from ..baselines.retrieval import Retrieval
from .clips import CONDITIONS


@dataclass(frozen=True)
class Contender:
    """A system and its place among the others.

    Attributes:
        name: of its row and of its folder.
        settings: JSON values that decide what it plays; what was played with others is not gone on with.
        systems: what plays on the vocals of each condition; one that is not named is left out.
    """

    name: str
    settings: dict[str, Any]
    systems: Mapping[str, AccompanimentSystem]


def checkpoint_contender(accompany: HafmPipeline, guidance_scale: float | None = None) -> Contender:
    """The model of a pipeline, on the pipeline's device, with the settings of its checkpoint but for the guidance given.

    A stage that the checkpoint leaves unguided stays so.
    """
    name = Path(accompany.model.name_or_path).name
    settings = {
        "checkpoint": checkpoint_digest(accompany.model),
        "sampling": sampling_settings(accompany.model),
        "dtype": str(accompany.dtype).removeprefix("torch."),
    }
    changes = {}
    if guidance_scale is not None:
        name = f"{name} guidance {guidance_scale:g}"
        guided = [stage for stage, own in settings["sampling"].items() if own["guidance_scale"] != 1]
        changes = {f"{stage}_guidance_scale": guidance_scale for stage in guided}
    system = ModelSystem(name, accompany.model, accompany.processor, **changes)
    return everywhere(system, **settings, **changes)


class NamedSystems:
    """Makes contenders of short names, see above.

    Args:
        cache: folder for what is known of pools of songs.
        device: where models run.
    """

    def __init__(self, cache: Path, device: str = "cpu"):
        self.cache, self.device = cache, device

    def make(self, text: str) -> Contender:
        """The contender called `text`.

        Raises:
            ValueError: there is no such name, or what it needs is missing.
        """
        kind, _, argument = text.partition("=")
        if kind not in ARGUMENTS or bool(argument) < bool(ARGUMENTS[kind]):
            names = [f"{kind}={argument}" if argument else kind for kind, argument in ARGUMENTS.items()]
            raise ValueError(f"There is no system {text!r}; choose from {', '.join(names)}.")
        return getattr(self, kind)(argument)

    def truth(self, _: str) -> Contender:
        return everywhere(Truth())

    def noise(self, _: str) -> Contender:
        return everywhere(Noise())

    def codec(self, checkpoint: str) -> Contender:
        processor = from_checkpoint(HafmProcessor, checkpoint or DEFAULT_CHECKPOINT)
        return everywhere(CodecCeiling(processor), tokenizer=tokenizer_digest(processor))

    def random(self, folder: str) -> Contender:
        songs = pool_songs(folder)
        return everywhere(RandomAccompaniment(songs), pool=survey(songs))

    def retrieval(self, folder: str) -> Contender:
        songs = pool_songs(folder)
        return everywhere(Retrieval(songs, self.cache), pool=survey(songs))

    def singsong(self, checkpoint: str) -> Contender:
        model = from_checkpoint(SingSongForAccompaniment, checkpoint).to(self.device)
        system = ModelSystem(Path(checkpoint).name, model, from_checkpoint(HafmProcessor, checkpoint))
        return everywhere(system, checkpoint=checkpoint_digest(model), sampling=sampling_settings(model))

    def folder(self, folder: str) -> Contender:
        name = Path(folder).resolve().name
        parts = {condition: Path(folder, condition) for condition in CONDITIONS if Path(folder, condition).is_dir()}
        parts = parts or {"isolated": Path(folder)}
        return Contender(name, {}, {condition: FolderSystem(part, name) for condition, part in parts.items()})


ARGUMENTS = {
    "truth": "",
    "codec": "",
    "noise": "",
    "random": "SONGS",
    "retrieval": "SONGS",
    "singsong": "CHECKPOINT",
    "folder": "OUTPUTS",
}
"""The short names, and what they must be given."""


def everywhere(system: AccompanimentSystem, **settings: Any) -> Contender:
    """A contender that plays on the vocals of every condition."""
    return Contender(system.name, settings, dict.fromkeys(CONDITIONS, system))


def from_checkpoint(cls: type, checkpoint: str):
    """`cls.from_pretrained`, or a ValueError that names the checkpoint."""
    try:
        return cls.from_pretrained(checkpoint)
    except (OSError, HFValidationError) as error:
        raise ValueError(
            f"{checkpoint} holds no {cls.__name__} that can be reached; pass a whole checkpoint."
        ) from error
