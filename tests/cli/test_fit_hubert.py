# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm fit-hubert`, and that `hafm fit-kmeans` takes what it makes."""

import pytest
from song_files import write_stems
from transformers import HubertModel

from hafm_hf import HafmProcessor
from hafm_hf.cli.main import main


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    return write_stems(tmp_path_factory.mktemp("songs") / "songs", count=2, seconds=2.0)


def test_a_folder_of_audio_becomes_a_hubert_that_centroids_can_be_fitted_on(songs, checkpoint, tmp_path, capsys):
    hubert = tmp_path / "hubert"
    small = ["--steps=1,1", "--batch-size=1", "--fit-crops=2", "--clusters=20"]
    assert main(["fit-hubert", str(songs), "-o", str(hubert), *small]) == 0
    assert "iteration 2: 0.0 h heard, masked frames told right: mfcc" in capsys.readouterr().out
    assert HubertModel.from_pretrained(hubert).config.num_hidden_layers == 6

    parts = HafmProcessor.from_pretrained(checkpoint)
    parts.audio_tokenizer.acoustic_model.save_pretrained(tmp_path / "codec")
    parts.codec_feature_extractor.save_pretrained(tmp_path / "codec")
    arguments = [
        str(songs),
        "--corpus=stems",
        "--separator=precomputed",
        "--clip-seconds=0.8",
        "--min-clip-seconds=0.4",
    ]
    networks = ["--hubert", str(hubert), "--codec", str(tmp_path / "codec")]
    assert main(["fit-kmeans", *arguments, "-o", str(tmp_path / "out"), "--clusters=5", "--layer=4", *networks]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer=7"], "There is no layer 7; the HuBERT has 6"),
        (["--steps=0"], "Every iteration needs 1 step or more"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(songs, tmp_path, capsys, arguments, message):
    assert main(["fit-hubert", str(songs), "-o", str(tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert main(["fit-hubert", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "holds no audio that can be used" in capsys.readouterr().err
