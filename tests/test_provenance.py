# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The record beside a result identifies the checkpoint and the settings."""

import shutil

from safetensors.numpy import load_file, save_file

from hafm_hf import HafmModel
from hafm_hf.provenance import checkpoint_digest, sampling_settings


def test_digest_is_that_of_weights_and_configuration(checkpoint, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    digest = checkpoint_digest(HafmModel.from_pretrained(checkpoint))
    shutil.copytree(checkpoint, copy / "checkpoint-100")  # what a training leaves beside its result
    (copy / "README.md").write_text("Mine.")
    assert checkpoint_digest(HafmModel.from_pretrained(copy)) == digest
    for file in ("model.safetensors", "audio_tokenizer/model.safetensors"):
        tensors = load_file(copy / file)
        name = next(name for name, tensor in tensors.items() if tensor.dtype == "float32" and tensor.size > 1)
        save_file(tensors | {name: -tensors[name]}, copy / file, {"format": "pt"})
        changed = checkpoint_digest(HafmModel.from_pretrained(copy))
        assert changed != digest
        digest = changed


def test_sampling_settings_are_the_given_ones_over_those_of_each_stage(checkpoint):
    model = HafmModel.from_pretrained(checkpoint)
    model.coarse.generation_config.update(temperature=0.4, top_k=9)
    settings = sampling_settings(model, temperature=None, top_k=30, guidance_scale=None)
    assert [settings[name]["temperature"] for name in ("semantic", "coarse", "fine")] == [0.9, 0.4, 0.9]
    assert [stage["top_k"] for stage in settings.values()] == [30, 30, 30]
    assert not any(stage["do_sample"] for stage in sampling_settings(model, temperature=0).values())
