# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The processor turns audio into the tokens the model reads and back, and finds its tokenizer wherever it is stored."""

import copy
import math

import numpy as np
import pytest
import soundfile
import torch
from transformers import EncodecFeatureExtractor, Wav2Vec2FeatureExtractor

from hafm_hf.modeling.modeling_hafm_audio_tokenizer import HafmAudioTokenizer
from hafm_hf.modeling.processing_hafm import HafmProcessor


pytest_plugins = ("hub_server",)


@pytest.fixture
def vocals(make_audio):
    return [make_audio(seconds, seed=seed) for seed, seconds in enumerate((2.51, 0.4, 3.3333))]


# -- Vocals in ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [1200, 1201, 4799, 24000, 59_999, 60_001, 240_000])
def test_a_vocal_gives_fifty_tokens_a_second(processor, make_audio, samples):
    inputs = processor(audio=make_audio(samples / 24000), sampling_rate=24000)
    tokens = math.ceil(round(samples * 2 / 3) / 320)
    assert inputs["vocal_semantic_ids"].shape == inputs["conditioning_mask"].shape == (1, tokens)
    assert inputs["vocal_semantic_ids"].dtype == inputs["conditioning_mask"].dtype == torch.long
    assert inputs["conditioning_mask"].all()
    assert list(inputs) == processor.model_input_names


def test_a_vocal_has_the_tokens_it_has_alone(processor, vocals):
    together = processor(audio=vocals, sampling_rate=24000, seed=[3, 4, 5])
    for row, (vocal, seed) in enumerate(zip(vocals, (3, 4, 5), strict=True)):
        alone = processor(audio=vocal, sampling_rate=24000, seed=seed)["vocal_semantic_ids"][0]
        assert torch.equal(together["vocal_semantic_ids"][row, : len(alone)], alone)
        assert together["conditioning_mask"][row].sum() == len(alone)
        assert not together["vocal_semantic_ids"][row, len(alone) :].any()


def test_arrays_tensors_and_channels_are_understood(processor, vocals):
    vocal = vocals[0]
    expected = processor(audio=vocal, sampling_rate=24000)["vocal_semantic_ids"]
    stereo = np.stack([1.5 * vocal, 0.5 * vocal])
    for audio in (torch.from_numpy(vocal), [vocal], vocal.astype(np.float64), stereo, torch.from_numpy(stereo)):
        assert torch.equal(processor(audio=audio, sampling_rate=24000)["vocal_semantic_ids"], expected)
    as_numpy = processor(audio=vocal, sampling_rate=24000, return_tensors="np")["vocal_semantic_ids"]
    assert isinstance(as_numpy, np.ndarray) and np.array_equal(as_numpy, expected)


def test_a_missing_or_wrong_rate_is_refused(processor, vocals):
    for call in (processor, processor.encode):
        with pytest.raises(ValueError, match="pass sampling_rate="):
            call(audio=vocals[0])
        with pytest.raises(ValueError, match="44100 Hz; resample it to 24000 Hz first, or use the pipeline"):
            call(audio=vocals, sampling_rate=44100)


def test_the_hubert_hears_whole_inputs_normalised(processor, vocals):
    inputs = processor.semantic_inputs(vocals)
    assert inputs["padding_mask"].sum(-1).tolist() == [round(len(vocal) * 2 / 3) for vocal in vocals]
    for row, length in enumerate(inputs["padding_mask"].sum(-1)):
        heard = inputs["input_values"][row, :length]
        assert abs(heard.mean()) < 1e-5 and abs(heard.std() - 1) < 1e-3


# -- Noise -------------------------------------------------------------------------------------------------------------


def test_noise_has_its_level_and_can_be_left_out(audio_tokenizer, vocals):
    processor = HafmProcessor(Wav2Vec2FeatureExtractor(do_normalize=False), EncodecFeatureExtractor(), audio_tokenizer)
    clean = processor.semantic_inputs(vocals[:1])["input_values"]
    noise = processor.semantic_inputs(vocals[:1], noise_std=0.01, seeds=[0])["input_values"] - clean
    assert abs(noise.std() - 0.01) < 1e-4 and abs(noise.mean()) < 2e-4

    ids = [
        processor(audio=vocals[0], sampling_rate=24000, noise=noise)["vocal_semantic_ids"]
        for noise in (None, True, False)
    ]
    assert torch.equal(ids[0], ids[1])
    assert not torch.equal(ids[0], ids[2])
    assert torch.equal(ids[2], audio_tokenizer.encode_semantic(clean))


def test_the_seed_makes_the_noise(processor, vocals):
    ids = [processor(audio=vocals[0], sampling_rate=24000, seed=seed)["vocal_semantic_ids"] for seed in (0, 0, 1)]
    assert torch.equal(ids[0], ids[1])
    assert not torch.equal(ids[0], ids[2])
    with pytest.raises(ValueError, match="2 seeds for 3 vocals"):
        processor(audio=vocals, sampling_rate=24000, seed=[0, 1])


# -- Instrumentals in, waveforms out -----------------------------------------------------------------------------------


def test_instrumentals_become_what_the_tokenizer_makes_of_them(processor, vocals):
    encoded = processor.encode(audio=vocals, sampling_rate=24000)
    for row, waveform in enumerate(vocals):
        codes = processor.audio_tokenizer.encode_acoustic(torch.from_numpy(waveform)[None])[0]
        assert torch.equal(encoded["instrumental_codes"][row, :, : codes.shape[1]], codes)
        assert encoded["instrumental_codes_mask"][row].sum() == codes.shape[1] == math.ceil(len(waveform) / 320)
        ids = processor(audio=waveform, sampling_rate=24000, noise=False)["vocal_semantic_ids"][0]
        assert torch.equal(encoded["instrumental_semantic_ids"][row, : len(ids)], ids)
        assert encoded["instrumental_semantic_mask"][row].sum() == len(ids)


