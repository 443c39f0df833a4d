# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Shapes of SingSong, and that its two parts agree."""

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from transformers import AutoConfig

from hafm_hf.evaluation.baselines.configuration_singsong import SHAPES, SingSongConfig, SingSongSeq2SeqConfig
from hafm_hf.evaluation.baselines.modeling_singsong import SingSongSeq2SeqModel


@pytest.mark.parametrize(("shape", "millions"), [("tiny", 5.0), ("base", 201.8), ("xl", 2727.6)])
def test_shapes_are_those_of_t5(shape, millions):
    """T5.1.1-Base and -XL have 248 M and 2.85 B parameters; the difference is their vocabulary, tied here."""
    with torch.device("meta"):
        model = SingSongSeq2SeqModel(SingSongSeq2SeqConfig(**SHAPES[shape]))
    assert model.num_parameters() / 1e6 == pytest.approx(millions, abs=0.05)


def test_base_is_the_default():
    config = SingSongSeq2SeqConfig()
    assert config.to_dict() == SingSongSeq2SeqConfig(**SHAPES["base"]).to_dict()
    assert config.t5_config.vocab_size == 1 + 500 + 4 * 1024


def test_configurations_survive_saving(tmp_path):
    config = SingSongConfig(seq2seq_config=SHAPES["tiny"] | {"dropout_rate": 0.1, "window_seconds": 4.0})
    config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert loaded.seq2seq_config.to_diff_dict() == config.seq2seq_config.to_diff_dict()
    assert loaded.seq2seq_config.t5_config.to_dict() == config.seq2seq_config.t5_config.to_dict()


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(StrictDataclassClassValidationError, match="conditioning_vocab_size"):
        SingSongConfig(fine_config={"conditioning_vocab_size": 1000})
