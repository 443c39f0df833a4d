# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import numpy as np
import pytest
import soundfile
import torch
from evaluating import RATE, SpectrumEmbedder

from hafm_hf.evaluation.adherence import Track, measure_adherence
from hafm_hf.evaluation.protocol.features import FeatureFolder


@pytest.fixture
def recordings(songs, tmp_path):
    paths = tmp_path / "vocal.wav", tmp_path / "band.wav"
    for path, audio in zip(paths, songs[0], strict=False):
        soundfile.write(path, audio[: 3 * RATE], RATE, subtype="FLOAT")
    return paths


class CountingEmbedder(SpectrumEmbedder):
    calls = 0

    def embed(self, audio):
        self.calls += 1
        return super().embed(audio)


def test_a_kept_track_measures_like_a_fresh_one(recordings, tmp_path):
    features = FeatureFolder(tmp_path / "features", SpectrumEmbedder())
    fresh = [Track(path) for path in recordings]
    for _ in range(2):  # computed, then read
        kept = [features.track(path.stem, path, sung=path.stem == "vocal") for path in recordings]
        assert kept[0].key == fresh[0].key
        assert kept[0].duration == fresh[0].duration
        for name, result in measure_adherence(kept[:1], kept[1:]).items():
            assert result.matched.value == measure_adherence(fresh[:1], fresh[1:])[name].matched.value, name


def test_embeddings_are_computed_once_and_again_where_the_file_is_damaged(recordings, tmp_path):
    features = FeatureFolder(tmp_path / "features", embedder := CountingEmbedder())
    first = features.embeddings("clip", *recordings)
    assert embedder.calls == 2
    again = features.embeddings("clip", *recordings)
    assert embedder.calls == 2
    (file,) = (tmp_path / "features").iterdir()
    file.write_bytes(file.read_bytes()[:-4])
    repaired = features.embeddings("clip", *recordings)
    assert embedder.calls == 4
    for kind in ("mix", "instrumental"):
        assert np.array_equal(first[kind], again[kind]) and np.array_equal(first[kind], repaired[kind])


def test_how_loud_an_accompaniment_was_recorded_does_not_change_the_mix(recordings, tmp_path):
    vocal, band = recordings
    audio, _ = soundfile.read(band, dtype="float32")
    soundfile.write(tmp_path / "soft.wav", 0.1 * audio, RATE, subtype="FLOAT")
    features = FeatureFolder(tmp_path / "features", SpectrumEmbedder())
    loud, soft = features.embeddings("loud", vocal, band), features.embeddings("soft", vocal, tmp_path / "soft.wav")
    assert soft["mix"] == pytest.approx(loud["mix"], abs=1e-3)
    assert np.abs(soft["instrumental"] - loud["instrumental"]).max() > 0.5


def test_other_weights_are_other_settings(tmp_path):
    first, second = SpectrumEmbedder(), SpectrumEmbedder()
    first.model, second.model = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    settings = [FeatureFolder(tmp_path, embedder).settings() for embedder in (first, first, second)]
    assert settings[0] == settings[1] != settings[2]


def test_each_embedder_keeps_its_own(recordings, tmp_path):
    other = SpectrumEmbedder()
    other.name = "other"
    for embedder in (SpectrumEmbedder(), other):
        FeatureFolder(tmp_path / "features", embedder).embeddings("clip", *recordings)
    assert {path.name for path in (tmp_path / "features").iterdir()} == {
        "clip.other.safetensors",
        "clip.spectrum.safetensors",
    }
