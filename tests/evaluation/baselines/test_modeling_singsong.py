# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The T5 is fed as the coarse stage is, learns what it is fed, and writes it again."""

import numpy as np
import pytest
import torch
from evaluation.baselines.tiny_singsong import seq2seq_config
from training.clips import VOCABULARY, make_clips
from training.killable import make_trainer
from transformers import AutoModel

from hafm_hf.evaluation.baselines.modeling_singsong import SingSongForAccompaniment, SingSongSeq2SeqModel
from hafm_hf.modeling.configuration_hafm import HafmFineConfig
from hafm_hf.modeling.modeling_hafm import HafmFineModel
from hafm_hf.training.collator import HafmCollator


VOCABULARIES = {"vocab_size": VOCABULARY["acoustic"], "conditioning_vocab_size": VOCABULARY["semantic"]}


def batch_of(clips, model: SingSongSeq2SeqModel) -> dict[str, torch.Tensor]:
    return HafmCollator(model.config, training=False)(list(clips))


@pytest.fixture
def model() -> SingSongSeq2SeqModel:
    torch.manual_seed(0)
    return SingSongSeq2SeqModel(seq2seq_config(**VOCABULARIES)).eval()


@pytest.fixture(scope="module")
def memorised(tmp_path_factory):
    """A model that was shown eight clips again and again, and those clips."""
    clips = make_clips(8, 0.24)
    config = seq2seq_config(
        **VOCABULARIES,
        window_seconds=0.24,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
    )
    trainer = make_trainer(
        tmp_path_factory.mktemp("seq2seq"),
        clips=clips,
        model=SingSongSeq2SeqModel(config),
        per_device_train_batch_size=8,
        max_steps=120,
        warmup_steps=20,
        logging_steps=40,
    )
    trainer.train()
    return trainer, clips


def test_eight_clips_are_learnt_by_heart_and_given_back(memorised):
    trainer, clips = memorised
    model = trainer.model.eval()
    metrics = trainer.evaluate()
    assert metrics["eval_loss"] < 0.05
    assert all(metrics[f"eval_codebook_{number}_accuracy"] > 0.99 for number in (1, 2, 3, 4))
    batch = batch_of(clips, model)
    predictions = model.predict(list(batch["vocal_semantic_ids"]), torch.arange(8), temperature=0, top_k=0)
    for clip, (semantic, coarse) in zip(clips, predictions, strict=True):
        assert np.mean(semantic.numpy() == clip["instrumental_semantic"]) > 0.99
        assert np.mean(coarse.numpy() == np.array(clip["instrumental_codes"])[:4]) > 0.99


def test_another_vocal_raises_the_loss(memorised):
    trainer, clips = memorised
    model = trainer.model.eval()
    batch = batch_of(clips, model)
    with torch.no_grad():
        matched = model(**batch).loss
        batch["vocal_semantic_ids"] = batch["vocal_semantic_ids"].roll(1, dims=0)
        assert model(**batch).loss > 10 * matched


def test_loss_and_logits_are_those_of_one_sequence_over_one_vocabulary(model):
    """Against the target written out token by token."""
    batch = batch_of(make_clips(1, 0.4), model)
    vocal, instrumental, codes = (
        batch[name][0].tolist() for name in ("vocal_semantic_ids", "instrumental_semantic_ids", "labels")
    )
    first_code = [1 + 40 + 30 * (place % 4) for place in range(len(codes))]
    target = [1 + token for token in instrumental] + [
        first + code for first, code in zip(first_code, codes, strict=True)
    ]
    assert len(target) == 20 + 4 * 30
    expected = model.t5(input_ids=torch.tensor([vocal]) + 1, labels=torch.tensor([target]))
    outputs = model(**batch)
    torch.testing.assert_close(outputs.loss, expected.loss)
    for place, first in enumerate(first_code):
        torch.testing.assert_close(outputs.logits[0, place], expected.logits[0, 20 + place, first : first + 30])


def test_clips_of_different_lengths_share_a_batch(model):
    """Each row as if alone, and the loss the mean over all tokens."""
    clips = [make_clips(1, 0.4)[0], make_clips(2, 0.24)[1]]
    batch = batch_of(clips, model)
    assert "conditioning_mask" in batch
    together = model(**batch)
    alone = [model(**batch_of([clip], model)) for clip in clips]
    for row, output in enumerate(alone):
        codes = output.logits.shape[1]
        torch.testing.assert_close(together.logits[row, :codes], output.logits[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(together.loss, (20 * 7 * alone[0].loss + 12 * 7 * alone[1].loss) / (32 * 7))


def test_parts_make_one_checkpoint(tmp_path, model):
    fine_config = HafmFineConfig(
        vocab_size=30, conditioning_vocab_size=30, num_hidden_layers=1, hidden_size=32, num_attention_heads=2
    )
    whole = SingSongForAccompaniment.from_parts(model, HafmFineModel(fine_config)).eval()
    whole.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert isinstance(loaded, SingSongForAccompaniment)
    batch = batch_of(make_clips(2, 0.4), model)
    torch.testing.assert_close(loaded.seq2seq(**batch).logits, model(**batch).logits)
    model.save_pretrained(tmp_path / "part")
    torch.testing.assert_close(AutoModel.from_pretrained(tmp_path / "part")(**batch).logits, model(**batch).logits)
    assert torch.equal(loaded.fine.lm_heads[3].weight, whole.fine.lm_heads[3].weight)
    assert SingSongSeq2SeqModel.from_pretrained(tmp_path).t5.shared.weight.equal(model.t5.shared.weight), (
        "one part of it"
    )

    with pytest.raises(ValueError, match="do not fit each other: .*conditioning_vocab_size"):
        SingSongForAccompaniment.from_parts(model, HafmFineModel(HafmFineConfig(num_hidden_layers=1)))
