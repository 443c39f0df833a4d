# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import numpy as np
import pytest
import torch
from transformers import (
    ClapAudioConfig,
    ClapAudioModelWithProjection,
    ClapFeatureExtractor,
    EncodecConfig,
    EncodecFeatureExtractor,
    EncodecModel,
    HubertConfig,
    HubertModel,
    Wav2Vec2FeatureExtractor,
)

from hafm_hf.evaluation.embedders import ClapEmbedder, EncodecEmbedder, HubertEmbedder, TokenizerEmbedder, embed_tracks
from hafm_hf.modeling.modeling_hafm_audio_tokenizer import HafmAudioTokenizer
from hafm_hf.modeling.processing_hafm import HafmProcessor


def noise(seconds, rate, seed=0):
    return np.random.default_rng(seed).uniform(-0.3, 0.3, round(seconds * rate)).astype(np.float32)


def tiny_hubert(layers=4):
    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=24,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        do_stable_layer_norm=True,
        feat_extract_norm="layer",
    )
    return HubertModel(config).eval()


def tiny_encodec():
    torch.manual_seed(0)
    return EncodecModel(EncodecConfig(num_filters=2, hidden_size=8, codebook_size=16, codebook_dim=8)).eval()


@pytest.fixture(scope="module")
def clap(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clap")
    torch.manual_seed(0)
    config = ClapAudioConfig(
        patch_embeds_hidden_size=8,
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        hidden_size=64,
        projection_dim=12,
    )
    ClapAudioModelWithProjection(config).save_pretrained(folder)
    ClapFeatureExtractor(truncation="rand_trunc").save_pretrained(folder)
    return ClapEmbedder(folder)


@pytest.fixture(scope="module")
def encodec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encodec")
    tiny_encodec().save_pretrained(folder)
    return EncodecEmbedder(folder)


@pytest.fixture(scope="module")
def hubert_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hubert")
    tiny_hubert().save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def processor():
    tokenizer = HafmAudioTokenizer.from_parts(tiny_hubert(), tiny_encodec(), torch.zeros(4, 16), semantic_layer=2)
    return HafmProcessor(Wav2Vec2FeatureExtractor(do_normalize=True), EncodecFeatureExtractor(), tokenizer)


def test_clap_gives_one_unit_embedding_for_every_ten_seconds(clap):
    audio = noise(23, 48_000)
    embeddings = clap(audio, 48_000)
    assert embeddings.shape == (2, 12)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(clap(audio[480_000:960_000], 48_000), embeddings[1:], rtol=1e-5)
    assert clap(noise(3, 48_000), 48_000).shape == (1, 12)


def test_encodec_gives_its_latents_before_quantisation(encodec):
    audio = noise(2, 24_000)
    with torch.no_grad():
        expected = encodec.model.encoder(torch.from_numpy(audio)[None, None])[0].T
    assert expected.shape == (150, 8)
    np.testing.assert_allclose(encodec(audio, 24_000), expected, rtol=1e-5)


def test_hubert_gives_the_layer_asked_for(hubert_folder):
    audio = noise(2, 16_000)
    with torch.no_grad():
        values = torch.from_numpy((audio - audio.mean()) / audio.std())[None]
        expected = tiny_hubert()(values, output_hidden_states=True).hidden_states
    for layer in (0, 2, 4):
        embedder = HubertEmbedder(hubert_folder, layer=layer)
        np.testing.assert_allclose(embedder(audio, 16_000), expected[layer][0], atol=1e-4)
        assert embedder.name.endswith(f"-layer{layer}")
    with pytest.raises(ValueError, match="layers 0 to 4, not 5"):
        HubertEmbedder(hubert_folder, layer=5)


@pytest.mark.parametrize(("part", "rate", "width"), [("acoustic", 75, 8), ("semantic", 50, 16)])
def test_the_tokenizer_of_a_checkpoint_is_an_embedder(processor, tmp_path, part, rate, width):
    folder = tmp_path / "my-hafm"
    processor.save_pretrained(folder)
    embedder = TokenizerEmbedder(folder, part)
    assert embedder.name == f"my-hafm-{part}"
    embeddings = embedder(noise(2, 24_000), 24_000)
    assert embeddings.shape == (2 * rate, width)
    np.testing.assert_allclose(TokenizerEmbedder(processor, part)(noise(2, 24_000), 24_000), embeddings, atol=1e-5)


def test_the_tokenizer_of_hafm_tiny_is_always_there():
    embedder = TokenizerEmbedder()
    assert embedder.name == "hafm-tiny-acoustic"
    assert len(embedder(noise(2, 24_000), 24_000)) == 150


def test_long_audio_is_embedded_in_pieces_with_no_frame_lost(encodec):
    embeddings = encodec(noise(61, 24_000), 24_000)
    assert abs(len(embeddings) - 61 * 75) <= 3
    assert np.isfinite(embeddings).all()


def test_other_rates_and_channels_are_converted(encodec):
    time = np.arange(2 * 48_000) / 48_000
    fast = 0.3 * np.sin(2 * np.pi * 440 * time).astype(np.float32)
    expected = encodec(fast[::2].copy(), 24_000)[15:-15]
    np.testing.assert_allclose(encodec(fast, 48_000)[15:-15], expected, atol=1e-3 * np.abs(expected).max())
    np.testing.assert_array_equal(encodec(np.stack([fast, fast]), 48_000), encodec(fast, 48_000))


def test_silence_is_embedded_and_bad_audio_refused(encodec):
    assert np.isfinite(encodec(np.zeros(24_000, np.float32), 24_000)).all()
    with pytest.raises(ValueError, match="NaN"):
        encodec(np.full(24_000, np.nan), 24_000)
    with pytest.raises(ValueError, match="0.062 s of audio are too short"):
        encodec(np.zeros(1500), 24_000)
    with pytest.raises(ValueError, match="sampling_rate"):
        encodec(np.zeros(24_000))


def test_a_missing_checkpoint_is_an_error_that_names_it(tmp_path):
    for embedder in (ClapEmbedder, EncodecEmbedder, HubertEmbedder, TokenizerEmbedder):
        with pytest.raises(ValueError, match="nowhere: not found here or on the Hub"):
            embedder(tmp_path / "nowhere")


def test_tracks_are_embedded_one_at_a_time(encodec):
    sources = (noise(seconds, 24_000) for seconds in (1, 2))
    assert [len(embeddings) for embeddings in embed_tracks(encodec, sources, 24_000)] == [75, 150]
