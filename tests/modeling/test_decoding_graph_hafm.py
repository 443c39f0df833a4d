# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
Steps that are all alike give the tokens of the others, and nothing in them asks a GPU for a number.

What runs on every machine are the steps themselves, and their shapes and devices as a GPU would see them; recorded and
replayed they are where there is a GPU.
"""

import pytest
import torch
from modeling.test_decoding_hafm import SETTINGS, generate, ragged
from tiny_stages import make_inputs, make_stage

from hafm_hf.modeling import decoding_hafm, key_value_cache_hafm
from hafm_hf.modeling.decoding_graph_hafm import FixedStep, StepGraph
from hafm_hf.modeling.decoding_hafm import StageDecoder, embed_conditioning
from hafm_hf.modeling.generation_hafm import SeededSamplingLogitsProcessor
from hafm_hf.modeling.sampling_hafm import Sampler


STAGES = ["semantic", "coarse", "fine", "coarse-time_bias"]
SEEDS = {"seeds": torch.tensor([7, 8, 9]), "seed_offsets": torch.tensor([0, 40, 3])}
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def make(name: str):
    name, _, time_bias = name.partition("-")
    return make_stage(name, conditioning_time_bias=bool(time_bias))


@pytest.fixture
def fixed_steps(monkeypatch) -> list[FixedStep]:
    """Lets the loop take the steps that a GPU would record, and keeps them."""
    steps = []

    def make_step(*args):
        steps.append(FixedStep(*args))
        return lambda index: steps[-1]()

    # Keys of a GPU lie together.
    monkeypatch.setattr(key_value_cache_hafm, "BagCache", key_value_cache_hafm.KeyValueCache)
    monkeypatch.setattr(decoding_hafm, "make_step", make_step)
    return steps


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("prepare", [lambda inputs: inputs, ragged], ids=["whole", "ragged"])
@pytest.mark.parametrize("name", STAGES)
def test_the_tokens_are_those_of_the_other_steps(name, prepare, settings, request):
    stage = make(name)
    inputs = prepare(make_inputs(stage, tokens=3))
    expected = generate(stage, inputs, **settings, **SEEDS)
    steps = request.getfixturevalue("fixed_steps")
    assert torch.equal(generate(stage, inputs, **settings, **SEEDS), expected)
    assert len(steps) == 1 and steps[0].index == expected.shape[1] - 1, "all tokens came from them"


def test_what_memory_held_before_is_not_read(fixed_steps, monkeypatch):
    stage = make("coarse")
    expected = generate(stage, make_inputs(stage), **SETTINGS["guided"])
    empty = torch.empty

    def full_of_nan(*args, dtype=None, **kwargs):
        tensor = empty(*args, dtype=dtype, **kwargs)
        return tensor.fill_(float("nan")) if tensor.is_floating_point() else tensor

    monkeypatch.setattr(torch, "empty", full_of_nan)
    assert torch.equal(generate(stage, make_inputs(stage), **SETTINGS["guided"]), expected)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("name", STAGES)
def test_a_step_never_waits_for_a_gpu(name, precision):
    """On a device that has no numbers to give."""
    stage = make(name).to("meta")
    inputs = {key: value.to("meta") for key, value in make_inputs(stage).items()}
    conditioning = {source: inputs[source] for source in stage.config.conditioning_sources}
    tokens = torch.zeros(3, 9, dtype=torch.long, device="meta")
    with torch.inference_mode():
        prefix = embed_conditioning(stage, conditioning, None, guided=True)
        decoder = StageDecoder(stage, 6, prefix.embeddings.shape[1] + 8, precision)
        decoder.read_conditioning(prefix)
        decoder.read_tokens(tokens[:, :1].repeat(2, 1))
        noise = SeededSamplingLogitsProcessor(tokens[:, 0], tokens[:, 0]).noise
        step = FixedStep(decoder, Sampler(3.0, 0.9, 7, noise), tokens, 1)
        step(), step()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU records it")
def test_a_step_that_cannot_be_recorded_runs_as_it_is():
    calls = []
    graph = StepGraph(lambda: calls.append("step"), torch.device("cuda"))
    for index in range(1, 4):
        graph(index)
        assert len(calls) == index


@on_gpu
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("name", STAGES)
def test_recorded_steps_give_the_same_tokens(name, settings, monkeypatch):
    stage = make(name).cuda()
    inputs = {key: value.cuda() for key, value in ragged(make_inputs(stage, tokens=3)).items()}
    recorded = generate(stage, inputs, **settings, **SEEDS)
    monkeypatch.setattr(StepGraph, "_run_and_record", lambda self: self.step())
    assert torch.equal(generate(stage, inputs, **settings, **SEEDS), recorded)
