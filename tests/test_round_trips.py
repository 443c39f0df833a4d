# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Whatever is saved or pushed comes back bit for bit: here, without this package, from the Hub, and offline."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from huggingface_hub import EvalResult, ModelCard
from tiny_checkpoint import make_model, make_processor
from transformers import AutoConfig, AutoModel, AutoProcessor, pipeline
from waveforms import noise, tone

from hafm_hf import (
    TASK,
    HafmAudioTokenizer,
    HafmAudioTokenizerConfig,
    HafmConfig,
    HafmModel,
    HafmPipeline,
    HafmProcessor,
    HafmSemanticModel,
)
from hafm_hf.hub_cards.card import full_card
from hafm_hf.modeling.loudness_hafm import PeakLimiter


WAVEFORM = (tone(0.1, 24000) + noise(0.1, 24000, 1, 0.02))[0]
IDS = torch.arange(15)[None] * 31

shards = pytest.mark.parametrize("max_shard_size", ["50GB", "100KB"])
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])


def assert_same_weights(loaded: torch.nn.Module, saved: torch.nn.Module):
    loaded, saved = loaded.state_dict(), saved.state_dict()
    assert loaded.keys() == saved.keys()
    for name, tensor in saved.items():
        assert loaded[name].dtype == tensor.dtype and torch.equal(loaded[name], tensor), name


def assert_sharded(folder: Path, max_shard_size: str):
    assert (len(list(folder.glob("*.safetensors"))) > 1) == (max_shard_size != "50GB")


# -- In this process ---------------------------------------------------------------------------------------------------


@shards
@dtypes
def test_stage(tmp_path, max_shard_size, dtype):
    for name, stage in make_model().to(dtype).stages.items():
        stage.generation_config.update(temperature=0.5, top_k=7, context_seconds=0.04)
        stage.save_pretrained(tmp_path / name, max_shard_size=max_shard_size)
        loaded = AutoModel.from_pretrained(tmp_path / name)
        assert type(loaded) is type(stage)
        assert_same_weights(loaded, stage)
        assert_sharded(tmp_path / name, max_shard_size)
        assert AutoConfig.from_pretrained(tmp_path / name).to_diff_dict() == stage.config.to_diff_dict()
        settings = loaded.generation_config
        assert (settings.temperature, settings.top_k, settings.context_seconds) == (0.5, 7, 0.04)
        assert (settings.guidance_scale, settings.do_sample) == (3.0, True)


@shards
@dtypes
def test_composite(tmp_path, max_shard_size, dtype):
    model = make_model().to(dtype)
    model.semantic.generation_config.update(temperature=0.5, guidance_scale=1.5)
    model.fine.generation_config.update(do_sample=False, top_k=7)
    model.save_pretrained(tmp_path, max_shard_size=max_shard_size)
    assert_sharded(tmp_path, max_shard_size)
    assert type(AutoConfig.from_pretrained(tmp_path)) is HafmConfig
    loaded = AutoModel.from_pretrained(tmp_path)
    assert type(loaded) is HafmModel
    assert_same_weights(loaded, model)
    assert torch.equal(loaded.generate(IDS, seed=1).codes, model.generate(IDS, seed=1).codes)
    stages = {"semantic": loaded.semantic, "alone": HafmSemanticModel.from_pretrained(tmp_path)}
    for stage in stages.values():
        assert (stage.generation_config.temperature, stage.generation_config.guidance_scale) == (0.5, 1.5)
    assert loaded.coarse.generation_config.temperature == 0.9
    assert (loaded.fine.generation_config.do_sample, loaded.fine.generation_config.top_k) == (False, 7)
    assert_same_weights(stages["alone"], model.semantic)
    loaded.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again/generation_config.json").read_text() == (tmp_path / "generation_config.json").read_text()


@shards
@dtypes
def test_audio_tokenizer(tmp_path, max_shard_size, dtype):
    make_processor().audio_tokenizer.save_pretrained(tmp_path / "first")
    tokenizer = HafmAudioTokenizer.from_pretrained(tmp_path / "first", dtype=dtype)
    tokenizer.save_pretrained(tmp_path / "second", max_shard_size=max_shard_size)
    assert_sharded(tmp_path / "second", max_shard_size)
    assert type(AutoConfig.from_pretrained(tmp_path / "second")) is HafmAudioTokenizerConfig
    loaded = AutoModel.from_pretrained(tmp_path / "second")
    assert type(loaded) is HafmAudioTokenizer
    assert_same_weights(loaded, tokenizer)
    audio = torch.from_numpy(WAVEFORM)[None]
    assert torch.equal(loaded.encode_semantic(audio), tokenizer.encode_semantic(audio))
    codes = tokenizer.encode_acoustic(audio)
    assert torch.equal(loaded.encode_acoustic(audio), codes)
    assert torch.equal(loaded.decode(codes), tokenizer.decode(codes))


