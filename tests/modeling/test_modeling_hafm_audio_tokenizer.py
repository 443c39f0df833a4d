# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Tokens come at exact rates, do not depend on chunking or batching, and survive saving to the bit."""

import copy
import math

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from safetensors.torch import save_file
from torch.testing import assert_close
from transformers import EncodecConfig, EncodecModel

from hafm_hf.modeling.configuration_hafm_audio_tokenizer import HafmAudioTokenizerConfig
from hafm_hf.modeling.modeling_hafm_audio_tokenizer import HafmAudioTokenizer, HafmCodecCache


SECONDS = (0.05, 0.0501, 0.333, 1.99, 2.0, 2.0001, 4.41, 10.0, 33.3333, 70.0)


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


@pytest.fixture(params=["audio_tokenizer", "base_audio_tokenizer"])
def tokenizer(request) -> HafmAudioTokenizer:
    return request.getfixturevalue(request.param)


@pytest.fixture
def vocals(make_audio):
    """Three rows of different lengths at 16 kHz, loud as after normalisation, and their padding mask."""
    return padded([make_audio(seconds, 16000, seed) * 5 for seed, seconds in enumerate((4.81, 0.3, 6.0))])


@pytest.fixture
def instrumentals(make_audio):
    return padded([make_audio(seconds, 24000, seed) for seed, seconds in enumerate((4.81, 0.3, 6.0))])


def padded(rows):
    rows = [torch.from_numpy(row) for row in rows]
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(row), dtype=torch.long) for row in rows], batch_first=True)
    # What lies in the padding must not matter.
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=0.5), mask


# -- Configuration -----------------------------------------------------------------------------------------------------


def test_the_defaults_are_the_papers():
    config = HafmAudioTokenizerConfig()
    assert (config.semantic_frame_rate, config.frame_rate, config.sampling_rate) == (50, 75, 24000)
    assert (config.num_clusters, config.num_codebooks, config.codebook_size) == (500, 8, 1024)
    assert (config.semantic_layer, config.semantic_model_config.hidden_size) == (9, 1024)
    assert config.semantic_window_length - config.semantic_hop_length == 80


def test_rates_follow_the_parts():
    codec = EncodecConfig(
        sampling_rate=32000, upsampling_ratios=[8, 5, 4, 4], codebook_size=2048, target_bandwidths=[2.2]
    )
    config = HafmAudioTokenizerConfig(acoustic_model_config=codec, bandwidth=2.2)
    assert (config.sampling_rate, config.hop_length, config.frame_rate, config.num_codebooks) == (32000, 640, 50, 4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"semantic_layer": 25}, "layers 1 to 24"),
        ({"semantic_layer": 0}, "layers 1 to 24"),
        ({"bandwidth": 5.0}, "the codec knows"),
        ({"chunk_seconds": 0.02}, "`chunk_seconds` is 0.02, not a whole number of frames at 75"),
        ({"chunk_seconds": 0}, "`chunk_seconds` is 0"),
        ({"semantic_context_seconds": 0.01}, "`semantic_context_seconds` is 0.01"),
        ({"semantic_sampling_rate": 22050}, "no whole frames"),
        ({"acoustic_model_config": {"sampling_rate": 22050}}, "no whole frames"),
        ({"acoustic_model_config": {"audio_channels": 2}}, "mono EnCodec"),
        ({"acoustic_model_config": {"model_type": "dac"}}, "mono EnCodec"),
        ({"acoustic_model_config": {"norm_type": "time_group_norm"}}, "use 'weight_norm'"),
    ],
)
def test_what_cannot_work_is_refused(fields, message):
    with pytest.raises(StrictDataclassClassValidationError, match=message):
        HafmAudioTokenizerConfig(**fields)


