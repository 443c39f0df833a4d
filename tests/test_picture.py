# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The picture shows what is in the recordings, where it is."""

import numpy as np
import pytest
from matplotlib.image import imread
from waveforms import tone

from hafm_hf.picture import draw, envelope, mel_band, mel_decibels


@pytest.mark.parametrize("frequency", [200, 1000, 5000])
def test_a_tone_is_loudest_where_its_label_is(frequency):
    decibels = mel_decibels(tone(0.5, 24000, frequency=frequency)[0], 24000)
    assert decibels.max() == pytest.approx(0, abs=1e-6) and decibels.min() >= -80
    assert np.abs(decibels.mean(axis=1).argmax() + 0.5 - mel_band(frequency, 12000)) < 1


def test_silence_has_a_spectrogram():
    assert np.isfinite(mel_decibels(np.zeros(2400, np.float32), 24000)).all()


@pytest.mark.parametrize("samples", [1, 1999, 2001, 100_000])
def test_no_peak_gets_lost(samples):
    waveform = np.zeros(samples)
    waveform[samples // 3], waveform[samples // 2] = 0.7, -0.9
    columns, low, high = envelope(waveform)
    assert (low.min(), high.max()) == (waveform.min(), waveform.max())
    assert abs(columns[low.argmin()] - samples // 2) <= samples / len(columns)


def test_each_recording_has_its_row(tmp_path):
    recordings = {name: tone(0.2, 24000, frequency=frequency)[0] for name, frequency in (("a", 300), ("b", 3000))}
    draw(tmp_path / "new" / "two.png", recordings, 24000)
    draw(tmp_path / "new" / "one.png", {"a": recordings["a"]}, 24000)
    two, one = imread(tmp_path / "new/two.png"), imread(tmp_path / "new/one.png")
    assert two.shape[0] == 2 * one.shape[0] and two.shape[1] == one.shape[1]
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"one.png", "two.png"}
