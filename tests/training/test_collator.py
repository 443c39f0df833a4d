# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Crops are aligned in time, and depend on nothing but seed, epoch and clip."""

import inspect

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from training.clips import make_clip, make_clips, stage_config

from hafm_hf.modeling.generation_hafm import deinterleave_codes
from hafm_hf.training import STAGES
from hafm_hf.training.collator import HafmCollator


STAGE_NAMES = list(STAGES)
SOURCES = ("vocal_semantic_ids", "instrumental_semantic_ids", "coarse_ids")


def clock(name: str = "clock", seconds: float = 8.0) -> dict:
    """A clip whose every token tells its frame, and whose codes also tell their codebook."""
    semantic, acoustic = np.arange(round(50 * seconds)), np.arange(round(75 * seconds))
    codes = acoustic + 1000 * np.arange(8)[:, None]
    return {
        "id": name,
        "vocal_semantic": semantic,
        "instrumental_semantic": semantic,
        "instrumental_codes": codes,
    }


def clock_config(stage: str):
    return stage_config(stage, vocab_size=8000, conditioning_vocab_size=8000)


def seconds_of(batch: dict, config) -> dict[str, torch.Tensor]:
    """When each token of a batch of clocks was: `(batch, codebooks, frames)` seconds for each stream."""
    codes = deinterleave_codes(batch["labels"], config.num_codebooks)
    streams = {name: batch[name] for name in SOURCES if name in batch} | {"labels": codes}
    rates = dict.fromkeys(streams, config.conditioning_frame_rate) | {"labels": config.frame_rate}
    return {name: (ids % 1000).reshape(len(ids), -1, ids.shape[-1]) / rates[name] for name, ids in streams.items()}


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_all_streams_are_cropped_in_the_same_span_of_time(stage):
    config = clock_config(stage)
    batch = HafmCollator(config)([clock(f"clock {number}") for number in range(50)])
    streams = seconds_of(batch, config)
    starts = streams["labels"][:, 0, 0]
    for seconds in streams.values():
        frames = round(seconds.shape[-1] / config.window_seconds)
        expected = starts[:, None, None] + torch.arange(seconds.shape[-1]) / frames
        torch.testing.assert_close(seconds, expected.expand_as(seconds))
        assert seconds.shape[-1] == round(config.window_seconds * frames)
    steps = starts / 0.04
    torch.testing.assert_close(steps, steps.round())
    assert len(steps.round().unique()) > 25, "starts are spread over the clip"
    assert starts.min() >= 0 and starts.max() <= 7.0