# -- Encoding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["large_hubert", "base_hubert"])
@pytest.mark.parametrize("layer", [1, 3, 4])
def test_features_are_those_of_the_layer_in_the_whole_hubert(kind, layer, codec, make_audio, request):
    hubert = copy.deepcopy(request.getfixturevalue(kind)).eval()
    tokenizer = HafmAudioTokenizer.from_parts(hubert, codec, semantic_layer=layer)
    audio = torch.from_numpy(make_audio(3.0, 16000))[None]
    expected = hubert(torch.nn.functional.pad(audio, (0, 80)), output_hidden_states=True).hidden_states[layer]
    assert torch.equal(tokenizer.semantic_features(audio), expected)


@pytest.mark.parametrize("seconds", SECONDS)
def test_every_length_gives_exactly_its_frames(audio_tokenizer, make_audio, seconds):
    vocal, instrumental = (torch.from_numpy(make_audio(seconds, rate))[None] for rate in (16000, 24000))
    assert audio_tokenizer.encode_semantic(vocal).shape == (1, math.ceil(vocal.shape[1] / 320))
    codes = audio_tokenizer.encode_acoustic(instrumental)
    assert codes.shape == (1, 8, math.ceil(instrumental.shape[1] / 320))
    assert audio_tokenizer.decode(codes, instrumental.shape[1]).shape == instrumental.shape


def test_tokens_use_the_vocabulary(tokenizer, vocals, instrumentals):
    assert len(tokenizer.encode_semantic(*vocals).unique()) > 30
    assert all(len(book.unique()) > 10 for book in tokenizer.encode_acoustic(*instrumentals).unbind(1))


def test_a_token_is_the_nearest_centroid(tokenizer, vocals):
    longest = 2
    features = tokenizer.semantic_features(*vocals)[longest]
    distances = torch.cdist(features.double(), tokenizer.centroids.double())
    assert torch.equal(tokenizer.encode_semantic(*vocals)[longest], distances.argmin(-1))


@pytest.mark.parametrize("chunk_batch_size", [1, 2, 16])
def test_rows_have_the_tokens_they_have_alone(tokenizer, vocals, instrumentals, chunk_batch_size):
    for encode, (audio, mask) in ((tokenizer.encode_semantic, vocals), (tokenizer.encode_acoustic, instrumentals)):
        together = encode(audio, mask, chunk_batch_size=chunk_batch_size)
        for row, length in enumerate(mask.sum(-1)):
            alone = encode(audio[row : row + 1, :length])
            assert torch.equal(together[row : row + 1, ..., : alone.shape[-1]], alone)
            assert not together[row, ..., alone.shape[-1] :].any()


def test_long_vocals_are_read_on_the_grid(tokenizer, make_audio):
    """Each chunk of 2 s is read with 0.4 s of real audio on both sides, and 80 samples for its last frame."""
    audio = torch.from_numpy(make_audio(7.03, 16000)) * 5
    whole = torch.nn.functional.pad(audio, (0, 352 * 320 + 80 - len(audio)))
    expected = []
    for first, last, start, stop in (
        (0, 100, 0, 120),
        (100, 200, 80, 220),
        (200, 300, 180, 320),
        (300, 352, 280, 352),
    ):
        window = whole[start * 320 : stop * 320 + 80]
        hidden = tokenizer.semantic_model(window[None]).last_hidden_state[0, first - start : last - start]
        expected.append(hidden)
    assert torch.equal(tokenizer.semantic_features(audio[None])[0], torch.cat(expected))


@pytest.mark.parametrize("seconds", [0.05, 1.99, 2.0, 2.0001, 14.41])
def test_codes_are_those_of_one_pass(tokenizer, make_audio, seconds):
    audio = torch.from_numpy(make_audio(seconds))[None]
    one_pass = tokenizer.acoustic_model.encode(audio[:, None], bandwidth=6.0).audio_codes[0]
    assert torch.equal(tokenizer.encode_acoustic(audio), one_pass)


