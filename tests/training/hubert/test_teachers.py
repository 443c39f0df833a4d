# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Teachers label frames with clusters."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from transformers import HubertConfig, HubertModel

from hafm_hf.training.hubert.teachers import HubertLayer, load_or_fit


def frames_of(waveforms):
    """A frame of two numbers every hundred samples: mean and a thousandth of the spread."""
    windows = waveforms.unfold(-1, 100, 100)
    return torch.stack([windows.mean(-1), 1e-3 * windows.std(-1)], dim=-1)


def waveforms(count=4, seed=0):
    """Stretches of 100 samples of two means and two spreads, and which of the four kinds each is."""
    generator = np.random.default_rng(seed)
    kinds = generator.integers(4, size=(count, 50))
    noise = generator.standard_normal((count, 50, 100))
    samples = 10.0 * (kinds % 2)[..., None] + noise * (1 + 4 * (kinds // 2))[..., None]
    return torch.from_numpy(samples.reshape(count, -1)).float(), kinds


def test_clusters_are_found_whatever_the_scale_of_a_feature(tmp_path):
    samples, _ = waveforms()
    teacher = load_or_fit(tmp_path / "teacher.safetensors", frames_of, samples, 4, seed=0)
    assert teacher.perplexity == pytest.approx(4, abs=0.2)
    others, kinds = waveforms(seed=1)
    labels = teacher(others)
    assert labels.shape == (4, 50)
    assert adjusted_rand_score(kinds.ravel(), labels.numpy().ravel()) > 0.95


def test_what_was_fitted_is_kept(tmp_path):
    samples, _ = waveforms()
    path = tmp_path / "teacher.safetensors"
    fitted = load_or_fit(path, frames_of, samples, 4, seed=0)
    loaded = load_or_fit(path, frames_of, iter(()), 4, seed=0)
    assert torch.equal(fitted(samples), loaded(samples))
    assert loaded.perplexity == fitted.perplexity


def test_too_few_frames_are_refused(tmp_path):
    with pytest.raises(ValueError, match="201 clusters need at least as many frames, not 200; add audio"):
        load_or_fit(tmp_path / "teacher.safetensors", frames_of, waveforms()[0], 201, seed=0)
    assert not list(tmp_path.iterdir())


def test_features_of_a_layer_are_its_output(tmp_path):
    shape = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16}
    hubert = HubertModel(HubertConfig(**shape, conv_dim=(8,) * 7, num_conv_pos_embeddings=4)).eval()
    hubert.save_pretrained(tmp_path)
    samples = torch.randn(2, 4_000)
    with torch.no_grad():
        features = HubertLayer(tmp_path, 2)(samples)
        torch.testing.assert_close(features, hubert(samples, output_hidden_states=True).hidden_states[2])
