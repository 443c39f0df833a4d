# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The fast decoding loop gives what transformers' own gives, and leaves to it what it does not know."""

import logging

import pytest
import torch
from tiny_stages import make_inputs, make_stage, row_of
from torch import nn
from transformers import DynamicCache, LogitsProcessorList, TopPLogitsWarper
from transformers.testing_utils import CaptureLogger

from hafm_hf.modeling import decoding_hafm, generation_hafm, key_value_cache_hafm, packed_linear_hafm
from hafm_hf.modeling.decoding_hafm import StageDecoder, embed_conditioning


NEW_TOKENS = 9
SETTINGS = {
    "greedy": {"temperature": 0.0, "guidance_scale": 1.0},
    "guided": {"temperature": 0.0, "guidance_scale": 3.0},
    "sampled": {"temperature": 1.5, "top_k": 0, "guidance_scale": 1.0},
    "sampled-guided": {"temperature": 0.9, "top_k": 7, "guidance_scale": 3.0},
    "no-filter": {"temperature": 1.0, "top_k": 1000, "guidance_scale": 2.0},
}


@pytest.fixture(scope="module", params=["semantic", "coarse", "fine", "coarse-time_bias"])
def stage(request):
    name, _, time_bias = request.param.partition("-")
    return make_stage(name, conditioning_time_bias=bool(time_bias))


@pytest.fixture
def decoded(monkeypatch) -> list[int]:
    """The number of rows of every run of the fast loop."""
    calls = []

    def record(stage, input_ids, *args):
        calls.append(len(input_ids))
        return decoding_hafm.decode(stage, input_ids, *args)

    monkeypatch.setattr(generation_hafm, "decode", record)
    return calls


def generate(stage, inputs, **kwargs):
    return stage.generate(**inputs, **{"max_new_tokens": NEW_TOKENS} | kwargs)


def plain(stage, inputs, **kwargs):
    """In transformers' loop, which alone returns more than tokens."""
    return generate(stage, inputs, return_dict_in_generate=True, **kwargs).sequences


def ragged(inputs):
    """The second row has half its conditioning, the third one frame less."""
    mask = torch.ones(3, 6, dtype=torch.long)
    mask[1, 3:] = mask[2, 5:] = 0
    return inputs | {"conditioning_mask": mask}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("make", [lambda inputs: inputs, ragged], ids=["whole", "ragged"])
@pytest.mark.parametrize("tokens", [1, 6])
def test_the_tokens_are_those_of_transformers_loop(stage, decoded, settings, make, tokens):
    for seed in range(3):
        inputs = make(make_inputs(stage, tokens=tokens, seed=seed))
        seeds = {"seeds": torch.tensor([7, 8, 9]) + seed, "seed_offsets": torch.tensor([0, 40, 3])}
        assert torch.equal(generate(stage, inputs, **settings, **seeds), plain(stage, inputs, **settings, **seeds))
    assert decoded == [3] * 3


@pytest.mark.parametrize(
    "config",
    [
        {"conditioning_dropout_mode": "mask_token"},
        {"hidden_act": "silu", "head_dim": 4, "num_attention_heads": 6, "intermediate_size": 37},
        {"vocab_size": 40, "rms_norm_eps": 0.1},
        {"conditioning_time_bias": True, "num_attention_heads": 2, "relative_attention_num_buckets": 12},
    ],
)
def test_any_configuration(config):
    stage = make_stage("coarse", **config)
    inputs = make_inputs(stage)
    settings = SETTINGS["sampled-guided"] | {"seeds": torch.tensor([1, 2, 3])}
    assert torch.equal(generate(stage, inputs, **settings), plain(stage, inputs, **settings))


def test_each_sequence_has_its_own_noise(stage, decoded):
    inputs = make_inputs(stage)
    settings = SETTINGS["sampled-guided"] | {"seeds": torch.tensor([7, 8, 9]), "num_return_sequences": 2}
    assert torch.equal(generate(stage, inputs, **settings), plain(stage, inputs, **settings))
    assert decoded == [6]


