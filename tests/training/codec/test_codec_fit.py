# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A codec trained from nothing learns, survives being stopped, and is one that transformers and the tokenizer take."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from transformers import EncodecConfig, EncodecModel, HubertConfig, HubertModel

from hafm_hf import HafmAudioTokenizer
from hafm_hf.training.codec import fit as module
from hafm_hf.training.codec.fit import CodecFit, schedule


CONFIG = EncodecConfig(
    num_filters=4, hidden_size=8, codebook_dim=8, codebook_size=16, num_lstm_layers=1, target_bandwidths=[1.2]
)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LATENT_FRAMES", 200)
    for i in range(2):
        notes = 0.3 * np.sin(2 * np.pi * np.cumsum(np.repeat([220, 330, 440, 660], 6000)) / 24000)
        soundfile.write(tmp_path / f"{i}.wav", notes, 24000)
    return [tmp_path / "0.wav"], [tmp_path / "1.wav"]


def fit(output, **kwargs):
    return CodecFit(
        output,
        CONFIG,
        **({"steps": 20, "batch_size": 2, "segment_frames": 8, "save_steps": 5, "test_segments": 8} | kwargs),
    )


def state(folder):
    return EncodecModel.from_pretrained(folder).state_dict()


def test_it_learns_and_becomes_part_of_a_tokenizer(files, tmp_path):
    report = fit(tmp_path / "codec", steps=60, learning_rate=3e-3).run(*files)
    losses = [json.loads(line) for line in (tmp_path / "codec/log.jsonl").read_text().splitlines()]
    untrained = module.evaluate(EncodecModel(CONFIG), module.RandomSegments(files[1], 8 * 320, 24000), count=32)
    assert report["test"]["log_mel"] < 0.7 * untrained["test"]["log_mel"]
    assert losses[-1]["commitment"] > 0
    assert not (tmp_path / "codec/checkpoint.safetensors").exists()
    hubert = HubertModel(
        HubertConfig(hidden_size=16, num_hidden_layers=9, num_attention_heads=2, intermediate_size=16)
    )
    tokenizer = HafmAudioTokenizer.from_parts(hubert, str(tmp_path / "codec"), torch.randn(500, 16), bandwidth=1.2)
    assert tokenizer.encode_acoustic(torch.randn(1, 3200)).shape == (1, 4, 10)


def test_stopped_and_started_again_it_gives_the_same_codec(files, tmp_path, monkeypatch):
    fit(tmp_path / "whole").run(*files)

    for stop in (3, 8, 9):  # before the quantizer, and after it
        steps = iter(range(stop))
        take_step = module._Training._take_step

        def take_step_or_stop(self, quantized, steps=steps, take_step=take_step):
            if next(steps, None) is None:
                raise KeyboardInterrupt
            return take_step(self, quantized)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(module._Training, "_take_step", take_step_or_stop)
            fit(tmp_path / "stopped").run(*files)
    fit(tmp_path / "stopped").run(*files)

    stopped = state(tmp_path / "stopped")
    assert all(torch.equal(tensor, stopped[name]) for name, tensor in state(tmp_path / "whole").items())


def test_what_is_done_is_not_done_again(files, tmp_path, monkeypatch):
    report = fit(tmp_path / "codec").run(*files)
    monkeypatch.setattr(module._Training, "_take_step", None)
    assert fit(tmp_path / "codec").run(*files) == report


def test_other_settings_are_refused(files, tmp_path):
    fit(tmp_path / "codec").run(*files)
    with pytest.raises(ValueError, match="begun with learning_rate 0.0004, not 0.1"):
        replace(fit(tmp_path / "codec"), learning_rate=0.1).run(*files)


def test_the_learning_rate_rises_stays_and_falls_to_zero():
    rates = [schedule(progress) for progress in (0, 0.01, 0.3, 0.6, 0.8, 1.0)]
    assert rates[0] < rates[1] < rates[2] == rates[3] == 1 > rates[4] > rates[5] == pytest.approx(0)
