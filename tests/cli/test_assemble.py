# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm assemble`: stages trained apart, or adapted with LoRA, to a checkpoint that the pipeline loads."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from evaluation.baselines.tiny_singsong import seq2seq_config
from training.clips import SHAPE, make_clips, write_shards
from transformers import pipeline

from hafm_hf import DEFAULT_CHECKPOINT, TASK, HafmModel, HafmProcessor
from hafm_hf.cli.main import main
from hafm_hf.evaluation.baselines.modeling_singsong import SingSongForAccompaniment, SingSongSeq2SeqModel
from hafm_hf.provenance import sampling_settings
from hafm_hf.training import STAGES


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def untrained(stage: str, folder: str = None, **config) -> str:
    """A stage as training saves it, in a folder of its name."""
    torch.manual_seed(len(stage))
    config = {"window_seconds": 0.4} | SHAPE | config
    model = STAGES[stage](STAGES[stage].config_class(**config))
    model.config.use_cache = False
    model.generation_config.temperature = 0.5
    model.save_pretrained(folder or stage)
    return folder or stage


def command(**parts: str) -> list[str]:
    return ["assemble", "-o", "out/whole", *(word for name, value in parts.items() for word in (f"--{name}", value))]


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    others = other.state_dict()
    return all(torch.equal(weight, others[name]) for name, weight in one.state_dict().items())


def test_three_stages_become_one_checkpoint(workplace):
    parts = {stage: untrained(stage) for stage in STAGES}
    assert main(command(**parts, processor=DEFAULT_CHECKPOINT)) == 0
    assert [path.name for path in Path("out").iterdir()] == ["whole"]

    accompany = pipeline(TASK, model="out/whole")
    vocal = np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32)
    take = accompany(vocal, sampling_rate=24_000, seed=1)
    assert take["audio"].shape == vocal.shape and np.isfinite(take["audio"]).all()
    for name, stage in STAGES.items():
        assembled = accompany.model.stages[name]
        assert same_weights(stage.from_pretrained(name), assembled)
        assert assembled.config.use_cache
        assert assembled.generation_config.temperature == 0.5


def test_what_is_not_named_comes_from_the_base(workplace):
    base = HafmModel.from_pretrained(DEFAULT_CHECKPOINT)
    HafmProcessor.from_pretrained(DEFAULT_CHECKPOINT).save_pretrained("coarse")
    assert main(command(base=DEFAULT_CHECKPOINT, coarse=untrained("coarse"))) == 0
    whole = HafmModel.from_pretrained("out/whole")
    assert same_weights(whole.semantic, base.semantic) and same_weights(whole.fine, base.fine)
    assert same_weights(whole.coarse, STAGES["coarse"].from_pretrained("coarse"))
    # Without a base, the processor is that of the first stage that has one.
    parts = {"semantic": DEFAULT_CHECKPOINT, "coarse": "coarse", "fine": untrained("fine")}
    assert main(["assemble", "-o", "other", *command(**parts)[3:]]) == 0
    assert HafmProcessor.from_pretrained("other").sampling_rate == 24_000


def test_a_t5_and_a_fine_stage_become_a_singsong(workplace):
    """Whose fine stage plays as it does in the checkpoint that it comes from."""
    torch.manual_seed(0)
    SingSongSeq2SeqModel(seq2seq_config()).save_pretrained("t5")
    assert main(command(seq2seq="t5", base=DEFAULT_CHECKPOINT)) == 0
    whole, base = SingSongForAccompaniment.from_pretrained("out/whole"), HafmModel.from_pretrained(DEFAULT_CHECKPOINT)
    assert same_weights(whole.seq2seq, SingSongSeq2SeqModel.from_pretrained("t5"))
    assert same_weights(whole.fine, base.fine)
    assert sampling_settings(whole)["fine"] == sampling_settings(base)["fine"]
    assert not whole.fine.generation_config.do_sample, "unlike a new stage's"

    accompany = pipeline(TASK, model="out/whole")
    vocal = np.random.default_rng(0).normal(0, 0.1, 2_400).astype(np.float32)
    assert accompany(vocal, sampling_rate=24_000, seed=1)["audio"].shape == vocal.shape


