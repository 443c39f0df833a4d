# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Each variant lacks what its name says and nothing else, and all of them end in one table; what is done stays done."""

import importlib.util
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training.clips import make_clips, stage_config, write_shards

from hafm_hf.data.resume import differences
from hafm_hf.training import STAGES
from hafm_hf.training.collator import HafmCollator
from hafm_hf.training.recipes import load_recipe


SCRIPT = Path(__file__).parents[2] / "runs" / "ablations.py"
spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
sys.modules[SCRIPT.stem] = ablations = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ablations)

CONDITIONINGS = ["matched", "shuffled", "dropped", "shuffled - matched"]
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
SMALL |= {"window_seconds": 0.24, "per_device_train_batch_size": 2, "save_steps": 1, "logging_steps": 1}
SMALL |= {"use_cpu": "true", "disable_tqdm": "true"}


def prepared_clips(songs: int, seconds: float = 0.48):
    """Two clips of each song, named as `hafm prepare` names them."""
    clips = make_clips(2 * songs, seconds)
    return clips.map(lambda clip, i: {"id": f"song@home-{i // 2}@{i % 2}.00"}, with_indices=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_shards(folder / "train", prepared_clips(3))
    write_shards(folder / "validation", prepared_clips(4))
    return folder


def arguments(data, checkpoint, out, *more, steps=2) -> list[str]:
    given = {"--train-data": data / "train", "--eval-data": data / "validation", "--processor": checkpoint}
    given |= {"--out": out, "--steps": steps} | {f"--{name}": value for name, value in SMALL.items()}
    return [*(str(word) for pair in given.items() for word in pair), *more]


@pytest.fixture(scope="module")
def done(data, checkpoint, tmp_path_factory):
    """All variants of the coarse stage, trained for two steps, and the batches that each was trained on."""
    out, batches = tmp_path_factory.mktemp("ablations"), {}
    with pytest.MonkeyPatch.context() as patch:
        collate = HafmCollator.__call__

        def listen(collator, clips):
            if collator.training:
                batches.setdefault(len(list(out.glob("coarse/*/losses.json"))), []).append(clips)
            return collate(collator, clips)

        patch.setattr(HafmCollator, "__call__", listen)
        ablations.main(arguments(data, checkpoint, out))
    return out, batches


def test_the_table_has_every_variant_conditioning_and_codebook(done, data, checkpoint, capsys):
    out, _ = done
    ablations.main(arguments(data, checkpoint, out))
    header, _, *rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.strip().splitlines()]
    assert header == ["variant", "conditioning", "loss", "to full", *(f"codebook {q}" for q in (1, 2, 3, 4))]
    assert [row[:2] for row in rows] == [[name, kind] for name in ablations.VARIANTS for kind in CONDITIONINGS]

    table = json.loads((out / "coarse.json").read_text())
    for name, of_variant in table.items():
        for kind, row in of_variant.items():
            assert row["loss"]["count"] == 4, "songs, not clips"
            assert row["loss"]["low"] <= row["loss"]["value"] <= row["loss"]["high"]
            codebooks = [codebook["value"] for codebook in row["codebooks"]]
            assert row["loss"]["value"] == pytest.approx(np.mean(codebooks))
            difference = row["loss"]["value"] - table["full"][kind]["loss"]["value"]
            assert row["to_full"]["value"] == pytest.approx(difference, abs=1e-9)
            assert name == "full" or row["to_full"]["value"] != 0


def test_all_variants_are_trained_on_the_same_clips(done):
    _, batches = done
    seen = [[[clip["id"] for clip in clips] for clips in of_variant] for of_variant in batches.values()]
    assert len(seen) == len(ablations.VARIANTS) and len(seen[0]) > 1
    assert all(of_variant == seen[0] for of_variant in seen)


def weights(done, variant: str, step: int) -> dict[str, torch.Tensor]:
    return load_file(done[0] / "coarse" / variant / f"checkpoint-{step}" / "model.safetensors")


def test_variants_begin_with_the_same_weights(done):
    """The warm-up begins with a learning rate of zero, so the first step changes nothing."""
    full = weights(done, "full", 1)
    assert not torch.equal(full["lm_heads.0.weight"], weights(done, "full", 2)["lm_heads.0.weight"])
    for variant in ("no-qk-norm", "no-muon", "no-history-corruption"):
        begun = weights(done, variant, 1)
        assert all(torch.equal(begun[name], full[name]) for name in begun)
    assert sum("q_norm" in name for name in weights(done, "no-qk-norm", 1)) == 0


