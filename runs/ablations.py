# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
What each idea is worth: a stage of hafm-tiny, trained without one idea at a time and otherwise alike.

    python runs/ablations.py --train-data OUT/data/train --eval-data OUT/data/validation --processor OUT/tokenizer \
        -o OUT/ablations [--stage coarse] [--steps 1000] [--variants no-qk-norm no-muon] [--field value ...]

All variants see the same batches under the same schedule; further `--field value` change the recipe of them all, as for
`hafm train`. Each has a folder of its own, goes on where it was stopped, and is left alone once it is done.

Prints a Markdown table, and writes it as OUT/ablations/STAGE.json, of the losses (cross-entropy in nats a token) on
validation songs with 95 % bootstrap intervals over songs: conditioned on the clip's own tokens (matched), on those of a
clip of another song (shuffled) and on nothing (dropped), and how much the first is worth (shuffled - matched). Differences
to the full model are paired by song.

To read it right:
* Intervals tell of other songs, not of other seeds: repeat with `--seed` into another folder.
* The local start and the bias in time are part of the relative bias, so `absolute-positions` has neither. What it lacks
  compared with the paper is its difference to `paper-positions`.
* The coarse stage is told the true semantic tokens, which somebody has to predict. The semantic stage's loss of those 50
  tokens a second is the price of what it gains over `no-semantic-stage`.
* Guidance (paper, section 3.5) is no matter of training: `hafm evaluate --guidance-scale` measures it.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm
from transformers import set_seed

from hafm_hf import HafmProcessor
from hafm_hf.data.resume import keep_settings, write_json
from hafm_hf.evaluation.bootstrap import bootstrap_interval
from hafm_hf.modeling.modeling_hafm import HafmEmbeddings, HafmStageModel
from hafm_hf.training import STAGES
from hafm_hf.training.base_trainer import last_checkpoint
from hafm_hf.training.collator import HafmCollator
from hafm_hf.training.dataset import load_clips, stage_clips
from hafm_hf.training.recipes import Recipe, load_recipe
from hafm_hf.training.run import make_arguments, make_model, start
from hafm_hf.training.sources import folder_or_hub_id
from hafm_hf.training.trainer import HafmTrainer, token_scores


CONDITIONINGS = ("matched", "shuffled", "dropped")


def remove_qk_norm(model: HafmStageModel) -> None:
    for layer in model.decoder.layers:
        layer.self_attn.q_norm = layer.self_attn.k_norm = nn.Identity()


