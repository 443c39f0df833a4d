# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm fit-codec`: a folder of audio becomes a codec that transformers loads, or one sentence says why not."""

import numpy as np
import pytest
import soundfile
from transformers import AutoFeatureExtractor, AutoModel

from hafm_hf.cli.main import main
from hafm_hf.training.codec import fit


@pytest.fixture
def audio(tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "LATENT_FRAMES", 1200)
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        (tmp_path / split / "a song").mkdir(parents=True)
        for name in ("accompaniment.flac", "vocals.flac"):
            soundfile.write(tmp_path / split / "a song" / name, 0.1 * rng.standard_normal(24000), 24000)
    return [str(tmp_path / "train"), "--test", str(tmp_path / "test"), "--filters", "2"]


def test_audio_becomes_a_codec(audio, tmp_path, capsys):
    out = tmp_path / "codec"
    assert main(["fit-codec", *audio, "-o", str(out), "--name", "accompaniment.*", "--steps", "4"]) == 0
    assert f"{out}: log-mel distance" in capsys.readouterr().out
    codec = AutoModel.from_pretrained(out)
    assert codec.config.codebook_size == 1024 and len(codec.quantizer.layers) == 8
    assert AutoFeatureExtractor.from_pretrained(out).sampling_rate == 24000
    assert '"files": 1' in (out / "codec.json").read_text()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--name", "drums.*"], "There are no audio files to train on"),
        (["--test", "nowhere"], "nowhere is not a folder"),
    ],
)
def test_what_cannot_be_trained_on_is_one_sentence(audio, tmp_path, capsys, arguments, message):
    assert main(["fit-codec", *audio, "-o", str(tmp_path / "codec"), *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"hafm fit-codec: {message}")
