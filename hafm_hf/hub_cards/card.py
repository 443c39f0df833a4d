# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The full model card of a checkpoint, from the template `model_card.md`."""

from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..modeling.card_hafm import CITATION, INTRODUCTION, METADATA


def full_card(
    model,
    repo_id: str,
    license: str | None = None,
    training: str | None = None,
    eval_results: list[EvalResult] | None = None,
) -> ModelCard:
    """
    Args:
        model (`HafmModel`): the card tells the shapes of its stages.
        repo_id (`str`): its name on the Hub, as in the code that the card shows.
        license (`str`, *optional*): of the weights, by its Hub name, such as `"cc-by-4.0"`.
        training (`str`, *optional*): Markdown that says how it was trained: data, recipe, duration.
        eval_results (`list[EvalResult]`, *optional*): what the Hub shows beside the model, see `card_results`.
    """
    name = repo_id.split("/")[-1]
    measured = {"eval_results": eval_results, "model_name": name} if eval_results else {}
    return ModelCard.from_template(
        ModelCardData(**METADATA, license=license, **measured),
        template_path=Path(__file__).with_name("model_card.md"),
        name=name,
        introduction=INTRODUCTION.format(repo_id=repo_id),
        stages=[stage_row(name, stage) for name, stage in model.stages.items()],
        total=f"{model.num_parameters() / 1e6:.1f} M",
        license=license,
        training=training,
        citation=CITATION,
    )


def stage_row(name: str, stage) -> dict[str, str]:
    config = stage.config
    return {
        "name": name,
        "tokens": f"{config.num_codebooks} x {config.frame_rate} a second of {config.vocab_size}",
        "shape": f"{config.num_hidden_layers} layers, width {config.hidden_size}, {config.num_attention_heads} heads",
        "window": f"{config.window_seconds:g} s",
        "parameters": f"{stage.num_parameters() / 1e6:.1f} M",
    }
