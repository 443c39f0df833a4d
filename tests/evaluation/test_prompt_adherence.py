# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import librosa
import numpy as np
import pytest

from hafm_hf.evaluation.embedders import Embedder
from hafm_hf.evaluation.frechet import EmbeddingStatistics
from hafm_hf.evaluation.prompt_adherence import measure_prompt_adherence, prompt_adherence


class DissonanceEmbedder(Embedder):
    """Hears how many pitch classes sound together: the simplest thing that tells matched mixes from shuffled ones."""

    name, sampling_rate = "dissonance", 16_000

    def embed(self, audio):
        chroma = librosa.feature.chroma_stft(y=audio, sr=self.sampling_rate, n_fft=4096, hop_length=4096)
        return -np.sort(-chroma, axis=0)[[2, 4, 6]].T


def around(mean: float) -> EmbeddingStatistics:
    return EmbeddingStatistics.of(np.random.default_rng(0).normal(size=(200, 3)) + mean)


def test_runs_from_one_at_the_true_mixes_to_zero_at_the_shuffled_ones():
    true, shuffled = around(0), around(2)
    assert prompt_adherence(true, true, shuffled) == pytest.approx(1)
    assert prompt_adherence(shuffled, true, shuffled) == pytest.approx(0)
    assert prompt_adherence(around(1), true, shuffled) == pytest.approx(0.5)
    assert prompt_adherence(around(5), true, shuffled) == 0
    with pytest.raises(ValueError, match="nothing to measure adherence by"):
        prompt_adherence(true, true, true)


def test_true_accompaniments_adhere_and_shuffled_ones_do_not(songs):
    vocals, bands = [song.vocal for song in songs], [song.band for song in songs]
    adherence = measure_prompt_adherence(vocals, bands, bands, DissonanceEmbedder(), 16_000, resamples=50)
    assert adherence.matched.value == pytest.approx(1)
    assert adherence.shuffled.value == pytest.approx(0)
    assert adherence.difference.count == len(songs)
    # Of another length: the common part is mixed.
    shorter = [band[:48_000] for band in bands]
    cut = measure_prompt_adherence(vocals, bands, shorter, DissonanceEmbedder(), 16_000, resamples=10)
    assert cut.matched.value > cut.shuffled.value


def test_needs_two_songs_and_one_accompaniment_each(songs):
    vocals, bands = [song.vocal for song in songs[:2]], [song.band for song in songs[:2]]
    with pytest.raises(ValueError, match="at least 2"):
        measure_prompt_adherence(vocals, bands, bands, DissonanceEmbedder(), 16_000, songs=["a", "a"])
    with pytest.raises(ValueError, match="2 references and 1 accompaniments"):
        measure_prompt_adherence(vocals, bands, bands[:1], DissonanceEmbedder(), 16_000)
