# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import base64
import io
import json
import re

import numpy as np
import pytest
import soundfile

from hafm_hf.evaluation.listening_test.make import make_listening_test
from hafm_hf.modeling.loudness_hafm import loudness


def read_pairs(page):
    """The two waveforms of every pair on a page, and their rate."""
    (text,) = re.findall(r"const pairs = (\[.*\]);", page.read_text(encoding="utf-8"))
    return [
        [soundfile.read(io.BytesIO(base64.b64decode(uri.split(",")[1]))) for uri in pair] for pair in json.loads(text)
    ]


def test_pairs_are_one_voice_equally_loud_and_the_key_is_not_on_the_page(evaluated, tmp_path):
    page, key_path = make_listening_test(evaluated, tmp_path, ["truth", "noise"], clips_per_pair=4)
    key = json.loads(key_path.read_text())
    pairs = read_pairs(page)
    assert len(pairs) == len(key["pairs"]) == 4
    assert len({pair["clip"] for pair in key["pairs"]}) == 4
    for pair, ((first, rate), (second, _)) in zip(key["pairs"], pairs, strict=True):
        assert {pair["first"], pair["second"]} == {"truth", "noise"}
        assert loudness(first, rate) == pytest.approx(loudness(second, rate), abs=0.05)
        vocal, _ = soundfile.read(evaluated / "clips" / "isolated" / f"{pair['clip']}.wav")
        for mixed in (first, second):
            assert np.abs(mixed).max() <= 1
            assert np.corrcoef(mixed, vocal)[0, 1] > 0.4
        noisy = first if pair["first"] == "noise" else second
        other = second if pair["first"] == "noise" else first
        assert np.abs(np.diff(noisy)).mean() > np.abs(np.diff(other)).mean()  # the key is right
    text = re.sub(r"data:[^\"]+", "", page.read_text(encoding="utf-8"))
    assert "truth" not in text and "noise" not in text and key["test"] in text
    assert not re.search(r"https?://|<link|src=", text)


def test_a_seed_decides_the_order_and_every_two_systems_meet(evaluated, tmp_path):
    keys = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        _, path = make_listening_test(evaluated, tmp_path / name, ["truth", "noise"], 6, seed)
        keys.append(json.loads(path.read_text()))
    assert keys[0] == keys[1] != keys[2]
    assert len({pair["first"] for pair in keys[0]["pairs"]}) == 2  # neither system is always first
    assert keys[0]["test"] != keys[2]["test"]


@pytest.mark.parametrize(
    ("systems", "message"),
    [(["truth"], "compares two systems or more"), (["truth", "hafm"], "hafm did not play in .*; add it there")],
)
def test_what_cannot_be_compared_is_one_sentence(evaluated, tmp_path, systems, message):
    with pytest.raises(ValueError, match=message):
        make_listening_test(evaluated, tmp_path, systems)
