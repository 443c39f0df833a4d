# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The map function that turns clips into token columns."""

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, List, Value
from song_files import voice_and_band

from hafm_hf import DEFAULT_CHECKPOINT, HafmProcessor
from hafm_hf.data.tokenize import tokenize_clips, tokenizer_digest


RATE = 24000


@pytest.fixture(scope="module")
def processor():
    return HafmProcessor.from_pretrained(DEFAULT_CHECKPOINT)


@pytest.fixture(scope="module")
def batch():
    pairs = [
        voice_and_band(seconds, RATE, pitch=pitch) for seconds, pitch in ((0.4, 300.0), (1.0, 350.0), (0.52, 400.0))
    ]
    return {
        "id": ["a@0.00", "a@0.40", "b@0.00"],
        "vocal": [voice[0] for voice, _ in pairs],
        "instrumental": [band[0] for _, band in pairs],
    }


def test_columns_are_aligned_and_what_the_processor_gives(processor, batch):
    columns = tokenize_clips(batch, processor)
    for i, seconds in enumerate((0.4, 1.0, 0.52)):
        assert (
            columns["vocal_semantic"][i].shape == columns["instrumental_semantic"][i].shape == (round(50 * seconds),)
        )
        assert columns["instrumental_codes"][i].shape == (8, round(75 * seconds))
        alone = processor.encode(batch["instrumental"][i], sampling_rate=RATE)
        np.testing.assert_array_equal(columns["instrumental_semantic"][i], alone["instrumental_semantic_ids"][0])
        np.testing.assert_array_equal(columns["instrumental_codes"][i], alone["instrumental_codes"][0])


def test_tokens_of_a_clip_depend_on_its_id_and_not_on_the_batch(processor, batch):
    together = tokenize_clips(batch, processor)
    alone = tokenize_clips({name: values[1:2] for name, values in batch.items()}, processor)
    for name in together:
        np.testing.assert_array_equal(together[name][1], alone[name][0])
    renamed = tokenize_clips({name: values[1:2] for name, values in batch.items()} | {"id": ["c@0.00"]}, processor)
    np.testing.assert_array_equal(renamed["instrumental_codes"][0], alone["instrumental_codes"][0])
    assert (renamed["vocal_semantic"][0] != alone["vocal_semantic"][0]).any()


def test_datasets_can_map_it(processor, batch):
    audio = List(Value("float32"))
    clips = Dataset.from_dict(batch, Features({"id": Value("string"), "vocal": audio, "instrumental": audio}))
    arguments = {"batched": True, "batch_size": 2, "fn_kwargs": {"processor": processor}}
    mapped = clips.with_format("numpy").map(
        tokenize_clips, remove_columns=["vocal", "instrumental"], new_fingerprint="tokens", **arguments
    )
    expected = tokenize_clips(batch, processor)
    assert set(mapped.column_names) == {"id", *expected}
    for row, *columns in zip(mapped.with_format(None), *expected.values(), strict=True):
        for name, tokens in zip(expected, columns, strict=True):
            assert row[name] == tokens.tolist()


def test_the_digest_names_what_decides_the_tokens(processor, tmp_path):
    digest = tokenizer_digest(processor)
    processor.save_pretrained(tmp_path)
    moved = HafmProcessor.from_pretrained(tmp_path)
    assert tokenizer_digest(moved) == digest
    moved.noise_std = 0.0
    assert tokenizer_digest(moved) != digest
    moved.noise_std = processor.noise_std
    with torch.no_grad():
        moved.audio_tokenizer.centroids[0, 0] += 1
    assert tokenizer_digest(moved) != digest
