# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Pre-training from a folder of audio to a HuBERT, and that it can be stopped anywhere."""

import json
import shutil

import pytest
import torch
from song_files import contents, write_stems
from tiny_checkpoint import make_processor
from transformers import AutoFeatureExtractor, HubertModel

from hafm_hf import HafmAudioTokenizer
from hafm_hf.training.hubert.fit import HubertFit


SHAPE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "num_conv_pos_embeddings": 4,
}


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    root = write_stems(tmp_path_factory.mktemp("songs") / "songs", count=2)
    (root / "broken.wav").write_bytes(b"no audio")
    return root


def fit(songs, output, **settings):
    small = {"steps": (4, 5), "batch_size": 2, "crop_seconds": 0.5, "fit_crops": 6, "layer": 1, "shape": SHAPE}
    return HubertFit(songs, output, **(small | {"acoustic_clusters": 8, "clusters": 12} | settings)).run()


@pytest.fixture(scope="module")
def fitted(songs, tmp_path_factory):
    output = tmp_path_factory.mktemp("fitted") / "hubert"
    return output, fit(songs, output)


def test_what_comes_out_is_a_hubert_that_a_tokenizer_can_be_made_of(fitted):
    output, _ = fitted
    hubert = HubertModel.from_pretrained(output)
    trained = HubertModel.from_pretrained(output / "iteration-2")
    assert all(torch.equal(weight, trained.state_dict()[name]) for name, weight in hubert.state_dict().items())
    codec = make_processor().audio_tokenizer.acoustic_model
    tokenizer = HafmAudioTokenizer.from_parts(output, codec, torch.randn(9, 16), semantic_layer=2)
    extractor = AutoFeatureExtractor.from_pretrained(output)
    for samples in (16_000, 16_001, 400, 12 * 16_000):
        inputs = extractor(torch.randn(samples).numpy(), sampling_rate=16_000, return_tensors="pt")
        assert tokenizer.encode_semantic(inputs["input_values"]).shape == (1, -(-samples // 320))


def test_the_report_tells_of_every_iteration(fitted, songs):
    output, report = fitted
    assert report == json.loads((output / "hubert_report.json").read_text())
    assert report["hours"] == pytest.approx(8 / 3600)
    assert list(report["skipped"]) == [str(songs / "broken.wav")]
    first, second = report["iterations"]
    assert first["teachers"].keys() == {"mfcc", "chroma"}
    assert second["teachers"].keys() == {"mfcc", "chroma", "hubert"}
    assert second["teachers"]["hubert"]["clusters"] == 12
    assert second["hours_heard"] == pytest.approx(5 * 2 * 0.5 / 3600)
    for iteration in report["iterations"]:
        for name, use in iteration["teachers"].items():
            assert 1 < use["perplexity"] <= use["clusters"]
            assert iteration["end"][f"{name}_loss"] > 0
            assert 0 <= iteration["end"][f"{name}_accuracy"] <= 1


def test_later_iterations_go_on_from_the_weights_before(songs, tmp_path):
    fit(songs, tmp_path, steps=(1, 1), learning_rate=1e-9)
    first, second = (HubertModel.from_pretrained(tmp_path / f"iteration-{number}") for number in (1, 2))
    for name, weight in first.state_dict().items():
        torch.testing.assert_close(weight, second.state_dict()[name], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "lost",
    [
        ["hubert_report.json", "model.safetensors"],
        ["hubert_report.json", "iteration-2/report.json", "iteration-2/checkpoint-5"],
        ["hubert_report.json", "iteration-2"],
        ["hubert_report.json", "iteration-2", "iteration-1/report.json", "iteration-1/chroma.safetensors"],
    ],
)
def test_stopped_anywhere_and_started_again_it_ends_the_same(fitted, songs, tmp_path, lost):
    shutil.copytree(fitted[0], tmp_path / "hubert")
    for name in lost:
        path = tmp_path / "hubert" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert results(fit(songs, tmp_path / "hubert")) == results(fitted[1])
    after, before = contents(tmp_path / "hubert"), contents(fitted[0])
    for name in ("model.safetensors", "config.json", "preprocessor_config.json"):
        assert after[name] == before[name]


def results(report):
    return [(iteration["teachers"], iteration["end"]) for iteration in report["iterations"]]


def test_what_is_finished_is_left_alone(fitted, songs):
    before = contents(fitted[0])
    assert fit(songs, fitted[0]) == fitted[1]
    assert contents(fitted[0]) == before


def test_work_does_not_go_on_with_other_settings_or_files(fitted, songs, tmp_path):
    shutil.copytree(fitted[0], tmp_path / "hubert")
    with pytest.raises(ValueError, match="begun with learning_rate 0.0005, not 0.1"):
        fit(songs, tmp_path / "hubert", learning_rate=0.1)
    with pytest.raises(ValueError, match="begun with audio.count 4, not 2"):
        fit(songs / "0", tmp_path / "hubert")


@pytest.mark.parametrize(
    ("settings", "message"), [({"steps": ()}, "1 step or more"), ({"layer": 3}, "no layer 3; the HuBERT has 2")]
)
def test_settings_that_make_no_sense_are_refused(songs, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        fit(songs, tmp_path, **settings)


def test_nothing_is_pickled_but_what_the_trainer_resumes_from(fitted):
    pickles = [name for name in contents(fitted[0]) if not name.endswith((".json", ".safetensors"))]
    assert all(name.startswith(("iteration-1/checkpoint-", "iteration-2/checkpoint-")) for name in pickles)
    assert not [name for name in pickles if "training_args" in name]