def test_a_finished_variant_is_left_alone_and_a_stopped_one_ends_as_if_it_had_not_been(
    done, data, checkpoint, tmp_path
):
    shutil.copytree(done[0], tmp_path, dirs_exist_ok=True)
    finished, stopped = (tmp_path / "coarse" / name for name in ("no-qk-norm", "absolute-positions"))
    losses = (stopped / "losses.json").read_text()
    (stopped / "losses.json").unlink()
    shutil.rmtree(stopped / "checkpoint-2")
    kept = [*finished.rglob("*"), *(stopped / "checkpoint-1").iterdir()]
    written = [path.stat().st_mtime_ns for path in kept]
    ablations.main(arguments(data, checkpoint, tmp_path, "--variants", finished.name, stopped.name))
    assert [path.stat().st_mtime_ns for path in kept] == written
    assert (stopped / "losses.json").read_text() == losses
    assert list(json.loads((tmp_path / "coarse.json").read_text())) == ["full", finished.name, stopped.name]


def test_what_was_begun_otherwise_is_not_mixed_in(done, data, checkpoint):
    with pytest.raises(ValueError, match="begun with training.max_steps 2, not 3"):
        ablations.main(arguments(data, checkpoint, done[0], "--variants", "no-muon", steps=3))


def test_a_variant_of_another_stage_is_refused(data, checkpoint, tmp_path, capsys):
    with pytest.raises(SystemExit):
        ablations.main(arguments(data, checkpoint, tmp_path, "--stage", "semantic", "--variants", "no-semantic-stage"))
    assert "no-semantic-stage is no variant of the semantic stage; choose from full" in capsys.readouterr().err


@pytest.mark.parametrize("stage", list(STAGES))
def test_variants_change_the_fields_of_the_recipe_that_they_name(stage):
    full = asdict(load_recipe(f"recipes/hafm-tiny/{stage}.yaml"))
    changed = {
        name: list(differences(full, asdict(load_recipe(f"recipes/hafm-tiny/{stage}.yaml", variant.overrides))))
        for name, variant in ablations.VARIANTS.items()
        if stage in variant.stages
    }
    positions = ["model.conditioning_time_bias", "start_local"]
    expected = {"full": [], "no-qk-norm": [], "paper-positions": positions, "absolute-positions": positions}
    if stage == "coarse":
        expected["no-semantic-stage"] = ["model.conditioning_sources"]
    expected |= {"no-local-start": ["start_local"], "no-muon": ["training.muon_learning_rate"]}
    if stage != "fine":
        expected["no-history-corruption"] = ["training.history_corruption"]
    assert changed == expected | {"no-time-bias": ["model.conditioning_time_bias"]}


def one_layer(stage: str, **config):
    torch.manual_seed(0)
    return STAGES[stage](stage_config(stage, num_hidden_layers=1, window_seconds=0.48, **config)).eval()


def batch_of(model) -> dict:
    return HafmCollator(model.config, training=False)(list(make_clips(2, 0.48)))


@torch.no_grad()
def test_without_qk_norm_the_scale_of_queries_matters():
    """With it, it does not; without it, attention is sharper where queries are larger."""
    moved = []
    for change in (lambda model: None, ablations.remove_qk_norm):
        model = one_layer("coarse")
        change(model)
        before = model(**batch_of(model)).logits
        queries, _, _ = model.decoder.layers[0].self_attn.qkv_proj.weight.chunk(3)
        queries.mul_(100)
        moved.append((model(**batch_of(model)).logits - before).abs().max())
    with_norm, without = moved
    assert with_norm < 1e-4 < 100 * with_norm < without


@torch.no_grad()
def test_order_is_told_by_absolute_positions_and_by_nothing_else():
    model = one_layer("semantic")
    ablations.use_absolute_positions(model)

    def last_logits(turned: str | None = None):
        batch = batch_of(model)
        if turned == "conditioning":
            batch["vocal_semantic_ids"] = batch["vocal_semantic_ids"].flip(-1)
        if turned == "tokens":
            batch["labels"][:, :-2] = batch["labels"][:, :-2].flip(-1)
        return model(**batch).logits[:, -1]

    def moved(turned: str) -> float:
        return (last_logits(turned) - last_logits()).abs().max()

    assert min(moved("conditioning"), moved("tokens")) > 1e-4
    model.embeddings.position.weight.zero_()
    assert max(moved("conditioning"), moved("tokens")) < 1e-6


