# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`generate` of a stage: caches, padding, guidance and seeds change what they are meant to change, and nothing else."""

import pytest
import torch
from tiny_stages import SHAPE, make_inputs, make_stage, row_of
from transformers import CompileConfig

from hafm_hf.modeling.configuration_hafm import HafmConfig
from hafm_hf.modeling.modeling_hafm import HafmModel, HafmSemanticModel


NEW_TOKENS = 6
GREEDY, SAMPLED = {"temperature": 0.0}, {"temperature": 1.5, "top_k": 0, "seeds": torch.tensor([7, 8, 9])}
SETTINGS = [
    pytest.param(GREEDY | {"guidance_scale": 1.0}, id="greedy"),
    pytest.param(SAMPLED | {"guidance_scale": 3.0}, id="sampled-guided"),
]


@pytest.fixture(scope="module", params=["semantic", "coarse", "fine"])
def stage(request):
    return make_stage(request.param)


def generate(stage, inputs, **kwargs):
    return stage.generate(**inputs, **{"max_new_tokens": NEW_TOKENS} | kwargs)


def ragged_inputs(stage, tokens: int = 6):
    """Three rows: one whole, one with half its conditioning, one with a shorter prompt padded on the left."""
    inputs = make_inputs(stage, tokens=tokens)
    conditioning_mask = torch.ones(3, 6, dtype=torch.long)
    conditioning_mask[1, 3:] = 0
    attention_mask = torch.ones_like(inputs["input_ids"])
    attention_mask[2, :2] = 0
    inputs["input_ids"][2, 2] = stage.config.bos_token_id
    return inputs | {"attention_mask": attention_mask, "conditioning_mask": conditioning_mask}


def unpadded_row(inputs, row: int):
    """The same row without any padding."""
    single = row_of(inputs, row)
    tokens = single.pop("attention_mask").bool()[0]
    frames = single.pop("conditioning_mask").bool()[0]
    return {name: value[..., tokens if name == "input_ids" else frames] for name, value in single.items()}


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("make", [make_inputs, ragged_inputs])
def test_no_cache_changes_the_tokens(stage, make, settings):
    inputs = make(stage)
    expected = generate(stage, inputs, use_cache=False, **settings)
    assert torch.equal(generate(stage, inputs, **settings), expected)
    assert torch.equal(generate(stage, inputs, cache_implementation="static", **settings), expected)
    assert torch.equal(generate(stage, inputs, prefill_chunk_size=2, **settings), expected)
    chunked_static = {"cache_implementation": "static", "prefill_chunk_size": 2}
    assert torch.equal(generate(stage, inputs, **chunked_static, **settings), expected)


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_ragged_batch_gives_what_each_row_gives_alone(stage, settings):
    inputs = ragged_inputs(stage)
    together = generate(stage, inputs, **settings)[:, -NEW_TOKENS:]
    for row in range(3):
        seeds = {"seeds": settings["seeds"][row : row + 1]} if "seeds" in settings else {}
        alone = generate(stage, unpadded_row(inputs, row), **settings | seeds)
        assert torch.equal(alone[:, -NEW_TOKENS:], together[row : row + 1]), row


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("only_new", [False, True])
def test_generation_continues_from_a_returned_cache(stage, settings, only_new):
    inputs = ragged_inputs(stage)
    whole = generate(stage, inputs, **settings)
    first = generate(stage, inputs, return_dict_in_generate=True, **settings | {"max_new_tokens": 2})
    rest = inputs | {
        "input_ids": first.sequences[:, -1:] if only_new else first.sequences,
        "attention_mask": torch.nn.functional.pad(inputs["attention_mask"], (0, 2), value=1),
        "past_key_values": first.past_key_values,
    }
    if only_new and "seeds" in settings:
        rest["seed_offsets"] = torch.tensor([whole.shape[1] - 5] * 3)
    rest = generate(stage, rest, **settings | {"max_new_tokens": 4})
    assert torch.equal(rest[:, -4:], whole[:, -4:])