def test_silence_has_tokens_and_sounds(tokenizer):
    silence = torch.zeros(1, 48000)
    assert tokenizer.encode_semantic(silence).shape == (1, 150)
    assert tokenizer.decode(tokenizer.encode_acoustic(silence)).isfinite().all()


def test_tokens_stay_deterministic_in_training(tokenizer, vocals):
    expected = tokenizer.encode_semantic(*vocals)
    tokenizer.train()
    assert torch.equal(tokenizer.encode_semantic(*vocals), expected)
    assert not any(module.training for module in tokenizer.modules())


def test_unfit_audio_is_refused(audio_tokenizer):
    with pytest.raises(ValueError, match="mono"):
        audio_tokenizer.encode_acoustic(torch.zeros(1, 2, 4800))
    with pytest.raises(ValueError, match="Row 1 of `input_values` holds no audio"):
        audio_tokenizer.encode_semantic(torch.zeros(2, 4800), torch.tensor([[1], [0]]).expand(2, 4800))


# -- Decoding ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def codes():
    return torch.randint(0, 1024, (2, 8, 1000), generator=torch.Generator().manual_seed(0))


def test_decoding_is_one_pass(tokenizer, codes):
    """The LSTMs of this codec remember for many seconds: chunks of 2 s decoded with 1 s of context are up to 3e-3 off."""
    one_pass = tokenizer.acoustic_model.decode(codes[None], [None]).audio_values[:, 0]
    assert_close(tokenizer.decode(codes), one_pass, atol=1e-5, rtol=0)
    assert_close(tokenizer.decode(codes, chunk_batch_size=16), one_pass, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("start", "end"), [(0, 1), (0, 225), (225, 450), (37, 612), (990, 1000), (0, 1000)])
def test_a_piece_sounds_as_within_the_whole(tokenizer, codes, start, end):
    piece = tokenizer.decode(codes, start=start, end=end)
    assert_close(piece, tokenizer.decode(codes)[:, start * 320 : end * 320], atol=1e-5, rtol=0)


def test_what_is_decoded_early_is_final(audio_tokenizer, codes):
    whole = audio_tokenizer.decode(codes)
    streamed = [
        audio_tokenizer.decode(codes[..., :end], start=end - 125, end=end)
        for end in range(125, codes.shape[-1] + 1, 125)
    ]
    assert_close(torch.cat(streamed, -1), whole, atol=1e-5, rtol=0)


ENDS = (1, 3, 228, 229, 236, 612, 1000)  # shorter and longer than what a convolution sees, and than a chunk


@pytest.mark.parametrize("chunk_batch_size", [1, 2])
def test_a_cache_changes_no_piece(tokenizer, codes, chunk_batch_size):
    cache = HafmCodecCache()
    for start, end in zip((0, *ENDS), ENDS, strict=False):
        arguments = {"codes": codes[..., :end], "start": start, "chunk_batch_size": chunk_batch_size}
        assert_close(tokenizer.decode(**arguments, cache=cache), tokenizer.decode(**arguments), atol=1e-5, rtol=0)


def test_pieces_of_known_codes_share_a_cache(tokenizer, codes):
    cache = HafmCodecCache()
    pieces = [tokenizer.decode(codes, start=start, end=start + 125, cache=cache) for start in range(0, 1000, 125)]
    assert_close(torch.cat(pieces, -1), tokenizer.decode(codes), atol=1e-5, rtol=0)


def test_with_a_cache_every_piece_costs_the_same(audio_tokenizer, codes):
    steps = []
    (lstm,) = (
        module for module in audio_tokenizer.acoustic_model.decoder.modules() if isinstance(module, torch.nn.LSTM)
    )
    hook = lstm.register_forward_hook(lambda module, inputs, output: steps.append(len(inputs[0])))
    cache = HafmCodecCache()
    for end in range(250, 1001, 250):
        audio_tokenizer.decode(codes[:1, :, :end], start=end - 250, cache=cache)
    hook.remove()
    assert sum(steps) < 1000 + 4 * 10