@shards
def test_processor(tmp_path, max_shard_size):
    processor = make_processor()
    processor.noise_std = 0.02
    processor.save_pretrained(tmp_path, max_shard_size=max_shard_size)
    assert_sharded(tmp_path / "audio_tokenizer", max_shard_size)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert type(loaded) is HafmProcessor and loaded.noise_std == 0.02
    assert_same_weights(loaded.audio_tokenizer, processor.audio_tokenizer)
    for method in ("__call__", "encode"):
        expected = getattr(processor, method)(WAVEFORM, sampling_rate=24000)
        outputs = getattr(loaded, method)(WAVEFORM, sampling_rate=24000)
        assert outputs.keys() == expected.keys() and all(torch.equal(outputs[key], expected[key]) for key in expected)
    loaded.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again/processor_config.json").read_text() == (tmp_path / "processor_config.json").read_text()


@shards
@dtypes
def test_pipeline(checkpoint, tmp_path, max_shard_size, dtype):
    saved = pipeline(TASK, model=checkpoint, dtype=dtype, device="cpu")
    saved.save_pretrained(tmp_path, max_shard_size=max_shard_size)
    assert_sharded(tmp_path, max_shard_size)
    assert_sharded(tmp_path / "audio_tokenizer", max_shard_size)
    loaded = pipeline(TASK, model=str(tmp_path), device="cpu", pipeline_class=HafmPipeline)
    assert loaded.dtype == dtype
    assert_same_weights(loaded.model, saved.model)
    results = [accompany(WAVEFORM, sampling_rate=24000, seed=3)["audio"] for accompany in (saved, loaded)]
    assert np.array_equal(*results)
    assert str(Path(checkpoint).parent) not in (tmp_path / "config.json").read_text()


# -- Without this package ----------------------------------------------------------------------------------------------

# What runs after this cannot import the package, and accompanies "vocal.npy".
WITHOUT_PACKAGE = """
import sys
sys.modules["hafm_hf"] = None
import numpy as np
from transformers import AutoConfig, AutoModel, AutoProcessor, pipeline

vocal, trusted = np.load("vocal.npy"), {"trust_remote_code": True}

def accompany(pipe):
    return pipe(vocal, sampling_rate=24000, seed=3)["audio"]

def accompany_by_parts(model, processor):
    codes = model.generate(**processor(audio=vocal, sampling_rate=24000), seed=3).codes
    return processor.decode(codes[0], length=len(vocal))
"""


def without_package(script: str) -> str:
    return WITHOUT_PACKAGE + textwrap.dedent(script)


@pytest.fixture
def saved(checkpoint, tmp_path, monkeypatch) -> HafmPipeline:
    """A pipeline, in a folder with the vocal in it."""
    monkeypatch.chdir(tmp_path)
    np.save("vocal.npy", WAVEFORM)
    soundfile.write("vocal.wav", WAVEFORM, 24000)
    return pipeline(TASK, model=checkpoint, device="cpu")


def assert_accompanied(names: list[str], accompany: HafmPipeline):
    expected = accompany(WAVEFORM, sampling_rate=24000, seed=3)["audio"]
    for name in names:
        audio = np.load(f"{name}.npy")
        if name == "parts":  # peaks are left to the pipeline
            audio = PeakLimiter(24000)(audio)
        assert np.array_equal(audio, expected), name


def test_folders_work_without_the_package(saved):
    saved.save_pretrained("pipeline", max_shard_size="100KB")
    saved.model.coarse.save_pretrained("stage")
    script = without_package("""
        first = pipeline(model="pipeline", **trusted)
        np.save("first.npy", accompany(first))
        first.save_pretrained("again")
        np.save("again.npy", accompany(pipeline("vocal-accompaniment", model="again", **trusted)))
        parts = [auto.from_pretrained("again", **trusted) for auto in (AutoModel, AutoProcessor)]
        np.save("parts.npy", accompany_by_parts(*parts))

        stage = AutoModel.from_pretrained("stage", **trusted)
        print(type(stage).__name__, stage.generation_config.guidance_scale)
        print(type(AutoConfig.from_pretrained("stage", **trusted)).__name__)
        print(type(AutoModel.from_pretrained("again/audio_tokenizer", **trusted)).__name__)
    """)
    environment = os.environ | {"HF_MODULES_CACHE": "modules", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", script]
    printed = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert printed.split() == ["HafmCoarseModel", "3.0", "HafmCoarseConfig", "HafmAudioTokenizer"]
    assert_accompanied(["first", "again", "parts"], saved)
    assert {path.name for path in Path("again").iterdir()} == {path.name for path in Path("pipeline").iterdir()} - {
        path.name for path in Path("pipeline").glob("*.safetensors*")
    } | {"model.safetensors"}


# -- Through the Hub ---------------------------------------------------------------------------------------------------


def read_on_hub(hub_server, repo_id: str, path: str) -> str:
    repository = hub_server.repositories["models", repo_id]
    return (hub_server.blobs / repository.trees[repository.head][path]).read_text()


def card_metadata(card: str) -> dict:
    return yaml.safe_load(card.split("---")[1])


def card_code(card: str) -> str:
    return re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]