def test_new_tokens_alone_continue_a_cache_of_whole_rows_and_ragged_conditioning(stage):
    inputs = ragged_inputs(stage)
    del inputs["attention_mask"]
    whole = generate(stage, inputs, **GREEDY)
    first = generate(stage, inputs, return_dict_in_generate=True, **GREEDY | {"max_new_tokens": 2})
    rest = inputs | {"input_ids": first.sequences[:, -1:], "past_key_values": first.past_key_values}
    rest = generate(stage, rest, attention_mask=torch.ones_like(first.sequences), **GREEDY | {"max_new_tokens": 4})
    assert torch.equal(rest[:, -4:], whole[:, -4:])


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_stream_broken_off_and_taken_up_again_is_the_same(stage, settings):
    inputs = make_inputs(stage)
    whole = generate(stage, inputs, **settings)
    assert torch.equal(
        generate(stage, inputs | {"input_ids": whole[:, :-4]}, **settings | {"max_new_tokens": 4}), whole
    )


def compile_settings(**config):
    compile_config = CompileConfig(fullgraph=True, dynamic=False, **config)
    compile_config._compile_all_devices = True  # on a CPU too
    return {"cache_implementation": "static", "compile_config": compile_config}


@pytest.mark.parametrize(("make", "guidance_scale"), [(make_inputs, 1.0), (ragged_inputs, 3.0)])
def test_steps_compile_once_and_whole(stage, make, guidance_scale):
    torch.compiler.reset()
    settings = SAMPLED | {"guidance_scale": guidance_scale}
    expected = generate(stage, make(stage), **settings)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for _ in range(2):
            compiled = generate(stage, make(stage), **settings, **compile_settings(backend="eager"))
            assert torch.equal(compiled, expected)


def test_compiled_code_gives_the_same_tokens():
    stage = make_stage("coarse", num_hidden_layers=1)
    torch.compiler.reset()
    expected = generate(stage, ragged_inputs(stage), **GREEDY)
    assert torch.equal(generate(stage, ragged_inputs(stage), **GREEDY, **compile_settings()), expected)


def test_guidance_in_one_batch_is_equation_5_of_two_forwards(stage):
    inputs = ragged_inputs(stage)
    output = generate(stage, inputs, **GREEDY, guidance_scale=3.0, output_scores=True, return_dict_in_generate=True)
    tokens = output.sequences[:, :-1]
    attention_mask = torch.nn.functional.pad(inputs["attention_mask"], (0, NEW_TOKENS - 1), value=1)
    inputs |= {
        "input_ids": tokens,
        "attention_mask": attention_mask,
        "position_ids": (attention_mask.cumsum(dim=1) - 1).clamp(min=0),
        "logits_to_keep": NEW_TOKENS,
    }
    with torch.no_grad():
        conditional = stage(**inputs).logits
        unconditional = stage(**inputs, drop_conditioning=torch.ones(3, dtype=torch.bool)).logits
    expected = unconditional + 3.0 * (conditional - unconditional)
    torch.testing.assert_close(torch.stack(output.scores, dim=1), expected, rtol=1e-4, atol=1e-4)