class AbsoluteEmbeddings(HafmEmbeddings):
    """Embeddings of a stage to each of which that of its position in the sequence is added, learned as the others are."""

    def __init__(self, config):
        super().__init__(config)
        length = config.conditioning_length + config.window_frames * config.num_codebooks
        self.position = nn.Embedding(length, config.hidden_size)
        nn.init.normal_(self.position.weight, std=config.initializer_range)

    def embed_tokens(self, input_ids, position_ids):
        embeds = super().embed_tokens(input_ids, position_ids)
        return embeds + self.position(self.config.conditioning_length + position_ids)

    def embed_conditioning(self, conditioning, drop_conditioning):
        embeds = super().embed_conditioning(conditioning, drop_conditioning)
        sources = torch.arange(len(self.conditioning), device=embeds.device)
        frames = torch.arange(embeds.shape[1] // len(sources), device=embeds.device)
        return embeds + self.position((sources[:, None] * self.config.conditioning_window_frames + frames).flatten())


def use_absolute_positions(model: HafmStageModel) -> None:
    embeddings = AbsoluteEmbeddings(model.config)
    embeddings.load_state_dict(model.embeddings.state_dict(), strict=False)
    model.embeddings = embeddings
    relative = model.decoder.relative_position_bias.relative_attention_bias.weight
    nn.init.zeros_(relative).requires_grad_(False)


@dataclass(frozen=True)
class Variant:
    """What is left out: fields of the recipe, parts of the new model, or both; and of which stages it can be."""

    overrides: tuple[str, ...] = ()
    change: Callable[[HafmStageModel], None] | None = None
    stages: tuple[str, ...] = tuple(STAGES)


PAPER_POSITIONS = ("--start_local=false", "--conditioning_time_bias=false")
VARIANTS = {
    "full": Variant(),
    "no-qk-norm": Variant(change=remove_qk_norm),
    "paper-positions": Variant(PAPER_POSITIONS),
    "absolute-positions": Variant(PAPER_POSITIONS, use_absolute_positions),
    "no-semantic-stage": Variant(("--conditioning_sources=[vocal_semantic_ids]",), stages=("coarse",)),
    "no-local-start": Variant(("--start_local=false",)),
    "no-muon": Variant(("--muon_learning_rate=null",)),
    "no-history-corruption": Variant(("--history_corruption=0",), stages=("semantic", "coarse")),
    "no-time-bias": Variant(("--conditioning_time_bias=false",)),
}


def variant_losses(variant: Variant, recipe: Recipe) -> dict:
    """Losses of a variant on validation songs, see `song_losses`; those in its folder, or of the stage it now trains."""
    folder = Path(recipe.training["output_dir"])
    losses = folder / "losses.json"
    trainer = None if losses.exists() else make_trainer(variant, recipe)
    settings = asdict(recipe)
    del settings["training"]["output_dir"]  # folders may move
    keep_settings(folder / "recipe.json", settings, noted={})
    if trainer is not None:
        trainer.train(resume_from_checkpoint=last_checkpoint(folder))
        songs = songs_of(trainer.eval_dataset)
        measured = clip_losses(trainer.model, trainer.eval_dataset, songs, trainer.args.eval_batch_size)
        write_json(losses, song_losses(measured, songs))
    return json.loads(losses.read_text(encoding="utf-8"))


def make_trainer(variant: Variant, recipe: Recipe) -> HafmTrainer:
    """As `hafm train` does, but for the change to the new model; it may be no stage that the package could load."""
    args = make_arguments(recipe)
    set_seed(args.seed)
    model = make_model(recipe)
    train_dataset = stage_clips(load_clips(recipe.train_data), model.config, recipe.train_data)
    eval_dataset = whole_windows(recipe.eval_data, model.config)
    start(model, recipe, HafmProcessor.from_pretrained(folder_or_hub_id(recipe.processor)))
    if variant.change is not None:
        variant.change(model)
    return HafmTrainer(model, args, train_dataset=train_dataset, eval_dataset=eval_dataset)


def whole_windows(source: str, config):
    """The clips that fill a window, so that every token has as much to go by.

    Raises:
        ValueError: if fewer than two songs have any; conditioning is shuffled among songs.
    """
    clips = load_clips(source)
    clips = clips.select(np.flatnonzero(np.asarray(clips["duration"]) >= config.window_seconds))
    if len(set(songs_of(clips))) < 2:
        raise ValueError(f"{source} has no two songs with clips of {config.window_seconds} s; prepare more songs.")
    return stage_clips(clips, config, source)


def songs_of(clips) -> list[str]:
    return [str(clip_id).rsplit("@", 1)[0] for clip_id in clips["id"]]


@torch.no_grad()
def clip_losses(model: HafmStageModel, clips, songs: list[str], batch_size: int) -> dict[str, np.ndarray]:
    """Mean loss of every codebook on every clip, `(clips, codebooks)`, by what conditions it."""
    model.eval()
    collator, generator = HafmCollator(model.config, training=False), np.random.default_rng(0)
    partners = [generator.choice([i for i, other in enumerate(songs) if other != song]) for song in songs]
    losses = {name: [] for name in CONDITIONINGS}
    for first in tqdm(range(0, len(clips), batch_size), desc="validation", unit="batch"):
        rows = range(first, min(first + batch_size, len(clips)))
        matched, other = (collator([clips[int(i)] for i in chosen]) for chosen in (rows, [partners[i] for i in rows]))
        batches = {
            "matched": matched,
            "shuffled": matched | {source: other[source] for source in model.config.conditioning_sources},
            "dropped": matched | {"drop_conditioning": torch.ones(len(rows), dtype=torch.bool)},
        }
        for name, batch in batches.items():
            batch = {argument: value.to(model.device) for argument, value in batch.items()}
            scores = token_scores(model(**batch).logits, batch["labels"])[..., 0]
            losses[name].append(scores.unflatten(1, (-1, model.config.num_codebooks)).mean(dim=1).cpu().numpy())
    return {name: np.concatenate(batches) for name, batches in losses.items()}


def song_losses(losses: dict[str, np.ndarray], songs: list[str]) -> dict[str, dict[str, list[float]]]:
    """Means over the clips of each song: a loss for every codebook, by conditioning and song."""
    return {
        name: {
            song: clips[[i for i, other in enumerate(songs) if other == song]].mean(axis=0).tolist()
            for song in sorted(set(songs))
        }
        for name, clips in losses.items()
    }


def summarise(losses: dict[str, dict]) -> dict[str, dict[str, dict]]:
    """Losses of the variants as intervals over songs, by variant and conditioning: `loss`, the mean over codebooks (paper,
    equation 6), `codebooks`, and `to_full`, the difference of `loss` to the full model's."""
    arrays = {
        variant: {name: np.array(list(songs.values())) for name, songs in of_variant.items()}
        for variant, of_variant in losses.items()
    }
    for of_variant in arrays.values():
        of_variant["shuffled - matched"] = of_variant["shuffled"] - of_variant["matched"]
    return {
        variant: {
            name: {
                "loss": mean_interval(songs.mean(axis=1)),
                "codebooks": [mean_interval(codebook) for codebook in songs.T],
                "to_full": mean_interval((songs - arrays["full"][name]).mean(axis=1)),
            }
            for name, songs in of_variant.items()
        }
        for variant, of_variant in arrays.items()
    }


def mean_interval(values: np.ndarray) -> dict:
    return asdict(bootstrap_interval(values, np.mean))


def markdown(summary: dict[str, dict[str, dict]]) -> str:
    codebooks = len(summary["full"]["matched"]["codebooks"])
    header = ["variant", "conditioning", "loss", "to full", *(f"codebook {q + 1}" for q in range(codebooks))]
    rows = [header, ["---"] * len(header)]
    for variant, of_variant in summary.items():
        for name, row in of_variant.items():
            to_full = "" if variant == "full" else cell(row["to_full"], "+")
            rows.append([variant, name, cell(row["loss"]), to_full, *map(cell, row["codebooks"])])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def cell(interval: dict, sign: str = "") -> str:
    value, low, high = (f"{interval[key]:{sign}.3f}" for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0], allow_abbrev=False)
    parser.add_argument("--train-data", required=True, help="clips of `hafm prepare`")
    parser.add_argument("--eval-data", required=True, help="clips of other songs")
    parser.add_argument("--processor", required=True, help="checkpoint with the audio tokenizer that made the clips")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the runs and the table")
    parser.add_argument("--stage", choices=STAGES, default="coarse")
    parser.add_argument("--steps", type=int, help="instead of the recipe's")
    parser.add_argument("--variants", nargs="+", help="beside the full model (default: all of the stage)")
    args, overrides = parser.parse_known_args(arguments)
    known = [name for name, variant in VARIANTS.items() if args.stage in variant.stages]
    for name in set(args.variants or []) - set(known):
        parser.error(f"{name} is no variant of the {args.stage} stage; choose from {', '.join(known)}")

    for field in ("train_data", "eval_data", "processor"):
        overrides.append(f"--{field}={getattr(args, field)}")
    if args.steps is not None:
        overrides.append(f"--max_steps={args.steps}")
    losses = {}
    for name in dict.fromkeys(["full", *(args.variants or known)]):
        fields = [*overrides, *VARIANTS[name].overrides, f"--output_dir={args.out / args.stage / name}"]
        losses[name] = variant_losses(VARIANTS[name], load_recipe(f"recipes/hafm-tiny/{args.stage}.yaml", fields))

    summary = summarise(losses)
    write_json(args.out / f"{args.stage}.json", summary)
    print(markdown(summary))


if __name__ == "__main__":
    main()
