# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hafm_hf.evaluation.embedders import VggishEmbedder
from hafm_hf.evaluation.vggish import VGGish, load_vggish, vggish_log_mel, vggish_windows


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights in the layout of the public ones, in half precision to save disk."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("vggish") / "model.safetensors"
    save_file({name: tensor.half() for name, tensor in VGGish().state_dict().items()}, path)
    return path


def noise(seconds, rate=16_000, seed=0):
    return np.random.default_rng(seed).uniform(-0.3, 0.3, round(seconds * rate)).astype(np.float32)


def log_mel_by_the_book(samples: np.ndarray) -> list[list[float]]:
    """The front end in a straight line: one frame, one bin, one band after the other, with the transform written out."""

    def mel(hertz):
        return 1127 * math.log(1 + hertz / 700)

    edges = np.linspace(mel(125), mel(7500), 66)
    positions = [mel(k * 16_000 / 512) for k in range(1, 257)]
    bands = [
        [max(0.0, min((at - low) / (centre - low), (high - at) / (high - centre))) for at in positions]
        for low, centre, high in zip(edges, edges[1:], edges[2:], strict=False)
    ]
    window = np.array([0.5 - 0.5 * math.cos(2 * math.pi * i / 400) for i in range(400)])
    transform = np.exp(-2j * np.pi * np.arange(1, 257)[:, None] * np.arange(400) / 512)
    rows = []
    for start in range(0, len(samples) - 400 + 1, 160):
        magnitudes = np.abs(transform @ (samples[start : start + 400].astype(np.float64) * window))
        rows.append(
            [math.log(sum(weight * m for weight, m in zip(band, magnitudes, strict=True)) + 0.01) for band in bands]
        )
    return rows


def test_front_end_equals_the_straight_line_reference():
    audio = noise(1.5)
    google = vggish_log_mel(vggish_windows(audio, "google"))
    assert google.shape == (2, 96, 64)
    for window, start in zip(google, (0, 8000), strict=True):
        expected = log_mel_by_the_book(audio[start : start + 16_000] / audio.max())[:96]
        np.testing.assert_allclose(window, expected, rtol=1e-6, atol=1e-6)
    torchvggish = vggish_log_mel(vggish_windows(audio, "torchvggish"))
    np.testing.assert_allclose(torchvggish[0], log_mel_by_the_book(audio)[:96], rtol=1e-6, atol=1e-6)


def test_presets_give_the_published_number_of_embeddings_for_ten_seconds():
    assert len(vggish_windows(noise(10), "google")) == 19
    assert len(vggish_windows(noise(10), "torchvggish")) == 10


def test_google_hears_loud_and_quiet_alike_and_torchvggish_does_not():
    audio = noise(1)
    np.testing.assert_allclose(vggish_windows(audio, "google"), vggish_windows(audio * 0.5, "google"), rtol=1e-6)
    assert np.ptp(vggish_windows(audio * 1e-3, "google")) < 0.01  # silence is not blown up to full scale
    assert not np.allclose(vggish_windows(audio, "torchvggish"), vggish_windows(audio * 0.5, "torchvggish"))


def test_network_equals_its_layers_one_by_one(weights):
    model = load_vggish(weights)
    state = model.state_dict()
    hidden = torch.from_numpy(vggish_log_mel(vggish_windows(noise(1.5), "google")))[:, None]
    for index, pooled in ((0, True), (3, True), (6, False), (8, True), (11, False), (13, True)):
        convolved = torch.conv2d(hidden, state[f"features.{index}.weight"], state[f"features.{index}.bias"], padding=1)
        hidden = torch.max_pool2d(convolved.relu(), 2) if pooled else convolved.relu()
    # [n, channels, time, mel] flattened with the channels running fastest, as TensorFlow lays them out.
    hidden = torch.stack([hidden[:, :, t, m] for t in range(6) for m in range(4)], dim=1).reshape(len(hidden), -1)
    for index in (0, 2, 4):
        hidden = hidden @ state[f"embeddings.{index}.weight"].T + state[f"embeddings.{index}.bias"]
        hidden = hidden.relu() if index < 4 else hidden  # the embedding is taken before the last activation
    assert (hidden < 0).any()
    embeddings = VggishEmbedder(weights)(noise(1.5), 16_000)
    np.testing.assert_allclose(embeddings, hidden.numpy(), rtol=1e-4, atol=1e-6)


def test_loads_a_file_or_a_folder_and_batches_change_nothing(weights):
    audio = noise(3.2)
    embedder = VggishEmbedder(weights.parent, preset="torchvggish")
    assert embedder.name == "vggish-torchvggish"
    embeddings = embedder(audio, 16_000)
    assert embeddings.shape == (3, 128)
    assert embeddings.dtype == np.float32
    embedder.batch = 1
    np.testing.assert_allclose(embedder(audio, 16_000), embeddings, rtol=1e-4, atol=1e-7)


def test_missing_or_foreign_weights_are_an_error_that_says_where_to_find_them(tmp_path):
    with pytest.raises(ValueError, match="needs the path or Hub id of its weights.*vggish-10086976.pth.*safetensors"):
        VggishEmbedder()
    with pytest.raises(ValueError, match="no such file.*vggish-10086976.pth"):
        VggishEmbedder(tmp_path / "vggish.safetensors")
    with pytest.raises(ValueError, match="no model.safetensors there.*vggish-10086976.pth"):
        VggishEmbedder(tmp_path)
    with pytest.raises(ValueError, match="nowhere: no model.safetensors there.*vggish-10086976.pth"):
        VggishEmbedder(tmp_path / "nowhere")
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(2)}, foreign)
    with pytest.raises(ValueError, match="foreign.safetensors: no VGGish weights"):
        VggishEmbedder(foreign)


def test_refuses_short_audio_and_unknown_presets():
    with pytest.raises(ValueError, match="0.90 s of audio are too short: VGGish needs 1.000 s"):
        vggish_windows(noise(0.9), "google")
    with pytest.raises(ValueError, match="unknown VGGish preset 'tf': choose one of google, torchvggish"):
        VggishEmbedder("anywhere", preset="tf")