def test_waveforms_have_the_lengths_asked_for(processor, vocals):
    lengths = [len(vocal) for vocal in vocals]
    codes = processor.encode(audio=vocals, sampling_rate=24000)["instrumental_codes"]
    waveforms = processor.batch_decode(codes, lengths)
    assert [waveform.shape for waveform in waveforms] == [(length,) for length in lengths]
    for row, (waveform, length) in enumerate(zip(waveforms, lengths, strict=True)):
        assert waveform.dtype == np.float32
        frames = math.ceil(length / 320)
        alone = processor.audio_tokenizer.decode(codes[row : row + 1, :, :frames], length)[0].numpy()
        assert np.array_equal(waveform, alone)
        assert np.array_equal(waveform, processor.decode(codes[row], length))
    assert [len(waveform) for waveform in processor.batch_decode(codes)] == [codes.shape[-1] * 320] * 3


def test_audio_is_saved_at_the_rate_of_the_codec(processor, vocals, tmp_path):
    processor.save_audio(tmp_path / "out.wav", vocals[0])
    waveform, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert rate == processor.sampling_rate == 24000
    np.testing.assert_allclose(waveform, vocals[0], atol=2**-23)


# -- Saving and loading ------------------------------------------------------------------------------------------------


def test_extractors_for_other_rates_are_refused(audio_tokenizer):
    with pytest.raises(ValueError, match="Wav2Vec2FeatureExtractor is for 8000 Hz, but its network takes 16000 Hz"):
        HafmProcessor(Wav2Vec2FeatureExtractor(sampling_rate=8000), EncodecFeatureExtractor(), audio_tokenizer)
    with pytest.raises(ValueError, match="EncodecFeatureExtractor is for 48000 Hz"):
        HafmProcessor(Wav2Vec2FeatureExtractor(), EncodecFeatureExtractor(sampling_rate=48000), audio_tokenizer)


def test_saving_and_loading_changes_nothing(processor, vocals, tmp_path):
    processor = copy.copy(processor)
    processor.noise_std = 0.02
    processor.feature_extractor = Wav2Vec2FeatureExtractor(do_normalize=False)
    processor.save_pretrained(tmp_path)
    loaded = HafmProcessor.from_pretrained(tmp_path)
    loaded.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "processor_config.json").read_text() == (
        tmp_path / "processor_config.json"
    ).read_text()
    assert loaded.noise_std == 0.02 and not loaded.feature_extractor.do_normalize
    expected = processor(audio=vocals, sampling_rate=24000)
    actual = loaded(audio=vocals, sampling_rate=24000)
    assert all(torch.equal(actual[name], expected[name]) for name in expected)


def test_loading_takes_what_pipelines_pass(processor, tmp_path):
    processor.save_pretrained(tmp_path / "some" / "folder")
    loaded = HafmProcessor.from_pretrained(
        tmp_path, subfolder="some/folder", dtype="bfloat16", device_map="auto", trust_remote_code=True, noise_std=0.0
    )
    assert loaded.noise_std == 0.0
    assert loaded.audio_tokenizer.dtype == torch.float32


def test_showing_a_processor_does_not_copy_its_tokenizer(processor, monkeypatch):
    monkeypatch.delattr(HafmAudioTokenizer, "__deepcopy__", raising=False)
    monkeypatch.setattr(HafmAudioTokenizer, "__deepcopy__", lambda *_: pytest.fail("copied"), raising=False)
    assert "audio_tokenizer" not in processor.to_dict()
    assert "noise_std" in repr(processor)
    assert processor.audio_tokenizer is not None


def test_it_travels_to_the_hub_and_works_without_the_package(processor, vocals, hub_server, tmp_path):
    folder, vocal = str(tmp_path / "saved"), str(tmp_path / "vocal.npy")
    processor.save_pretrained(folder)
    np.save(vocal, vocals[0])
    hub_server.run(f"""
        from hafm_hf.modeling.processing_hafm import HafmProcessor

        processor = HafmProcessor.from_pretrained({folder!r})
        processor.save_pretrained({str(tmp_path / "again")!r}, push_to_hub=True, repo_id="user/hafm")
        processor.audio_tokenizer.push_to_hub("user/tokenizer")
    """)
    printed = hub_server.run(f"""
        import sys
        sys.modules["hafm_hf"] = None  # not installed
        import numpy as np
        import torch
        from transformers import AutoModel, AutoProcessor

        tokenizer = AutoModel.from_pretrained("user/tokenizer", trust_remote_code=True)
        for source, offline in (({folder!r}, True), ("user/hafm", False), ("user/hafm", True)):
            processor = AutoProcessor.from_pretrained(source, trust_remote_code=True, local_files_only=offline)
            for name, tensor in processor.audio_tokenizer.state_dict().items():
                assert torch.equal(tensor, tokenizer.state_dict()[name])
            print(processor(audio=np.load({vocal!r}), sampling_rate=24000)["vocal_semantic_ids"].tolist())
    """)
    ids = processor(audio=vocals[0], sampling_rate=24000)["vocal_semantic_ids"].tolist()
    assert printed == 3 * f"{ids}\n"
