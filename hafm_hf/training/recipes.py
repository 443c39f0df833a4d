# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
Recipes: the YAML files that say which stage is trained, on what, and how.

Every field is checked against what it configures, so that a misspelt one is an error and not a silent default.
"""

import difflib
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from ..evaluation.baselines.modeling_singsong import SingSongSeq2SeqModel
from . import STAGES
from .arguments import HafmTrainingArguments


TRAINABLE = STAGES | {"seq2seq": SingSongSeq2SeqModel}
SECTIONS = ("training", "model", "lora")


@dataclass
class Recipe:
    r"""
    stage (`str`): `"semantic"`, `"coarse"` or `"fine"`; `"seq2seq"` is the T5 of the baseline SingSong.
    train_data (`str`): folder of Parquet shards that `hafm prepare` wrote, or a dataset on the Hub.
    training (`dict`): fields of `HafmTrainingArguments`.
    model (`dict`): fields of the stage's configuration; those left out are the paper's, or the checkpoint's.
    eval_data (`str`, *optional*): held-out clips, likewise.
    checkpoint (`str`, *optional*): start from these weights, a stage's or a whole model's.
    processor (`str`, *optional*): checkpoint with the audio tokenizer that made the data; saved with the stage.
    lora (`dict`, *optional*): fields of `peft.LoraConfig`; trains an adapter instead of the stage.
    start_from_tokenizer (`bool`, defaults to `False`): begin with embeddings that lie as the tokens of `processor` sound, see
        `token_geometry.py`; the paper's begin at random.
    start_local (`bool`, defaults to `False`): begin with attention that falls with distance, see `locality.py`; the paper's
        begins alike for all.
    listen_steps (`int`, *optional*): log audio this often; needs `processor`.
    listen_clips (`int`, defaults to 4): how many clips to listen to.
    listen_with (`str`, *optional*): checkpoint whose other stages complete the trained one, see `ListenCallback`.
    """

    stage: str
    train_data: str
    training: dict[str, Any]
    model: dict[str, Any] = field(default_factory=dict)
    eval_data: str | None = None
    checkpoint: str | None = None
    processor: str | None = None
    lora: dict[str, Any] | None = None
    start_from_tokenizer: bool = False
    start_local: bool = False
    listen_steps: int | None = None
    listen_clips: int = 4
    listen_with: str | None = None


class YamlLoader(yaml.SafeLoader):
    """YAML in which `3e-4` is a number, as everywhere else."""


YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def load_recipe(path: str | Path, overrides: list[str] = ()) -> Recipe:
    """
    Read a recipe.

    Args:
        path: the YAML file; where there is none, one of those that come with the package, as `recipes/hafm-base/coarse.yaml`.
        overrides: `["--learning_rate", "1e-4", "--model.use_cache=false", ...]`. A name without a section is looked up at
            the top of the recipe, then among the fields of `training`, `model` and `lora`.

    Raises:
        ValueError: if the file cannot be read, or a field does not exist; the message names the nearest that does.
    """
    content = read_yaml(find_recipe(path))
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not a recipe: it holds no fields.")
    for name in SECTIONS:
        if content.get(name) is not None and not isinstance(content[name], dict):
            raise ValueError(f"`{name}` of {path} must be a section with fields below it.")
    for name, value in split_overrides(overrides):
        override(content, name, value)
    check_fields(content, path)
    return Recipe(**content)


def find_recipe(path: str | Path) -> Path:
    for candidate in (Path(path), Path(__file__).parent / path):
        if candidate.is_file():
            return candidate
    raise ValueError(f"There is no recipe {path}, neither here nor in the package ({', '.join(packaged_recipes())}).")


def packaged_recipes() -> list[str]:
    folder = Path(__file__).parent
    return sorted(str(path.relative_to(folder)) for path in folder.glob("recipes/*/*.yaml"))


def read_yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=YamlLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error


def split_overrides(arguments: list[str]) -> list[tuple[str, Any]]:
    """`["--a", "1", "--b=x"]` to `[("a", 1), ("b", "x")]`."""
    pairs, arguments = [], list(arguments)
    while arguments:
        name, *value = arguments.pop(0).split("=", 1)
        if not name.startswith("--") or not (value or arguments):
            raise ValueError(f"{name} is not understood; give overrides as `--field value`.")
        text = value[0] if value else arguments.pop(0)
        pairs.append((name.removeprefix("--").replace("-", "_"), yaml.load(text, Loader=YamlLoader)))
    return pairs


def override(content: dict[str, Any], name: str, value: Any) -> None:
    section, _, key = name.rpartition(".")
    if not section and name not in field_names(Recipe):
        known = known_fields(content)
        section = next((section for section in SECTIONS if name in known[section]), None)
        if section is None:
            everywhere = [*field_names(Recipe), *known["training"], *known["model"], *known["lora"]]
            raise ValueError(misspelt(f"--{name}", name, everywhere))
    if section:
        content[section] = (content.get(section) or {}) | {key: value}
    else:
        content[name] = value


def check_fields(content: dict[str, Any], path: str | Path) -> None:
    for name in content:
        if name not in field_names(Recipe):
            raise ValueError(misspelt(f"`{name}` in {path}", name, field_names(Recipe)))
    for name in ("stage", "train_data", "training"):
        if content.get(name) is None:
            raise ValueError(f"{path} does not say `{name}`.")
    known = known_fields(content)
    for section in SECTIONS:
        for name in content.get(section) or {}:
            if name not in known[section]:
                raise ValueError(misspelt(f"`{name}` in `{section}` of {path}", name, known[section]))
    defaults = {field.name: field.default for field in fields(HafmTrainingArguments)}  # which checks no types itself
    for name, value in content["training"].items():
        if isinstance(defaults[name], (bool, int, float)) and isinstance(value, str):
            kind = "true or false" if isinstance(defaults[name], bool) else "a number"
            raise ValueError(f"`{name}` in `training` of {path} is {value!r}; it must be {kind}.")


def known_fields(content: dict[str, Any]) -> dict[str, list[str]]:
    stage = content.get("stage")
    if stage not in TRAINABLE:
        raise ValueError(f"`stage` is {stage!r}; choose semantic, coarse or fine, or seq2seq for SingSong.")
    known = {"training": field_names(HafmTrainingArguments), "lora": []}
    known["model"] = field_names(TRAINABLE[stage].config_class)
    if content.get("lora") is not None:
        known["lora"] = field_names(lora_config())
    return known


def field_names(cls) -> list[str]:
    return [field.name for field in fields(cls) if field.init]


def lora_config() -> type:
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise ValueError("LoRA needs peft; install it with `pip install peft`.") from error
    return LoraConfig


def misspelt(where: str, name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)
    return f"{where} is not a field; did you mean `{nearest[0]}`?" if nearest else f"{where} is not a field."


def dump_recipe(recipe: Recipe) -> str:
    """The recipe, overrides included, as YAML."""
    return yaml.safe_dump(asdict(recipe), sort_keys=False, allow_unicode=True)