def test_codebooks_are_those_of_the_stage():
    books = {}
    for stage in ("coarse", "fine"):
        config = clock_config(stage)
        batch = HafmCollator(config)([clock()])
        books[stage] = (deinterleave_codes(batch["labels"], 4) // 1000)[0, :, 0].tolist()
    assert books == {"coarse": [0, 1, 2, 3], "fine": [4, 5, 6, 7]}
    assert (batch["coarse_ids"][0, :, 0] // 1000).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_a_batch_is_what_forward_takes(stage):
    config = stage_config(stage)
    model = STAGES[stage](config)
    batch = HafmCollator(config)([make_clip(0, 2.0), make_clip(1, 0.5)])
    assert set(batch) == {*config.conditioning_sources, "labels", "conditioning_mask", "drop_conditioning"}
    assert set(batch) <= set(inspect.signature(model.forward).parameters)
    assert model(**batch).loss.isfinite()


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_padding_changes_no_loss(stage):
    torch.manual_seed(0)
    config = stage_config(stage)
    model = STAGES[stage](config).eval()
    model.apply(lambda module: [weight.data.mul_(8) for weight in module.parameters(recurse=False)])
    collator = HafmCollator(config, training=False)
    clips = [make_clip(0, 1.0), make_clip(1, 0.52), make_clip(2, 0.25)]
    alone = [collator([clip]) for clip in clips]
    assert [batch["labels"].shape[1] for batch in alone] == [
        config.num_codebooks * round(seconds * config.frame_rate) for seconds in (1.0, 0.52, 0.24)
    ]
    assert all("conditioning_mask" not in batch for batch in alone)
    sizes = torch.tensor([batch["labels"].numel() for batch in alone], dtype=torch.float)
    with torch.no_grad():
        losses = torch.stack([model(**batch).loss for batch in alone])
        together = model(**collator(clips)).loss
    torch.testing.assert_close(together, (losses * sizes).sum() / sizes.sum())


def test_crops_depend_on_seed_epoch_and_clip_alone():
    config = clock_config("coarse")
    clips = [clock(f"clock {number}") for number in range(6)]
    collator = HafmCollator(config, seed=3)
    labels = collator(clips)["labels"]
    reversed_labels = collator(clips[::-1])["labels"].flip(0)
    assert torch.equal(labels, reversed_labels)
    assert torch.equal(labels[2:3], collator(clips[2:3])["labels"])
    assert torch.equal(labels, HafmCollator(config, seed=3)(clips)["labels"])
    assert not torch.equal(labels, HafmCollator(config, seed=4)(clips)["labels"])
    collator.set_epoch(1)
    assert not torch.equal(labels, collator(clips)["labels"])
    collator.set_epoch(0)
    assert torch.equal(labels, collator(clips)["labels"])


def test_workers_that_outlive_an_epoch_hear_of_the_next():
    collator = HafmCollator(clock_config("semantic"))
    clips = [clock(f"clock {number}") for number in range(4)]
    loader = DataLoader(clips, batch_size=4, collate_fn=collator, num_workers=1, persistent_workers=True)
    for epoch in (0, 1, 2):
        collator.set_epoch(epoch)
        (batch,) = loader
        assert torch.equal(batch["labels"], collator(clips)["labels"])


def test_conditioning_is_dropped_in_training_only():
    config = stage_config("semantic", conditioning_dropout=0.1)
    clips = [make_clip(number, 0.1) | {"id": str(number)} for number in range(2000)]
    dropped = HafmCollator(config)(clips)["drop_conditioning"]
    assert dropped.shape == (2000,) and 0.07 < dropped.float().mean() < 0.13
    assert "drop_conditioning" not in HafmCollator(config, training=False)(clips)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"instrumental_codes": np.zeros((3, 75), int)}, "codebooks 1 to 4 are needed"),
        ({"instrumental_codes": np.zeros((8, 150), int)}, "differ in length .*1.00 s.*2.00 s"),
        ({"instrumental_codes": np.full((8, 75), 30)}, "tokens from 30 to 30 in instrumental_codes"),
        ({"vocal_semantic": np.full(50, -1)}, "tokens from -1 to -1 in vocal_semantic"),
        (make_clip(0, 0.02), "shorter than 0.04 s"),
    ],
)
def test_clips_that_do_not_fit_are_named(change, message):
    with pytest.raises(ValueError, match=f"lip 'bad'.*{message}|lip 'bad' .*{message}"):
        HafmCollator(stage_config("coarse"))([make_clip(0) | change | {"id": "bad"}])


def test_rows_may_be_lists_or_arrays():
    config = stage_config("fine")
    clips = make_clips(3, 2.0)
    lists, arrays = [HafmCollator(config)(list(rows)) for rows in (clips, clips.with_format("numpy"))]
    assert all(torch.equal(lists[name], arrays[name]) for name in lists)


def test_a_corrupted_history_is_another_clips_by_half_seconds():
    config, clips = stage_config("coarse", window_seconds=4.0), list(make_clips(8, 4.0))
    collate = HafmCollator(config, history_corruption=1.0)
    batch = collate(clips)
    own = torch.nn.functional.pad(batch["labels"][:, :-1], (1, 0), value=config.bos_token_id)
    other = own.roll(1, dims=0)
    half_seconds = zip(
        *(tokens[:, 1:].split(38 * 4, dim=1) for tokens in (batch["input_ids"], own, other)), strict=True
    )
    kinds = [((heard == mine).all(1), (heard == foreign).all(1)) for heard, mine, foreign in half_seconds]
    corrupted = torch.stack([foreign for _, foreign in kinds])
    assert torch.equal(corrupted, ~torch.stack([mine for mine, _ in kinds]))
    assert 0.2 < corrupted.float().mean() < 0.8
    assert torch.equal(batch["input_ids"][:, 0], own[:, 0])
    assert torch.equal(batch["labels"], HafmCollator(config)(clips)["labels"])


def test_a_history_is_corrupted_in_training_only_and_only_of_some_clips():
    config, clips = stage_config("semantic"), list(make_clips(40))
    assert "input_ids" not in HafmCollator(config, training=False, history_corruption=1.0)(clips)
    assert "input_ids" not in HafmCollator(config)(clips)
    batch = HafmCollator(config, history_corruption=0.5)(clips)
    clean = torch.nn.functional.pad(batch["labels"][:, :-1], (1, 0), value=config.bos_token_id)
    rows = (batch["input_ids"] != clean).any(dim=1).float().mean()
    assert 0.1 < rows < 0.7


def test_a_corrupted_history_of_clips_of_unequal_length_holds_tokens_alone():
    config = stage_config("semantic", window_seconds=2.0)
    batch = HafmCollator(config, history_corruption=1.0)([make_clip(0, 2.0), make_clip(1, 0.4)])
    assert batch["input_ids"].min() >= 0