def test_what_is_pushed_comes_back(saved, checkpoint, hub_server):
    hub_server.run(f"""
        from huggingface_hub import HfApi
        from transformers import pipeline
        from hafm_hf.cli.main import main

        accompany = pipeline("vocal-accompaniment", model={checkpoint!r}, device="cpu")
        accompany.push_to_hub("user/pipeline", tags=["mine"])
        accompany.processor.push_to_hub("user/parts")
        accompany.model.push_to_hub("user/parts", max_shard_size="100KB")
        accompany.model.semantic.push_to_hub("user/stage")
        accompany.save_pretrained("saved", push_to_hub=True, repo_id="user/saved")
        assert main(["push", {checkpoint!r}, "user/command", "--license", "cc0-1.0", "--training", "On nothing."]) == 0

        # Without `trust_remote_code`, for the code is here.
        assert main(["accompany", "vocal.wav", "--model", "user/command", "--seed", "3", "--device", "cpu"]) == 0

        # A card that somebody wrote stays, however it is pushed to again.
        HfApi().upload_file(path_or_fileobj=b"Mine.", path_in_repo="README.md", repo_id="user/saved")
        accompany.push_to_hub("user/saved")
        assert main(["push", "saved", "user/saved"]) == 0
    """)
    record = json.loads(Path("out/vocal.json").read_text())
    assert record["checkpoint"] == hub_server.repositories["models", "user/command"].head
    assert read_on_hub(hub_server, "user/saved", "README.md").endswith("Mine.")
    cards = {name: read_on_hub(hub_server, f"user/{name}", "README.md") for name in ("pipeline", "parts", "command")}
    for name, card in cards.items():
        metadata = card_metadata(card)
        assert (metadata["library_name"], metadata["pipeline_tag"]) == ("transformers", "audio-to-audio")
        assert f'model="user/{name}"' in card and "2604.09054" in card and "More Information Needed" not in card
    assert {"hafm", "mine"} < set(card_metadata(cards["pipeline"])["tags"])
    assert card_metadata(cards["command"])["license"] == "cc0-1.0" and "On nothing." in cards["command"]

    script = without_package("""
        for name in ("pipeline", "saved", "command"):
            pipe = pipeline("vocal-accompaniment", model=f"user/{name}", **trusted)
            np.save(f"{name}.npy", accompany(pipe))
        parts = [auto.from_pretrained("user/parts", **trusted) for auto in (AutoModel, AutoProcessor)]
        np.save("parts.npy", accompany_by_parts(*parts))
        assert type(AutoModel.from_pretrained("user/stage", **trusted)).__name__ == "HafmSemanticModel"
    """)
    repositories = ["pipeline", "saved", "command", "parts"]
    hub_server.run(script + card_code(cards["pipeline"]) + "np.save('card.npy', take['audio'])")
    # The card's own code reads "vocal.wav", whose samples are rounded, and takes its own seed.
    assert np.load("card.npy").shape == WAVEFORM.shape
    assert_accompanied(repositories, saved)

    hub_server.close()
    for name in repositories:
        Path(f"{name}.npy").unlink()
    hub_server.run(script, HF_HUB_OFFLINE="1")
    assert_accompanied(repositories, saved)


def test_the_full_card_tells_the_shapes():
    model = make_model()
    card = full_card(model, "user/mine").content
    assert "license" not in card_metadata(card) and "## Licence" not in card
    assert "Not recorded" in card
    for name, stage in model.stages.items():
        row = next(line for line in card.splitlines() if line.startswith(f"| {name} |"))
        assert f"width {stage.config.hidden_size}" in row and f"{stage.config.window_seconds:g} s" in row


def test_the_full_card_holds_results_for_the_hub():
    result = EvalResult("audio-to-audio", "band", "The band", "onset", 0.1, task_name="vocal accompaniment")
    loaded = ModelCard(full_card(make_model(), "user/mine", eval_results=[result]).content).data
    assert loaded.model_name == "mine"
    assert [(found.dataset_name, found.metric_value) for found in loaded.eval_results] == [("The band", 0.1)]
