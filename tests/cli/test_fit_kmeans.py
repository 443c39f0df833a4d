# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm fit-kmeans`, and that `hafm prepare` takes what it makes."""

import pyarrow.parquet as pq
import pytest
import torch
from song_files import write_stems

from hafm_hf import DEFAULT_CHECKPOINT, HafmProcessor
from hafm_hf.cli.main import main


@pytest.fixture
def songs(tmp_path):
    threads = torch.get_num_threads()
    root = write_stems(tmp_path / "songs", count=2, seconds=1.0)
    yield [
        str(root),
        "--corpus",
        "stems",
        "--separator",
        "precomputed",
        "--clip-seconds=0.8",
        "--min-clip-seconds=0.4",
    ]
    torch.set_num_threads(threads)


def test_two_networks_become_a_tokenizer_that_prepare_uses(songs, tmp_path, capsys):
    parts = HafmProcessor.from_pretrained(DEFAULT_CHECKPOINT)
    parts.audio_tokenizer.semantic_model.save_pretrained(tmp_path / "hubert")
    parts.feature_extractor.save_pretrained(tmp_path / "hubert")
    parts.audio_tokenizer.acoustic_model.save_pretrained(tmp_path / "codec")
    parts.codec_feature_extractor.save_pretrained(tmp_path / "codec")

    networks = ["--hubert", str(tmp_path / "hubert"), "--layer", "4", "--codec", str(tmp_path / "codec")]
    tokenizer, data = str(tmp_path / "tokenizer"), tmp_path / "data"
    assert main(["fit-kmeans", *songs, "-o", tokenizer, "--clusters", "7", "--max-frames", "60", *networks]) == 0
    assert "7 centroids of 60 frames, perplexity" in capsys.readouterr().out

    assert main(["prepare", *songs, "-o", str(data), "--tokenizer", tokenizer]) == 0
    rows = pq.read_table(data / "data").to_pylist()
    assert {token for row in rows for token in row["vocal_semantic"] + row["instrumental_semantic"]} <= set(range(7))


def test_a_checkpoint_gets_new_centroids(songs, tmp_path):
    output = str(tmp_path / "out")
    assert main(["fit-kmeans", *songs, "-o", output, "--clusters", "5", "--tokenizer", DEFAULT_CHECKPOINT]) == 0
    assert HafmProcessor.from_pretrained(output).audio_tokenizer.centroids.shape == (5, 256)


def test_too_few_songs_are_one_sentence(songs, tmp_path, capsys):
    arguments = [*songs, "-o", str(tmp_path / "out"), "--tokenizer", DEFAULT_CHECKPOINT]
    assert main(["fit-kmeans", *arguments]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hafm fit-kmeans:")]
    assert "500 clusters need at least as many frames, but the songs give 160; add songs" in line


def test_networks_that_are_not_there_are_one_sentence(songs, tmp_path, capsys):
    networks = ["--hubert", str(tmp_path / "hubert"), "--codec", str(tmp_path / "codec")]
    assert main(["fit-kmeans", *songs, "-o", str(tmp_path / "out"), *networks]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hafm fit-kmeans:")]
    assert "hubert and" in line
    assert "do not make a tokenizer" in line
