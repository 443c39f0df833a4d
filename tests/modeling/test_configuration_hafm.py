# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.

import math

import pytest
from huggingface_hub.errors import StrictDataclassClassValidationError, StrictDataclassFieldValidationError

from hafm_hf.modeling.configuration_hafm import HafmCoarseConfig, HafmConfig, HafmFineConfig, HafmSemanticConfig


STAGES = {
    "semantic_config": HafmSemanticConfig,
    "coarse_config": HafmCoarseConfig,
    "fine_config": HafmFineConfig,
}


def test_the_defaults_are_the_paper():
    """Sections 3.2 to 3.5 and Table 1."""
    for config_class in STAGES.values():
        config = config_class()
        assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (512, 12, 8)
        assert config.head_dim == 64
        assert config.intermediate_size == math.floor(2 / 3 * 512 * 4)
        assert config.relative_attention_num_buckets == 32
        assert config.conditioning_dropout == 0.1
        assert config.conditioning_dropout_mode == "zeros"
    semantic, coarse, fine = HafmConfig().stage_configs
    assert [semantic.vocab_size, coarse.vocab_size, fine.vocab_size] == [500, 1024, 1024]
    assert [semantic.num_codebooks, coarse.num_codebooks, fine.num_codebooks] == [1, 4, 4]
    assert [semantic.window_seconds, coarse.window_seconds, fine.window_seconds] == [10, 5, 3]
    # Positions of one window: its conditioning, then its prediction.
    assert (semantic.conditioning_length, semantic.window_frames * 1) == (500, 500)
    assert (coarse.conditioning_length, coarse.window_frames * 4) == (2 * 250, 1500)
    assert (fine.conditioning_length, fine.window_frames * 4) == (225, 900)


@pytest.mark.parametrize(
    ("config_class", "length"), [(HafmSemanticConfig, 1000), (HafmCoarseConfig, 2000), (HafmFineConfig, 1125)]
)
def test_what_is_not_given_follows_from_the_rest(config_class, length):
    assert config_class().relative_attention_max_distance == length
    config = config_class(vocab_size=64, hidden_size=96, num_attention_heads=4, window_seconds=1.0)
    assert config.bos_token_id == 64
    assert config.head_dim == 24
    assert config.relative_attention_max_distance == length * config.window_seconds / config_class().window_seconds
    assert config_class(head_dim=10, relative_attention_max_distance=300).head_dim == 10
    assert config_class(relative_attention_max_distance=300).relative_attention_max_distance == 300


def test_prediction_covers_the_conditioning():
    """`T_a = T_v * 75 / 50`, rounded up, so that the accompaniment is never shorter than the vocal."""
    coarse = HafmCoarseConfig()
    assert [coarse.prediction_frames(frames) for frames in range(7)] == [0, 2, 3, 5, 6, 8, 9]
    assert coarse.prediction_frames(12000) == 18000
    assert HafmSemanticConfig().prediction_frames(7) == HafmFineConfig().prediction_frames(7) == 7


def test_a_composite_is_saved_and_loaded_whole_and_stage_by_stage(tmp_path):
    shape = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 100}
    config = HafmConfig(
        semantic_config=HafmSemanticConfig(**shape, window_seconds=2.0),
        coarse_config={**shape, "conditioning_dropout_mode": "mask_token", "num_codebooks": 2},
        fine_config={**shape, "conditioning_num_codebooks": 2, "relative_attention_max_distance": 77},
    )
    config.save_pretrained(tmp_path)
    loaded = HafmConfig.from_pretrained(tmp_path)
    for name, config_class in STAGES.items():
        stage = getattr(config, name)
        assert type(stage) is type(getattr(loaded, name)) is config_class
        assert getattr(loaded, name).to_dict() == stage.to_dict()
        assert config_class.from_pretrained(tmp_path).to_dict() == stage.to_dict()
    assert loaded.coarse_config.conditioning_dropout_mode == "mask_token"
    assert loaded.fine_config.relative_attention_max_distance == 77


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"conditioning_dropout_mode": "noise"}, "'noise'; use 'zeros' or 'mask_token'"),
        ({"window_seconds": 5.02}, "40 ms"),  # whole at 50 a second, not at 75
        ({"window_seconds": 4 / 75}, "40 ms"),  # and the other way around
    ],
)
def test_impossible_stages_are_refused(arguments, message):
    with pytest.raises(StrictDataclassClassValidationError, match=message):
        HafmCoarseConfig(**arguments)


@pytest.mark.parametrize(("field", "value"), [("vocab_size", "500"), ("window_seconds", "10"), ("num_codebooks", 1.5)])
def test_wrong_types_are_refused(field, value):
    with pytest.raises(StrictDataclassFieldValidationError, match=field):
        HafmSemanticConfig(**{field: value})


@pytest.mark.parametrize(
    ("stage", "arguments"),
    [
        ("coarse_config", {"conditioning_vocab_size": 100}),
        ("coarse_config", {"conditioning_frame_rate": 25}),
        ("fine_config", {"conditioning_vocab_size": 100}),
        ("fine_config", {"conditioning_num_codebooks": 2}),
        ("fine_config", {"conditioning_frame_rate": 50}),
        ("fine_config", {"frame_rate": 50}),
    ],
)
def test_stages_that_do_not_fit_together_are_refused(stage, arguments):
    (name,) = arguments
    with pytest.raises(StrictDataclassClassValidationError, match=f"`{stage}.{name}` is {arguments[name]}"):
        HafmConfig(**{stage: arguments})


@pytest.mark.parametrize(
    "name", ["vocab_size", "num_codebooks", "frame_rate", "conditioning_frame_rate", "window_seconds"]
)
def test_sizes_that_are_not_positive_are_refused(name):
    with pytest.raises(StrictDataclassClassValidationError, match=f"`{name}` is 0"):
        HafmCoarseConfig(**{name: 0, "relative_attention_max_distance": 100})


def test_a_distance_without_logarithmic_buckets_is_refused():
    with pytest.raises(StrictDataclassClassValidationError, match="`relative_attention_max_distance` is 16"):
        HafmCoarseConfig(relative_attention_max_distance=16)