def test_guidance_of_1_is_none_and_runs_no_second_row(stage):
    rows = []
    hook = stage.register_forward_pre_hook(
        lambda _, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    one = generate(stage, make_inputs(stage), **GREEDY, guidance_scale=1.0)
    none = generate(stage, make_inputs(stage), **GREEDY, guidance_scale=None)
    hook.remove()
    assert torch.equal(one, none)
    assert set(rows) == {3}


def test_guidance_below_1_is_an_error(stage):
    with pytest.raises(ValueError, match="`guidance_scale` is 0.5; use 1"):
        generate(stage, make_inputs(stage), guidance_scale=0.5)


def test_a_temperature_makes_a_greedy_stage_sample():
    stage = make_stage("semantic")
    stage.generation_config.update(do_sample=False, temperature=1.0, top_k=50, guidance_scale=1.0)
    inputs, seeds = make_inputs(stage), {"seeds": torch.tensor([7, 8, 9])}
    assert not torch.equal(generate(stage, inputs, temperature=2.0, **seeds), generate(stage, inputs))
    assert torch.equal(generate(stage, inputs, temperature=2.0, do_sample=False, **seeds), generate(stage, inputs))


@pytest.mark.parametrize("mode", [{"num_beams": 2}, {"prompt_lookup_num_tokens": 2}])
def test_guidance_is_for_sampling_and_greedy_search_only(stage, mode):
    with pytest.raises(ValueError, match="`guidance_scale` is 3.0, which .* cannot use"):
        generate(stage, row_of(make_inputs(stage), 0), do_sample=False, temperature=1.0, top_k=50, **mode)


def test_temperature_0_takes_the_likeliest_token(stage):
    inputs, plain = make_inputs(stage), {"guidance_scale": 1.0}
    greedy = generate(stage, inputs, temperature=0.0, **plain)
    assert torch.equal(greedy, generate(stage, inputs, do_sample=False, temperature=1.0, **plain))
    with torch.no_grad():
        logits = stage(**inputs | {"input_ids": greedy[:, :-1]}).logits
    assert torch.equal(logits.argmax(dim=-1), greedy[:, 1:])


def test_top_k_filters_the_guided_logits(stage):
    greedy = generate(stage, make_inputs(stage), **GREEDY, guidance_scale=3.0)
    assert torch.equal(generate(stage, make_inputs(stage), **SAMPLED | {"top_k": 1}, guidance_scale=3.0), greedy)


def test_top_k_0_filters_nothing(stage):
    output = generate(
        stage,
        make_inputs(stage),
        do_sample=True,
        guidance_scale=1.0,
        top_k=0,
        output_scores=True,
        return_dict_in_generate=True,
    )
    assert torch.stack(output.scores).isfinite().all()
    output = generate(
        stage, make_inputs(stage), guidance_scale=1.0, top_k=5, output_scores=True, return_dict_in_generate=True
    )
    assert (torch.stack(output.scores).isfinite().sum(dim=-1) == 5).all()


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_a_seed_gives_the_same_tokens_in_any_batch(stage, guidance_scale):
    inputs, settings = make_inputs(stage), SAMPLED | {"guidance_scale": guidance_scale}
    together = generate(stage, inputs, **settings)
    order = torch.tensor([2, 0])
    some = generate(
        stage,
        {name: value[order] for name, value in inputs.items()},
        **settings | {"seeds": settings["seeds"][order]},
    )
    assert torch.equal(some, together[order])
    assert not torch.equal(generate(stage, inputs, **settings | {"seeds": torch.tensor([17, 18, 19])}), together)


def test_returned_sequences_differ_and_are_each_rows_own(stage):
    inputs = make_inputs(stage)
    together = generate(stage, inputs, num_return_sequences=3, **SAMPLED).unflatten(0, (3, 3))
    for row in range(3):
        assert len(together[row].unique(dim=0)) == 3
        seeds = SAMPLED["seeds"][row : row + 1]
        alone = generate(stage, row_of(inputs, row), num_return_sequences=3, **SAMPLED | {"seeds": seeds})
        assert torch.equal(alone, together[row])
    assert torch.equal(generate(stage, inputs, **SAMPLED), together[:, 0])


def test_without_seeds_the_global_generator_decides(stage):
    def sample(seed):
        torch.manual_seed(seed)
        return generate(stage, make_inputs(stage), do_sample=True, temperature=1.5)

    assert torch.equal(sample(0), sample(0))
    assert not torch.equal(sample(0), sample(1))


def test_beam_search_finds_what_each_row_finds_alone_with_and_without_cache(stage):
    inputs = ragged_inputs(stage)
    settings = {"do_sample": False, "temperature": 1.0, "top_k": 50, "guidance_scale": 1.0, "num_beams": 4}
    beams = generate(stage, inputs, num_return_sequences=2, **settings)
    assert torch.equal(generate(stage, inputs, num_return_sequences=2, use_cache=False, **settings), beams)
    alone = [generate(stage, unpadded_row(inputs, row), num_return_sequences=2, **settings) for row in range(3)]
    assert torch.equal(torch.cat([tokens[:, -NEW_TOKENS:] for tokens in alone]), beams[:, -NEW_TOKENS:])


def test_prompt_lookup_gives_the_greedy_tokens(stage):
    inputs = row_of(make_inputs(stage, tokens=9), 0)
    inputs["input_ids"][:, 5:] = inputs["input_ids"][:, 1:5]  # something to look up
    greedy = generate(stage, inputs, **GREEDY, guidance_scale=1.0)
    assert torch.equal(generate(stage, inputs, **GREEDY, guidance_scale=1.0, prompt_lookup_num_tokens=3), greedy)


def test_conditioning_alone_starts_from_bos(stage):
    inputs = make_inputs(stage)
    expected = generate(stage, inputs, **SAMPLED)
    del inputs["input_ids"]
    assert torch.equal(generate(stage, inputs, **SAMPLED), expected)


def test_missing_conditioning_is_named(stage):
    inputs = make_inputs(stage)
    source = stage.config.conditioning_sources[0]
    del inputs[source]
    with pytest.raises(ValueError, match=f"generate needs the conditioning tokens {source}"):
        generate(stage, inputs)


def test_attentions_and_hidden_states_cover_conditioning_and_tokens(stage):
    stage.set_attn_implementation("eager")
    output = generate(
        stage,
        make_inputs(stage),
        **GREEDY,
        guidance_scale=1.0,
        output_attentions=True,
        output_hidden_states=True,
        return_dict_in_generate=True,
    )
    stage.set_attn_implementation("sdpa")
    prefix = 6 * len(stage.config.conditioning_sources)
    for step, (attentions, states) in enumerate(zip(output.attentions, output.hidden_states, strict=True)):
        length, queries = prefix + step + 1, prefix + 1 if step == 0 else 1
        assert [layer.shape for layer in attentions] == [(3, 4, queries, length)] * 2
        assert [layer.shape for layer in states] == [(3, queries, 32)] * 3
        torch.testing.assert_close(attentions[0].sum(dim=-1), torch.ones(3, 4, queries))


def test_settings_of_a_stage_survive_saving(stage, tmp_path):
    stage.generation_config.temperature, stage.generation_config.context_seconds = 0.7, 0.04
    stage.save_pretrained(tmp_path)
    loaded = type(stage).from_pretrained(tmp_path).generation_config
    assert (loaded.temperature, loaded.context_seconds) == (0.7, 0.04)
    assert (loaded.do_sample, loaded.top_k, loaded.guidance_scale) == (True, 250, 3.0)
    stage.generation_config.update(allow_custom_entries=True, **stage.default_generation_settings())


def test_settings_of_every_stage_survive_saving_the_composite(tmp_path):
    stages = {
        name: SHAPE | {"conditioning_vocab_size": 40} for name in ("semantic_config", "coarse_config", "fine_config")
    }
    model = HafmModel(HafmConfig(**stages))
    model.semantic.generation_config.temperature = 0.7
    model.coarse.generation_config.top_k = 11
    model.fine.generation_config.guidance_scale = 1.5
    model.save_pretrained(tmp_path / "first")
    HafmModel.from_pretrained(tmp_path / "first").save_pretrained(tmp_path / "second")
    loaded = HafmModel.from_pretrained(tmp_path / "second")
    for name, stage in model.stages.items():
        assert loaded.stages[name].generation_config.to_diff_dict() == stage.generation_config.to_diff_dict()
    assert HafmSemanticModel.from_pretrained(tmp_path / "second").generation_config.temperature == 0.7
