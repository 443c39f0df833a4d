# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import json

import numpy as np
import pytest

from hafm_hf.evaluation.frechet import EmbeddingStatistics, frechet_audio_distance
from hafm_hf.evaluation.reference import Reference, ReferenceAbout, load_reference, save_reference


ABOUT = ReferenceAbout(embedder="vggish-google", source="two songs", tracks=2, license="CC0-1.0")


@pytest.fixture
def saved(tmp_path):
    embeddings = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    path = tmp_path / "folder" / "songs.safetensors"
    save_reference(Reference(ABOUT, EmbeddingStatistics.of(embeddings), embeddings), path)
    return path, embeddings


def test_comes_back_as_it_was_saved(saved):
    path, embeddings = saved
    reference = load_reference(path, embedder="vggish-google")
    assert reference.about == ABOUT
    np.testing.assert_array_equal(reference.embeddings, embeddings)
    generated = np.random.default_rng(1).normal(size=(40, 8))
    assert frechet_audio_distance(reference.statistics, generated) == frechet_audio_distance(embeddings, generated)
    assert sorted(file.name for file in path.parent.iterdir()) == ["songs.json", "songs.safetensors"]


def test_says_beside_the_numbers_what_they_are_of(saved):
    about = json.loads(saved[0].with_suffix(".json").read_text())
    assert about["source"] == "two songs"
    assert (about["count"], about["dimension"]) == (60, 8)


def test_statistics_alone_suffice(tmp_path):
    path = tmp_path / "songs.safetensors"
    save_reference(Reference(ABOUT, EmbeddingStatistics.of(np.eye(4))), path)
    assert load_reference(path).embeddings is None


def test_refuses_another_embedder(saved):
    with pytest.raises(ValueError, match=r"songs.safetensors: made with vggish-google.*vggish-torchvggish"):
        load_reference(saved[0], embedder="vggish-torchvggish")


def test_refuses_files_that_are_missing_damaged_or_do_not_belong_together(saved, tmp_path):
    path, embeddings = saved
    with pytest.raises(ValueError, match="no such file"):
        load_reference(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="ends in .safetensors"):
        load_reference(tmp_path / "other.npz")
    intact = path.read_bytes()
    path.write_bytes(intact[:-1])
    with pytest.raises(ValueError, match="is of another file"):
        load_reference(path)
    path.write_bytes(intact)
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(ValueError, match="not a readable reference set"):
        load_reference(path)
    path.unlink()
    with pytest.raises(ValueError, match="songs.safetensors"):
        load_reference(path)
