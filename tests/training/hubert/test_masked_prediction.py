# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The loss and the mask that a HuBERT is pre-trained with."""

import pytest
import torch
from transformers import HubertConfig, HubertModel

from hafm_hf.training.hubert.masked_prediction import HubertForMaskedPrediction


SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": (16, 16),
    "conv_kernel": (320, 1),  # frames that share no samples
    "conv_stride": (320, 1),
    "conv_bias": True,
    "feat_extract_norm": "layer",
    "num_conv_pos_embeddings": 4,
    "layerdrop": 0.0,
    "mask_time_prob": 0.65,
}


def make_model(num_clusters=(5, 7), **arguments):
    torch.manual_seed(0)
    return HubertForMaskedPrediction(HubertConfig(**SHAPE), list(num_clusters), **arguments).eval()


def make_batch(batch=3, frames=40, num_clusters=(5, 7)):
    generator = torch.Generator().manual_seed(0)
    labels = [torch.randint(clusters, (batch, frames), generator=generator) for clusters in num_clusters]
    return torch.randn(batch, frames * 320, generator=generator), torch.stack(labels, dim=-1)


def test_masked_spans_are_as_long_as_configured_and_cover_half_the_frames():
    mask = make_model().draw_mask((200, 250))
    assert 0.4 < mask.float().mean() < 0.55  # 1 - exp(-0.65), spans overlapping
    boundaries = torch.diff(torch.nn.functional.pad(mask.int(), (1, 1)))
    lengths = (boundaries == -1).nonzero()[:, 1] - (boundaries == 1).nonzero()[:, 1]
    at_the_end = (boundaries == -1).nonzero()[:, 1] == 250
    assert lengths[~at_the_end].min() == 10
    assert lengths.max() > 10
    assert (make_model().draw_mask((500, 12)).any(dim=1)).all()


def test_what_is_masked_is_not_heard():
    model, (waveforms, labels) = make_model(), make_batch()
    mask = torch.zeros(3, 40, dtype=torch.bool)
    mask[:, 10:20] = True
    silenced = waveforms.clone()
    silenced[:, 10 * 320 : 20 * 320] = 0
    torch.testing.assert_close(model(silenced, labels, mask).losses, model(waveforms, labels, mask).losses)
    difference = model(silenced, labels, mask.roll(10, 1)).losses - model(waveforms, labels, mask.roll(10, 1)).losses
    assert difference.abs().max() > 1e-3


def test_only_labels_of_masked_frames_count_if_all_weight_lies_there():
    model, (waveforms, labels) = make_model(), make_batch()
    mask = torch.zeros(3, 40, dtype=torch.bool)
    mask[:, 10:20] = True
    others = torch.where(mask[..., None], labels, 0)
    assert model(waveforms, labels, mask).loss == model(waveforms, others, mask).loss
    both = make_model(masked_weight=0.5)
    assert both(waveforms, labels, mask).loss != both(waveforms, others, mask).loss
    assert torch.equal(both(waveforms, labels, mask).losses, both(waveforms, others, mask).losses)


def test_the_loss_of_an_untrained_model_is_near_that_of_guessing():
    model, (waveforms, labels) = make_model((100, 50)), make_batch(num_clusters=(100, 50))
    outputs = model(waveforms, labels)
    torch.testing.assert_close(outputs.losses, torch.tensor([100.0, 50.0]).log(), atol=0.8, rtol=0)
    assert outputs.accuracies.max() < 0.2
    assert outputs.loss.item() == pytest.approx(outputs.losses.mean().item())


def test_a_few_steps_teach_it_what_it_hears_and_what_is_masked():
    """A row is a tone whose every frame tells its cluster."""
    model = make_model((4,)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    time = torch.arange(20 * 320) / 16_000
    for _ in range(60):
        clusters = torch.randint(4, (8, 1))
        outputs = model(torch.sin(2 * torch.pi * 50 * (1 + clusters) * time), clusters[..., None].expand(-1, 20, 1))
        outputs.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert outputs.losses.item() < 0.3
    assert outputs.accuracies.item() > 0.9


def test_its_hubert_is_an_ordinary_one(tmp_path):
    model, (waveforms, _) = make_model(), make_batch()
    model.hubert.save_pretrained(tmp_path)
    loaded = HubertModel.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(loaded(waveforms)[0], model.hubert(waveforms)[0])
