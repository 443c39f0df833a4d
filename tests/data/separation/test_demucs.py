# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Demucs on a small model, stored as its author stores the large ones."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hafm_hf.data.separation import make_separator


pytest.importorskip("demucs")
pytest_plugins = ("hub_server",)

RATE = 8000
SETTINGS = {
    "sources": ["drums", "bass", "other", "vocals"],
    "samplerate": RATE,
    "segment": 1,
    "channels": 8,
    "depth": 3,
    "nfft": 512,
    "t_layers": 1,
    "t_heads": 2,
}


def save_model(folder, settings=SETTINGS, signatures=("a1", "b2"), **metadata):
    from demucs.htdemucs import HTDemucs

    folder.mkdir()
    (folder / "tiny.yaml").write_text(json.dumps({"models": signatures}))
    for seed, signature in enumerate(signatures):
        torch.manual_seed(seed)
        tensors = {name: tensor.contiguous() for name, tensor in HTDemucs(**settings).state_dict().items()}
        model = {"klass": "demucs.htdemucs.HTDemucs", "args": "[]", "kwargs": json.dumps(settings)}
        save_file(tensors, folder / f"{signature}.safetensors", model | metadata)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("demucs") / "tiny")


@pytest.fixture(scope="module")
def mixture():
    return np.random.default_rng(0).normal(0, 0.1, (2, 5 * RATE // 2)).astype(np.float32)


def test_the_vocal_is_the_one_of_demucs_itself(folder, mixture):
    from demucs.apply import BagOfModels, apply_model
    from demucs.hf import load_safetensors_model

    bag = BagOfModels([load_safetensors_model(folder / f"{name}.safetensors") for name in ("a1", "b2")])
    audio = torch.from_numpy(mixture)
    mean, std = audio.mean(), audio.mean(0).std()
    expected = apply_model(bag, ((audio - mean) / std)[None], shifts=0)[0, 3] * std + mean
    vocal, instrumental = make_separator("demucs", model=folder).separate(mixture, RATE)
    np.testing.assert_allclose(vocal, expected.numpy(), atol=1e-6)
    np.testing.assert_allclose(vocal + instrumental, mixture, atol=1e-7)
    assert np.abs(vocal).max() > 1e-3


def test_a_mixture_always_gives_the_same_vocal(folder, mixture):
    separator = make_separator("demucs", model=folder)
    first, _ = separator.separate(mixture, RATE)
    torch.manual_seed(1)
    np.testing.assert_array_equal(separator.separate(mixture, RATE)[0], first)


@pytest.mark.parametrize("gain", [1e-3, 10.0])
def test_quiet_and_loud_mixtures_are_separated_alike(folder, mixture, gain):
    separator = make_separator("demucs", model=folder)
    vocal, _ = separator.separate(mixture, RATE)
    scaled, _ = separator.separate(np.float32(gain) * mixture, RATE)
    np.testing.assert_allclose(scaled / gain, vocal, atol=1e-5)


def test_silence_stays_silent(folder):
    vocal, instrumental = make_separator("demucs", model=folder).separate(np.zeros((1, RATE), np.float32), RATE)
    assert not vocal.any()
    assert not instrumental.any()


def test_the_parameters_name_the_weights_wherever_they_lie(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    parameters, elsewhere = (make_separator("demucs", model=path).parameters for path in (folder, copy))
    assert parameters["weights"] == elsewhere["weights"]
    assert len(set(parameters["weights"])) == 2
    assert json.loads(json.dumps(parameters)) == parameters


def test_a_model_comes_from_the_hub(hub_server, folder, mixture, tmp_path):
    np.save(tmp_path / "mixture.npy", mixture)
    printed = hub_server.run(f"""
        import numpy as np
        from huggingface_hub import HfApi
        from hafm_hf.data.separation import make_separator

        HfApi().create_repo("someone/Tiny")
        HfApi().upload_folder(repo_id="someone/Tiny", folder_path={str(folder)!r})
        separator = make_separator("demucs", model="someone/Tiny")
        vocal, _ = separator.separate(np.load({str(tmp_path / "mixture.npy")!r}), {RATE})
        print(separator.parameters["weights"], float(np.abs(vocal).sum()))
    """)
    weights, level = printed.rsplit(maxsplit=1)
    separator = make_separator("demucs", model=folder)
    vocal, _ = separator.separate(mixture, RATE)
    assert weights == str(separator.parameters["weights"])
    assert float(level) == pytest.approx(float(np.abs(vocal).sum()), rel=1e-4)


@pytest.mark.parametrize("metadata", [{"klass": "subprocess.Popen"}, {"structure": '{"_class": "subprocess.Popen"}'}])
def test_a_file_cannot_choose_which_code_is_run(tmp_path, metadata):
    path = save_model(tmp_path / "evil", signatures=("a1",), **metadata)
    with pytest.raises(ValueError, match=r"a1\.safetensors does not hold a Demucs model"):
        make_separator("demucs", model=path)


def test_a_folder_that_is_no_model_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="holds 0 .yaml files"):
        make_separator("demucs", model=tmp_path)
    (tmp_path / "tiny.yaml").write_text("models: [a1]")
    (tmp_path / "a1.th").touch()
    with pytest.raises(ValueError, match=r"a1\.safetensors cannot be read"):
        make_separator("demucs", model=tmp_path)
    (tmp_path / "tiny.yaml").write_text("a1")
    with pytest.raises(ValueError, match="does not list the models"):
        make_separator("demucs", model=tmp_path)
    with pytest.raises(ValueError, match="nowhere/at all is neither a folder nor a Hub repository"):
        make_separator("demucs", model="nowhere/at all")


def test_a_model_without_vocals_is_refused(tmp_path):
    path = save_model(tmp_path / "drums", SETTINGS | {"sources": ["drums", "rest"]})
    with pytest.raises(ValueError, match="does not separate the vocals"):
        make_separator("demucs", model=path)