def test_a_cache_of_later_frames_is_refused(audio_tokenizer, codes):
    cache = HafmCodecCache()
    audio_tokenizer.decode(codes, end=500, cache=cache)
    with pytest.raises(ValueError, match="too late for frame 100; decode pieces in order"):
        audio_tokenizer.decode(codes, start=100, cache=cache)


def test_length_trims_the_end_of_the_whole(audio_tokenizer, codes):
    whole = audio_tokenizer.decode(codes)
    assert torch.equal(audio_tokenizer.decode(codes, length=319_777), whole[:, :319_777])
    last_piece = audio_tokenizer.decode(codes, length=319_777, start=875)
    assert_close(last_piece, whole[:, 280_000:319_777], atol=1e-5, rtol=0)


def test_the_first_codebooks_suffice(audio_tokenizer, codes):
    coarse = codes[:, :4]
    one_pass = audio_tokenizer.acoustic_model.decode(coarse[None], [None]).audio_values[:, 0]
    assert_close(audio_tokenizer.decode(coarse), one_pass, atol=1e-5, rtol=0)


def test_unfit_codes_are_refused(audio_tokenizer, codes):
    for unfit, message in (
        ({"codes": codes[0]}, "expected \\(batch, up to 8 codebooks, frames\\)"),
        ({"codes": codes.repeat(1, 2, 1)}, "expected \\(batch, up to 8 codebooks, frames\\)"),
        ({"codes": codes + 1}, "within 0 and 1023"),
        ({"codes": codes, "end": 1001}, "frames 0 to 1001 of 1000"),
        ({"codes": codes, "start": 7, "end": 7}, "frames 7 to 7"),
    ):
        with pytest.raises(ValueError, match=message):
            audio_tokenizer.decode(**unfit)


# -- Building, saving, loading -----------------------------------------------------------------------------------------


def assert_same(tokenizer, other, vocals, instrumentals):
    expected, actual = tokenizer.state_dict(), other.state_dict()
    assert actual.keys() == expected.keys()
    assert all(torch.equal(actual[name], tensor) for name, tensor in expected.items())
    assert torch.equal(other.encode_semantic(*vocals), tokenizer.encode_semantic(*vocals))
    codes = tokenizer.encode_acoustic(*instrumentals)
    assert torch.equal(other.encode_acoustic(*instrumentals), codes)
    assert torch.equal(other.decode(codes), tokenizer.decode(codes))


@pytest.mark.parametrize("max_shard_size", ["1GB", "100KB"])
def test_saving_and_loading_changes_nothing(tokenizer, tmp_path, vocals, instrumentals, max_shard_size):
    tokenizer.save_pretrained(tmp_path, max_shard_size=max_shard_size)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (max_shard_size == "100KB")
    loaded = HafmAudioTokenizer.from_pretrained(tmp_path)
    assert loaded.config.to_dict().keys() == tokenizer.config.to_dict().keys()
    assert_same(tokenizer, loaded, vocals, instrumentals)


def test_half_precision_spares_codec_and_centroids(tokenizer, tmp_path, vocals, instrumentals):
    tokenizer.save_pretrained(tmp_path)
    half = HafmAudioTokenizer.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert half.semantic_model.dtype == torch.bfloat16
    assert torch.equal(half.centroids, tokenizer.centroids)
    codes = tokenizer.encode_acoustic(*instrumentals)
    assert torch.equal(half.encode_acoustic(*instrumentals), codes)
    assert torch.equal(half.decode(codes), tokenizer.decode(codes))
    agreement = (half.encode_semantic(*vocals) == tokenizer.encode_semantic(*vocals)).float().mean()
    assert agreement > 0.8