@torch.no_grad()
def test_absolute_positions_run_on_from_the_conditioning_to_the_tokens():
    model = one_layer("coarse")
    relative = model.embeddings
    ablations.use_absolute_positions(model)
    positions, config = model.embeddings.position.weight, model.config
    batch = batch_of(model)
    sources = {name: batch[name][:, :-4] for name in config.conditioning_sources}  # of clips shorter than the window

    added = model.embeddings.embed_conditioning(sources, None) - relative.embed_conditioning(sources, None)
    window = config.conditioning_window_frames
    expected = torch.cat([positions[: window - 4], positions[window : 2 * window - 4]])
    torch.testing.assert_close(added, expected.expand_as(added))

    ids, index = batch["labels"], torch.arange(batch["labels"].shape[1])[None]
    added = model.embeddings.embed_tokens(ids, index) - relative.embed_tokens(ids, index)
    torch.testing.assert_close(added, positions[2 * window :].expand_as(added))


def test_absolute_positions_are_learned_and_the_relative_bias_is_not(done):
    begun, trained = weights(done, "absolute-positions", 1), weights(done, "absolute-positions", 2)
    assert not torch.equal(begun["embeddings.position.weight"], trained["embeddings.position.weight"])
    assert (trained["decoder.relative_position_bias.relative_attention_bias.weight"] == 0).all()


@torch.no_grad()
def test_losses_of_a_clip_are_those_with_its_own_tokens_another_songs_and_none():
    model = one_layer("coarse")
    clips = make_clips(2, 0.48).with_format("numpy")
    losses = ablations.clip_losses(model, clips, ["one", "other"], batch_size=1)
    batch = HafmCollator(model.config, training=False)(list(clips))
    sources = model.config.conditioning_sources
    expected = {
        "matched": model(**batch),
        "shuffled": model(**batch | {name: batch[name].flip(0) for name in sources}),
        "dropped": model(**batch, drop_conditioning=torch.ones(2, dtype=torch.bool)),
    }
    values = [losses[name].mean() for name in expected]
    assert values == pytest.approx([float(output.loss) for output in expected.values()], rel=1e-5)
    assert len(set(values)) == 3

    together = ablations.clip_losses(model, clips, ["one", "other"], batch_size=2)
    for name in expected:
        np.testing.assert_allclose(together[name], losses[name], rtol=1e-5)


def test_clips_are_shuffled_among_songs_and_not_within():
    model = one_layer("semantic")
    clips = make_clips(6, 0.48)
    same = [clips[i] | {"id": f"{i}"} for i in (0, 0, 0)] + [clips[3]]  # three clips of one song sound the same
    losses = ablations.clip_losses(model, same, ["one", "one", "one", "other"], batch_size=4)
    assert (losses["shuffled"] != losses["matched"]).all()


def test_songs_are_weighed_alike_however_many_clips_they_have():
    losses = {"matched": np.array([[1.0, 2.0], [5.0, 6.0], [3.0, 4.0]])}
    means = ablations.song_losses(losses, ["long", "short", "long"])
    assert means == {"matched": {"long": [2.0, 3.0], "short": [5.0, 6.0]}}


def test_clips_shorter_than_the_window_are_left_out(tmp_path):
    clips = [prepared_clips(2, 0.48), prepared_clips(3, 0.2)]
    for folder, some in zip(("long", "short"), clips, strict=True):
        write_shards(tmp_path / folder, some, shards=1)
    shutil.copy(tmp_path / "long" / "clips-00000.parquet", tmp_path / "short" / "long.parquet")
    kept = ablations.whole_windows(str(tmp_path / "short"), stage_config("coarse", window_seconds=0.4))
    assert ablations.songs_of(kept) == ["song@home-0"] * 2 + ["song@home-1"] * 2

    with pytest.raises(ValueError, match="short has no two songs with clips of 0.6 s; prepare more songs"):
        ablations.whole_windows(str(tmp_path / "short"), stage_config("coarse", window_seconds=0.6))