def test_a_lora_adapter_is_merged_into_the_stage_it_adapts(workplace, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(workplace / "cache"))
    write_shards(workplace / "data", make_clips(4))
    recipe = {
        "stage": "coarse",
        "train_data": "data",
        "checkpoint": DEFAULT_CHECKPOINT,
        "lora": {"r": 4, "target_modules": ["qkv_proj", "down_proj"]},
        "training": {"output_dir": "adapter", "use_cpu": True, "max_steps": 4, "save_steps": 2, "learning_rate": 0.1},
    }
    recipe["training"] |= {"warmup_steps": 0, "per_device_train_batch_size": 4, "disable_tqdm": True}
    Path("recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert main(["train", "recipe.yaml"]) == 0
    assert not list(Path("adapter").glob("model*.safetensors")), "an adapter is a small file of its own"
    trained = Path("adapter/adapter_model.safetensors").read_bytes()

    # It can be killed and go on, as any training.
    Path("adapter/adapter_model.safetensors").unlink()
    Path("adapter/checkpoint-4/trainer_state.json").unlink()
    assert main(["train", "recipe.yaml"]) == 0
    assert Path("adapter/adapter_model.safetensors").read_bytes() == trained

    assert main(command(base=DEFAULT_CHECKPOINT, coarse="adapter")) == 0
    whole, base = (HafmModel.from_pretrained(folder) for folder in ("out/whole", DEFAULT_CHECKPOINT))
    changed = {name for name, weight in whole.state_dict().items() if not torch.equal(weight, base.state_dict()[name])}
    layers = range(base.config.coarse_config.num_hidden_layers)
    expected = {"self_attn.qkv_proj", "mlp.down_proj"}
    assert changed == {f"coarse.decoder.layers.{layer}.{name}.weight" for layer in layers for name in expected}


@pytest.fixture
def stages(workplace):
    return {stage: untrained(stage) for stage in STAGES} | {"processor": DEFAULT_CHECKPOINT}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"semantic": "coarse"}, "coarse is a hafm_coarse checkpoint, not the semantic stage"),
        ({"semantic": None}, "--semantic must be given, or --base"),
        ({"processor": None}, "None of semantic, coarse, fine has a processor"),
        ({"fine": "nowhere"}, "nowhere is neither a folder nor the id of a repository"),
    ],
)
def test_parts_that_are_missing_or_others_are_named(stages, change, message, capsys):
    parts = {name: value for name, value in (stages | change).items() if value is not None}
    assert main(command(**parts)) == 2
    assert message in capsys.readouterr().err
    assert not Path("out/whole").exists()


def test_stages_that_speak_other_tokens_are_refused(stages, capsys):
    other = untrained("semantic", "other", vocab_size=100)
    assert main(command(**(stages | {"semantic": other}))) == 2
    assert "the stage next to it has 100" in capsys.readouterr().err
    semantic = untrained("semantic", "another", vocab_size=100, conditioning_vocab_size=100)
    coarse = untrained("coarse", "its", conditioning_vocab_size=100)
    assert main(command(**(stages | {"semantic": semantic, "coarse": coarse}))) == 2
    assert "`num_clusters` of 500, but the stages speak 100" in capsys.readouterr().err


def test_an_existing_folder_is_left_alone(stages, capsys):
    Path("out/whole").mkdir(parents=True)
    assert main(command(**stages)) == 2
    assert "out/whole exists; choose a new folder" in capsys.readouterr().err


def test_an_adapter_of_another_stage_is_refused(stages, capsys):
    from peft import LoraConfig, get_peft_model

    coarse = STAGES["coarse"].from_pretrained("coarse")
    get_peft_model(coarse, LoraConfig(r=2, target_modules=["qkv_proj"])).save_pretrained("adapter")
    assert main(command(**(stages | {"fine": "adapter"}))) == 2
    assert "adapter is an adapter of HafmCoarseModel, not of the fine stage" in capsys.readouterr().err