def test_a_prefix_read_in_parts_is_the_same(stage, monkeypatch):
    inputs, settings = ragged(make_inputs(stage, tokens=6)), SETTINGS["guided"]
    expected = generate(stage, inputs, **settings)
    monkeypatch.setattr(decoding_hafm, "PREFILL_POSITIONS", 12)
    assert torch.equal(generate(stage, inputs, **settings), expected)


def test_one_unconditional_row_serves_all(stage):
    conditioning = {source: make_inputs(stage)[source] for source in stage.config.conditioning_sources}
    prefix = embed_conditioning(stage, conditioning, torch.ones(3, 6), guided=True)
    assert len(prefix.embeddings) == 3 + 1 and prefix.mask is None


def logits_of(stage, precision: str, rows: int = 3) -> torch.Tensor:
    """After BOS and after one more token."""
    inputs = make_inputs(stage, rows=rows, tokens=2)
    conditioning = {source: inputs[source] for source in stage.config.conditioning_sources}
    with torch.inference_mode():
        prefix = embed_conditioning(stage, conditioning, None, guided=False)
        decoder = StageDecoder(stage, rows, prefix.embeddings.shape[1] + 2, precision)
        decoder.read_conditioning(prefix)
        return torch.stack([decoder.step(inputs["input_ids"][:, index], index) for index in range(2)], dim=1)


@pytest.mark.parametrize(
    ("precision", "lowest", "highest"), [("float32", 0.0, 1e-5), ("bfloat16", 1e-4, 0.03), ("int8", 1e-4, 0.06)]
)
def test_lower_precisions_come_close(stage, precision, lowest, highest):
    inputs = make_inputs(stage, tokens=2)
    with torch.no_grad():
        expected = stage(**inputs).logits
    error = ((logits_of(stage, precision) - expected).norm() / expected.norm()).item()
    assert lowest <= error <= highest


def test_int8_of_many_rows_is_bfloat16(stage):
    assert torch.equal(logits_of(stage, "int8", rows=17), logits_of(stage, "bfloat16", rows=17))


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_seed_gives_the_same_tokens_again_in_any_precision(stage, decoded, precision):
    settings = SETTINGS["sampled-guided"] | {"seeds": torch.tensor([7, 8, 9]), "precision": precision}
    inputs = make_inputs(stage)
    assert torch.equal(generate(stage, inputs, **settings), generate(stage, inputs, **settings))
    assert decoded == [3, 3]


def test_a_half_precision_model_decodes_in_bfloat16(stage, monkeypatch):
    precisions = []
    monkeypatch.setattr(generation_hafm, "decode", lambda *args: precisions.append(args[3]))
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        generate(stage.to(dtype), make_inputs(stage))
    stage.float()
    assert precisions == ["float32", "bfloat16", "bfloat16"]


def said(module, run) -> str:
    """What a module warns of while `run` is called twice."""
    logging.Logger.warning_once.cache_clear()
    with CaptureLogger(module.logger) as captured:
        run(), run()
    return captured.out


def test_without_onednn_the_tokens_are_the_same(stage, monkeypatch):
    inputs, settings = make_inputs(stage), SETTINGS["sampled-guided"] | {"seeds": torch.tensor([7, 8, 9])}
    expected = generate(stage, inputs, **settings)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert torch.equal(generate(stage, inputs, **settings), expected)
    warned = said(packed_linear_hafm, lambda: generate(stage, inputs, **settings))
    assert warned.count("takes longer here: oneDNN") == 1


