# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import numpy as np
from waveforms import noise, tone

from hafm_hf.data.corpora import Pair
from hafm_hf.data.separation import make_separator
from hafm_hf.evaluation.protocol.separated import SeparatedVoice, SimulatedLeakage


def test_leakage_lies_between_its_bounds_differs_by_song_and_is_the_same_again():
    pair = Pair(np.zeros((1, 16000), np.float32), noise(1.0, 16000), 16000)
    levels = []
    for song in map(str, range(20)):
        leaked = SimulatedLeakage()(pair, song)
        assert np.array_equal(leaked, SimulatedLeakage()(pair, song))
        levels.append(10 * np.log10((leaked**2).sum() / (pair.instrumental**2).sum()))
    assert -26 <= min(levels) < -24 < -22 < max(levels) <= -20


def test_a_separator_gets_the_mix():
    pair = Pair(tone(1.0, 16000, 2), noise(1.0, 16000, 2), 16000)
    separator = make_separator("repet")
    vocal = SeparatedVoice(separator)(pair, "song")
    assert np.array_equal(vocal, separator.separate(pair.vocal + pair.instrumental, 16000)[0])
    assert SeparatedVoice(separator).name == "repet"
