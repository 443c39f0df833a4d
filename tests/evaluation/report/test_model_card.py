# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import pytest
from huggingface_hub import ModelCard, ModelCardData

from hafm_hf.evaluation.protocol.results import read_results
from hafm_hf.evaluation.report.model_card import card_results


def test_entries_survive_a_model_card(evaluated, tmp_path):
    results = read_results(evaluated)
    entries = card_results(results, "noise")
    card = ModelCard(f"---\n{ModelCardData(model_name='noise', eval_results=entries).to_yaml()}\n---\n")
    card.save(tmp_path / "README.md")
    found = {entry.metric_name: entry for entry in ModelCard.load(tmp_path / "README.md").data.eval_results}
    distance = results["systems"]["noise"]["conditions"]["separated"]["distances"]["mix"]
    entry = found["FAD, mix, separated vocals (spectrum)"]
    assert entry.metric_value == distance["fad"]["value"]
    assert entry.metric_args["interval_95"] == [distance["fad"]["low"], distance["fad"]["high"]]
    assert entry.metric_args["embeddings"] == distance["embeddings"]
    assert entry.dataset_name == "test songs (6 clips of 3 songs)"
    assert "pitch in chord above chance" in found and "silence rate" in found


def test_a_system_without_results_is_named(evaluated):
    with pytest.raises(ValueError, match="no results of 'hafm'; there are of noise, truth"):
        card_results(read_results(evaluated), "hafm")