def test_without_fbgemm_the_tokens_are_the_same(stage, monkeypatch):
    inputs, settings = ragged(make_inputs(stage)), SETTINGS["sampled-guided"] | {"seeds": torch.tensor([7, 8, 9])}
    expected = generate(stage, inputs, **settings)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    assert torch.equal(generate(stage, inputs, **settings), expected)
    warned = said(key_value_cache_hafm, lambda: generate(stage, inputs, **settings))
    assert warned.count("takes longer here: this CPU") == 1


def test_what_is_slow_is_said_once_and_what_is_fast_is_not(stage):
    inputs = make_inputs(stage)
    assert said(generation_hafm, lambda: generate(stage, inputs)) == ""
    assert said(generation_hafm, lambda: plain(stage, inputs)).count("in the loop of transformers") == 1


@pytest.mark.parametrize("make", [lambda inputs: inputs, ragged], ids=["whole", "ragged"])
def test_keys_in_many_blocks_give_the_same_tokens(stage, monkeypatch, make):
    inputs, settings = make(make_inputs(stage, tokens=6)), SETTINGS["guided"]
    expected = generate(stage, inputs, **settings)
    monkeypatch.setattr(key_value_cache_hafm, "BLOCK", 4)
    assert torch.equal(generate(stage, inputs, **settings), expected)


def test_changed_weights_are_heard_at_once(stage):
    inputs, settings = make_inputs(stage), SETTINGS["greedy"]
    before = generate(stage, inputs, **settings)
    heads = [head.weight.clone() for head in stage.lm_heads]
    with torch.no_grad():
        for head in stage.lm_heads:
            head.weight.neg_()
    after = generate(stage, inputs, **settings)
    for head, weight in zip(stage.lm_heads, heads, strict=True):
        head.weight.data = weight
    assert not torch.equal(after, before)
    assert torch.equal(generate(stage, inputs, **settings), before)


@pytest.mark.parametrize(
    "arguments",
    [
        {"output_scores": True, "return_dict_in_generate": True},
        {"use_cache": False},
        {"cache_implementation": "static"},
        {"top_p": 0.9},
        {"repetition_penalty": 1.1},
        {"max_time": 100.0},
        {"logits_processor": LogitsProcessorList([TopPLogitsWarper(0.9)])},
        {"drop_conditioning": torch.tensor([True, False, True]), "guidance_scale": 1.0},
        {"attention_mask": torch.tensor([[1, 1], [0, 1], [1, 1]])},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_what_it_does_not_know_runs_in_transformers_loop(stage, decoded, arguments):
    inputs = make_inputs(stage, tokens=2)
    generate(stage, inputs, **arguments)
    assert not decoded
    with pytest.raises(ValueError, match="`precision` is 'int8', which only the fast decoding loop has"):
        generate(stage, inputs, precision="int8", **arguments)


def test_a_cache_that_was_passed_is_filled(stage, decoded):
    cache = DynamicCache()
    generate(stage, make_inputs(stage), past_key_values=cache)
    assert not decoded
    assert cache.get_seq_length() == 6 * len(stage.config.conditioning_sources) + NEW_TOKENS


class ScaledLinear(nn.Linear):
    def forward(self, input):
        return 2 * super().forward(input)


def test_a_changed_module_is_not_passed_over(stage, decoded):
    inputs, settings = row_of(make_inputs(stage), 0), SETTINGS["greedy"]
    mlp = stage.decoder.layers[0].mlp
    original, mlp.down_proj = mlp.down_proj, ScaledLinear(*mlp.down_proj.weight.T.shape, bias=False)
    generate(stage, inputs, **settings)
    mlp.down_proj = original
    handle = original.register_forward_hook(lambda module, args, output: 2 * output)
    generate(stage, inputs, **settings)
    handle.remove()
    assert not decoded
    generate(stage, inputs, **settings)
    assert decoded == [1]


def test_an_unknown_precision_is_an_error(stage):
    with pytest.raises(ValueError, match="`precision` is 'int4'; use one of float32, bfloat16, int8."):
        generate(stage, make_inputs(stage), precision="int4")
