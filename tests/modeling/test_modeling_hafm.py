# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The stages as modules: sizes, attention implementations, checkpointing, adapters, quantisation, saving and loading."""

import copy

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file
from tiny_stages import MODELS, SHAPE, enlarge, make_inputs, make_stage
from torchao.quantization import Int8WeightOnlyConfig
from transformers import AutoModel, TorchAoConfig

from hafm_hf.modeling.configuration_hafm import HafmConfig
from hafm_hf.modeling.modeling_hafm import HafmModel


PARAMETERS = {"semantic": 38_527_744, "coarse": 42_470_144, "fine": 44_055_808}


@pytest.fixture(scope="module", params=[*MODELS, "coarse-time_bias"])
def stage(request):
    name, _, time_bias = request.param.partition("-")
    return make_stage(name, conditioning_time_bias=bool(time_bias))


@pytest.fixture(scope="module")
def composite():
    torch.manual_seed(0)
    shape = SHAPE | {"conditioning_vocab_size": SHAPE["vocab_size"]}
    model = HafmModel(HafmConfig(semantic_config=shape, coarse_config=shape, fine_config=shape)).eval()
    enlarge(model)
    return model


def padded_inputs(stage):
    """Conditioning padded behind, tokens padded in front, as in generation."""
    inputs = make_inputs(stage, tokens=9)
    inputs |= {"attention_mask": torch.ones(3, 9).long(), "conditioning_mask": torch.ones(3, 6).long()}
    inputs["attention_mask"][2, :4] = 0
    inputs["conditioning_mask"][1, 2:] = 0
    return inputs | {"position_ids": (inputs["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)}


def assert_equal_weights(first, second):
    assert first.state_dict().keys() == second.state_dict().keys()
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


@pytest.mark.parametrize("name", MODELS)
def test_the_papers_stages_have_so_many_parameters(name):
    model_class, config_class = MODELS[name]
    with torch.device("meta"):
        stage = model_class(config_class())
    assert stage.num_parameters() == PARAMETERS[name]

    # Section 3.4, term by term.
    d, layers, heads, feed_forward, buckets = 512, 12, 8, 1365, 32
    sources, source_books, source_vocab = {"semantic": (1, 1, 500), "coarse": (2, 1, 500), "fine": (1, 4, 1024)}[name]
    books, vocab = {"semantic": (1, 500), "coarse": (4, 1024), "fine": (4, 1024)}[name]
    attention = 4 * d * d + 2 * (d // heads)
    layer = attention + 3 * d * feed_forward + 2 * d
    embeddings = sources * source_books * (source_vocab + 1) + books * (vocab + 1) + books + (sources + 1)
    assert PARAMETERS[name] == layers * layer + d + buckets * heads + embeddings * d + books * vocab * d


@pytest.fixture
def no_compiler():
    """Flex attention compiles itself; on a CPU that takes a C++ compiler and most of a minute."""
    with torch.compiler.set_stance("force_eager"):
        yield


@pytest.mark.usefixtures("no_compiler")
@torch.no_grad()
def test_every_attention_implementation_gives_the_same_logits(stage):
    inputs, real = padded_inputs(stage), padded_inputs(stage)["attention_mask"].bool()
    logits = {}
    for implementation in ("eager", "sdpa", "flex_attention"):
        model = copy.deepcopy(stage)
        model.set_attn_implementation(implementation)
        logits[implementation] = model(**inputs).logits[real]
    torch.testing.assert_close(logits["sdpa"], logits["eager"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits["flex_attention"], logits["eager"], rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("no_compiler")
@torch.no_grad()
@pytest.mark.parametrize("implementation", ["eager", "sdpa", "flex_attention"])
def test_a_cached_step_gives_the_logits_of_the_whole(stage, implementation):
    model, inputs = copy.deepcopy(stage), padded_inputs(stage)
    model.set_attn_implementation(implementation)
    whole = model(**inputs).logits
    first = {name: inputs[name][:, :6] for name in ("input_ids", "attention_mask", "position_ids")}
    cache = model(**inputs | first, use_cache=True).past_key_values
    rest = {name: inputs[name][:, 6:] for name in ("input_ids", "position_ids")}
    masks = {name: inputs[name] for name in ("attention_mask", "conditioning_mask")}
    step = model(**rest, **masks, past_key_values=cache).logits
    torch.testing.assert_close(step, whole[:, 6:], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_cached_step_needs_no_masks(stage):
    inputs = make_inputs(stage, tokens=9)
    whole = stage(**inputs).logits
    cache = stage(**inputs | {"input_ids": inputs["input_ids"][:, :6]}, use_cache=True).past_key_values
    rest = {"input_ids": inputs["input_ids"][:, 6:], "position_ids": torch.arange(6, 9)[None]}
    torch.testing.assert_close(stage(**rest, past_key_values=cache).logits, whole[:, 6:], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_logits_to_keep_are_the_last_or_the_chosen(stage):
    inputs = padded_inputs(stage)
    logits = stage(**inputs).logits
    torch.testing.assert_close(stage(**inputs, logits_to_keep=2).logits, logits[:, -2:], rtol=1e-5, atol=1e-5)
    chosen = torch.tensor([1, 6, 7])
    torch.testing.assert_close(stage(**inputs, logits_to_keep=chosen).logits, logits[:, chosen], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_activation_checkpointing_keeps_loss_and_gradients(stage, use_reentrant):
    inputs = padded_inputs(stage)
    labels = inputs["input_ids"].roll(-1, dims=1) % SHAPE["vocab_size"]
    inputs["drop_conditioning"] = torch.tensor([False, True, False])

    def gradients(model):
        model.train()
        loss = model(**inputs, labels=labels).loss
        loss.backward()
        return loss, {name: parameter.grad for name, parameter in model.named_parameters()}

    plain, checkpointed = copy.deepcopy(stage), copy.deepcopy(stage)
    checkpointed.gradient_checkpointing_enable({"use_reentrant": use_reentrant})
    if use_reentrant:
        checkpointed.enable_input_require_grads()
    loss, expected = gradients(plain)
    checkpointed_loss, actual = gradients(checkpointed)
    torch.testing.assert_close(checkpointed_loss, loss)
    torch.testing.assert_close(actual, expected)
    assert all(gradient.abs().sum() > 0 for gradient in expected.values())


def test_conditioning_is_dropped_in_training_only(stage):
    model, inputs = copy.deepcopy(stage), make_inputs(stage, tokens=5)
    model.config.conditioning_dropout = 1.0
    with torch.no_grad():
        unconditional = stage(**inputs, drop_conditioning=torch.ones(3, dtype=torch.bool)).logits
        conditional = stage(**inputs).logits
        assert not torch.allclose(conditional, unconditional, atol=1e-2)
        torch.testing.assert_close(model.eval()(**inputs).logits, conditional)
        torch.testing.assert_close(model.train()(**inputs).logits, unconditional)


def test_a_lora_adapter_learns_alone_and_is_saved_and_loaded(stage, tmp_path):
    model, inputs = copy.deepcopy(stage), make_inputs(stage, tokens=9)
    model.add_adapter(LoraConfig(target_modules=["qkv_proj", "o_proj"], r=2))
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    for _ in range(2):  # the first step leaves one half of each pair at zero
        model(**inputs, labels=inputs["input_ids"] % SHAPE["vocab_size"]).loss.backward()
        optimizer.step()
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == {name for name in before if "lora_" in name}

    model.save_pretrained(tmp_path)
    loaded = copy.deepcopy(stage)
    loaded.load_adapter(tmp_path)
    model.eval(), loaded.eval()
    with torch.no_grad():
        torch.testing.assert_close(loaded(**inputs).logits, model(**inputs).logits)
        assert not torch.allclose(loaded(**inputs).logits, stage(**inputs).logits, atol=1e-3)


@torch.no_grad()
def test_int8_weights_load_and_compute_nearly_the_same(stage, tmp_path):
    stage.save_pretrained(tmp_path)
    quantized = type(stage).from_pretrained(tmp_path, quantization_config=TorchAoConfig(Int8WeightOnlyConfig()))
    assert "Int8" in type(quantized.decoder.layers[0].self_attn.qkv_proj.weight).__name__
    inputs = padded_inputs(stage)
    expected, actual = stage(**inputs).logits, quantized(**inputs).logits
    assert not torch.equal(actual, expected)
    assert (actual - expected).norm() / expected.norm() < 0.05
    tokens = quantized.generate(**make_inputs(stage), max_new_tokens=8, seeds=torch.arange(3))
    assert tokens.shape == (3, 9)


@pytest.mark.parametrize("name", MODELS)
def test_a_stage_loads_out_of_a_composite(composite, name, tmp_path):
    composite.save_pretrained(tmp_path)
    stage, info = MODELS[name][0].from_pretrained(tmp_path, output_loading_info=True)
    assert_equal_weights(stage, composite.stages[name])
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert stage.config.to_diff_dict().items() >= composite.stages[name].config.to_diff_dict().items()


@pytest.mark.parametrize("kind", ["stage", "composite"])
def test_sharded_and_half_precision_checkpoints_keep_every_weight(stage, composite, kind, tmp_path):
    model = {"stage": stage, "composite": composite}[kind]
    model.save_pretrained(tmp_path / "sharded", max_shard_size="40KB")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    assert_equal_weights(type(model).from_pretrained(tmp_path / "sharded"), model)

    half = type(model).from_pretrained(tmp_path / "sharded", dtype=torch.bfloat16)
    assert_equal_weights(half, copy.deepcopy(model).to(torch.bfloat16))
    half.save_pretrained(tmp_path / "half")
    assert {tensor.dtype for tensor in load_file(tmp_path / "half" / "model.safetensors").values()} == {torch.bfloat16}
    assert_equal_weights(AutoModel.from_pretrained(tmp_path / "half", dtype="auto"), half)


@torch.no_grad()
def test_half_precision_stays_close(stage):
    inputs = padded_inputs(stage)
    expected = stage(**inputs).logits
    actual = copy.deepcopy(stage).to(torch.bfloat16)(**inputs).logits.float()
    assert (actual - expected).norm() / expected.norm() < 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda inputs, source: inputs.pop(source), "is conditioned on"),
        (
            lambda inputs, source: inputs.update(vocal_semantic_ids=inputs[source], coarse_ids=inputs[source]),
            "is conditioned on",
        ),
        (lambda inputs, source: inputs.pop("input_ids"), "Pass `input_ids` .* or `labels`"),
    ],
)
def test_wrong_inputs_are_named(stage, change, message):
    inputs = make_inputs(stage)
    change(inputs, stage.config.conditioning_sources[0])
    with pytest.raises(ValueError, match=message):
        stage(**inputs)


def test_sources_of_unequal_length_are_an_error():
    stage = make_stage("coarse")
    inputs = make_inputs(stage)
    inputs["instrumental_semantic_ids"] = inputs["instrumental_semantic_ids"][:, :4]
    with pytest.raises(ValueError, match=r"differ in frames \(\[6, 4\]\)"):
        stage(**inputs)


@torch.no_grad()
def test_an_exported_graph_takes_other_sizes():
    stage = make_stage("coarse")
    inputs = make_inputs(stage, tokens=5) | {"use_cache": False}
    shapes = dict.fromkeys(inputs, [torch.export.Dim.AUTO] * 2) | {"use_cache": None}
    exported = torch.export.export(stage, (), inputs, dynamic_shapes=shapes).module()
    longer = make_inputs(stage, rows=2, tokens=11, frames=8) | {"use_cache": False}
    torch.testing.assert_close(exported(**longer).logits, stage(**longer).logits, rtol=1e-4, atol=1e-4)


def test_a_cache_without_positions_is_refused(stage):
    inputs = make_inputs(stage, tokens=5)
    cache = stage(**inputs, use_cache=True).past_key_values
    with pytest.raises(ValueError, match="Pass `position_ids` with a cache"):
        stage(input_ids=inputs["input_ids"][:, -1:], past_key_values=cache)