def test_parts_may_be_folders_files_and_other_tokenizers(
    audio_tokenizer, large_hubert, codec, tmp_path, vocals, instrumentals
):
    large_hubert.save_pretrained(tmp_path / "hubert")
    codec.save_pretrained(tmp_path / "codec")
    save_file({"centroids": audio_tokenizer.centroids}, tmp_path / "centroids.safetensors")
    np.save(tmp_path / "centroids.npy", audio_tokenizer.centroids.numpy())
    config = {"semantic_layer": 2, "chunk_seconds": 2.0, "semantic_context_seconds": 0.4}
    for parts in (
        (tmp_path / "hubert", str(tmp_path / "codec"), tmp_path / "centroids.safetensors"),
        (large_hubert, codec, str(tmp_path / "centroids.npy")),
        (audio_tokenizer.semantic_model, audio_tokenizer.acoustic_model, audio_tokenizer.centroids.double().numpy()),
    ):
        assert_same(audio_tokenizer, HafmAudioTokenizer.from_parts(*parts, **config), vocals, instrumentals)


def test_a_hubert_in_half_precision_becomes_float32(large_hubert, codec, tmp_path):
    copy.deepcopy(large_hubert).half().save_pretrained(tmp_path)
    tokenizer = HafmAudioTokenizer.from_parts(tmp_path, codec, semantic_layer=2)
    assert all(parameter.dtype == torch.float32 for parameter in tokenizer.parameters())


def test_parts_are_copied(large_hubert, codec, audio_tokenizer):
    assert large_hubert.config.num_hidden_layers == len(large_hubert.encoder.layers) == 4
    own = dict(audio_tokenizer.named_parameters())
    assert not {p.data_ptr() for p in own.values()} & {
        p.data_ptr() for m in (large_hubert, codec) for p in m.parameters()
    }


@pytest.mark.parametrize("name", ["kmeans.km", "kmeans.pkl", "kmeans.bin", "kmeans.joblib", "kmeans.pt", "kmeans"])
def test_pickles_are_refused_unopened(large_hubert, codec, tmp_path, name):
    with pytest.raises(ValueError, match=f"{name} .*pickle.*numpy.save"):  # the file does not even exist
        HafmAudioTokenizer.from_parts(large_hubert, codec, tmp_path / name)


def test_a_pickle_within_a_numpy_file_is_refused(large_hubert, codec, tmp_path):
    np.save(tmp_path / "kmeans.npy", np.array([{"centroids": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        HafmAudioTokenizer.from_parts(large_hubert, codec, tmp_path / "kmeans.npy")


@pytest.mark.parametrize(
    ("centroids", "config"),
    [
        (torch.zeros(50, 31), {}),
        (torch.zeros(50), {}),
        (torch.zeros(50, 32), {"num_clusters": 500}),
        (torch.full((50, 32), float("nan")), {}),
    ],
)
def test_unfit_centroids_are_refused(large_hubert, codec, centroids, config):
    with pytest.raises(ValueError, match="needs finite ones of shape"):
        HafmAudioTokenizer.from_parts(large_hubert, codec, centroids, semantic_layer=2, **config)


def test_ambiguous_centroid_files_are_refused(large_hubert, codec, tmp_path):
    save_file({"a": torch.zeros(50, 32), "b": torch.zeros(50, 32)}, tmp_path / "two.safetensors")
    with pytest.raises(ValueError, match="holds 2 tensors"):
        HafmAudioTokenizer.from_parts(large_hubert, codec, tmp_path / "two.safetensors")


def test_a_random_tokenizer_is_complete(large_hubert):
    config = HafmAudioTokenizerConfig(
        semantic_model_config=large_hubert.config.to_dict(),
        acoustic_model_config={"num_filters": 4, "hidden_size": 16},
        semantic_layer=2,
    )
    tokenizer = HafmAudioTokenizer(config)
    assert isinstance(tokenizer.acoustic_model, EncodecModel)
    assert tokenizer.centroids.std() > 0.5
