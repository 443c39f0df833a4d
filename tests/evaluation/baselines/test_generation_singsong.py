# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""SingSong generates as HAFM does: any length, seeds, takes, streaming."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation.baselines.tiny_singsong import make_singsong
from transformers import pipeline
from waveforms import tone

from hafm_hf import TASK, HafmPipeline
from hafm_hf.evaluation.baselines.configuration_singsong import SingSongSeq2SeqConfig
from hafm_hf.evaluation.baselines.generation_singsong import TargetLogitsProcessor
from hafm_hf.evaluation.baselines.model_system import ModelSystem


@pytest.fixture(scope="module")
def model():
    return make_singsong()


@pytest.fixture(scope="module")
def vocals() -> dict[str, torch.Tensor]:
    """A window and a bit, and less than a window."""
    ids = torch.randint(500, (2, 27), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    return {"vocal_semantic_ids": ids, "conditioning_mask": mask}


@pytest.fixture(scope="module")
def output(model, vocals):
    return model.generate(**vocals, seed=7, num_return_sequences=2)


def test_codes_are_as_long_as_the_vocals(output):
    assert output.lengths.tolist() == [41, 41, 14, 14], "75 frames for 50, begun ones included"
    assert output.codes.shape == (4, 8, 41)
    assert output.codes.min() >= 0 and 900 < output.codes.max() < 1024
    assert output.instrumental_semantic_ids.shape == (4, 27)
    assert output.instrumental_semantic_ids.max() < 500
    assert (output.codes[2:, :, 14:] == 0).all()


def test_a_vocal_gets_the_same_alone_and_takes_differ(model, vocals, output):
    alone = model.generate(vocals["vocal_semantic_ids"][1:, :9], seed=7, num_return_sequences=2)
    assert torch.equal(alone.codes, output.codes[2:, :, :14])
    assert (output.codes[0] != output.codes[1]).float().mean() > 0.5
    other = model.generate(vocals["vocal_semantic_ids"][1:, :9], seed=8)
    assert (other.codes[0] != alone.codes[0]).float().mean() > 0.5


def test_a_drawn_seed_is_told_and_any_number_is_one(model, vocals):
    short = vocals["vocal_semantic_ids"][1:, :4]
    drawn = model.generate(short)
    assert torch.equal(model.generate(short, seed=drawn.seed).codes, drawn.codes)
    largest = model.generate(short, seed=2**64 - 1)
    assert largest.seed == 2**64 - 1 and not torch.equal(largest.codes, drawn.codes)


def test_streaming_gives_the_same_window_by_window(model, vocals, output):
    pieces = list(model.stream(**vocals, seed=7, num_return_sequences=2))
    assert [piece.start for piece in pieces] == [0, 30]
    assert pieces[0].codes.shape == (4, 8, 30)
    assert torch.equal(pieces[0].codes, output.codes[:, :, :30])
    assert torch.equal(pieces[1].codes, output.codes)


def test_each_window_is_the_likeliest_of_its_vocal_and_refined_by_the_fine_stage(model, vocals):
    """At temperature 0, where no random numbers tell windows apart."""
    ids = vocals["vocal_semantic_ids"][:1]
    whole = model.generate(ids, temperature=0, guidance_scale=1).codes
    for piece, codes in ((ids[:, :20], whole[:, :, :30]), (ids[:, 20:], whole[:, :, 30:])):
        assert torch.equal(model.generate(piece, temperature=0, guidance_scale=1, seed=9).codes, codes)
    for frames in (slice(9, 18), slice(27, 30)):  # the second window of the fine stage, and the shorter last one
        coarse, expected = whole[:, :4, frames], whole[:, 4:, frames]
        fine = model.fine.generate(
            coarse_ids=coarse, max_new_tokens=expected[0].numel(), temperature=0, guidance_scale=1
        )
        assert torch.equal(fine[:, 1:].unflatten(1, (-1, 4)).transpose(1, 2), expected)


def test_windows_of_the_same_vocal_draw_apart(model, vocals):
    window = vocals["vocal_semantic_ids"][:1, :20]
    codes = model.generate(window.repeat(1, 2), seed=7).codes
    assert (codes[..., :30] != codes[..., 30:]).float().mean() > 0.5


def test_top_k_narrows_what_is_drawn(model, vocals):
    short = vocals["vocal_semantic_ids"][1:, :9]
    settings = {"seed": 3, "guidance_scale": 1}
    narrowed = model.generate(short, top_k=1, **settings).codes
    assert torch.equal(narrowed, model.generate(short, temperature=0, **settings).codes)
    assert not torch.equal(narrowed, model.generate(short, top_k=0, **settings).codes)


def test_a_setting_may_be_for_the_fine_stage_alone(model, vocals):
    short = vocals["vocal_semantic_ids"][1:, :9]
    plain, greedy = (model.generate(short, seed=3, **settings).codes for settings in ({}, {"fine_temperature": 0}))
    assert torch.equal(plain[:, :4], greedy[:, :4])
    assert not torch.equal(plain[:, 4:], greedy[:, 4:])


def test_every_place_of_a_target_has_its_own_tokens():
    config = SingSongSeq2SeqConfig(vocab_size=3, num_codebooks=2, conditioning_vocab_size=5)
    processor = TargetLogitsProcessor(config, torch.tensor([2, 1]))
    semantic, codes = {1, 2, 3, 4, 5}, [{6, 7, 8}, {9, 10, 11}]
    expected = [
        [semantic, semantic, codes[0], codes[1], codes[0]],
        [semantic, codes[0], codes[1], codes[0], codes[1]],
    ]
    for place in range(5):
        scores = processor(torch.zeros(2, 1 + place, dtype=torch.long), torch.zeros(2, 12))
        for row in range(2):
            assert set(scores[row].isfinite().nonzero().flatten().tolist()) == expected[row][place]


def test_tokens_outside_the_vocabulary_are_refused(model):
    with pytest.raises(ValueError, match=r"must lie in \[0, 500\)"):
        model.generate(torch.tensor([[500]]))


def test_singsong_is_a_system_like_any_other(model, processor, clips, fits):
    system = ModelSystem("singsong-tiny", model, processor)
    clips = [replace(clip, vocal=tone(0.12, clip.sampling_rate)[0]) for clip in clips[:2]]
    accompaniments = system.accompany(clips)
    assert fits(clips, accompaniments)
    assert all(np.ptp(audio) > 0 for audio in accompaniments)


def test_the_pipeline_takes_it(model, processor, tmp_path):
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    rate, vocal = processor.sampling_rate, tone(0.5, processor.sampling_rate)[0]
    accompany = pipeline(TASK, model=str(tmp_path / "model"), device="cpu")
    result = accompany(vocal, sampling_rate=rate, seed=3)
    assert result["audio"].shape == result["mix"].shape == vocal.shape
    pieces = list(accompany.stream(vocal, sampling_rate=rate, seed=3))
    assert len(pieces) == 2
    assert np.allclose(np.concatenate([piece["audio"] for piece in pieces]), result["audio"], atol=1e-5)

    accompany.save_pretrained(tmp_path / "pipeline")
    again = pipeline(TASK, model=str(tmp_path / "pipeline"), pipeline_class=HafmPipeline, device="cpu")
    assert np.array_equal(again(vocal, sampling_rate=rate, seed=3)["audio"], result["audio"])
