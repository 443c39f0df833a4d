# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The filters of section 3.6 and the report of what they dropped."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from hafm_hf.data.filters import ClipFilter, Report, rms_db


RATE = 24000


def sine(amplitude=1.0, seconds=1.0, rate=RATE):
    return (amplitude * np.sin(2 * np.pi * 1000 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("definition", ["mean_rms", "rms"])
@pytest.mark.parametrize("rate", [16000, 22050, 44100])
def test_levels_are_relative_to_full_scale(definition, rate):
    assert rms_db(np.ones(rate), rate, definition) == pytest.approx(0, abs=1e-6)
    assert rms_db(sine(rate=rate), rate, definition) == pytest.approx(-3.01, abs=0.01)
    assert rms_db(sine(0.1, rate=rate), rate, definition) == pytest.approx(-23.01, abs=0.01)
    assert rms_db(np.zeros(rate), rate, definition) == -120


def test_the_definitions_differ_by_how_they_count_pauses():
    half_silent = np.concatenate([np.ones(RATE), np.zeros(RATE)])
    assert rms_db(half_silent, RATE, "rms") == pytest.approx(-3.01, abs=0.01)
    assert rms_db(half_silent, RATE, "mean_rms") == pytest.approx(-6.02, abs=0.01)


def test_the_level_is_that_of_the_mono_mix():
    assert rms_db(np.stack([sine(), sine()]), RATE) == pytest.approx(rms_db(sine(), RATE))
    assert rms_db(np.stack([sine(), -sine()]), RATE) == -120


@pytest.mark.parametrize("samples", [0, 1, 959, 961])
def test_clips_shorter_than_a_frame_have_a_level(samples):
    assert rms_db(np.ones(samples), RATE) == pytest.approx(0 if samples else -120, abs=1e-6)


def test_an_unknown_definition_is_an_error():
    with pytest.raises(ValueError, match="'peak'; choose 'mean_rms' or 'rms'"):
        ClipFilter(definition="peak").level(sine(), RATE)


@pytest.mark.parametrize(
    ("vocal_db", "instrumental_db", "reason"),
    [
        (-20.0, -25.0, None),
        (-40.0, -25.1, "instrumental_silent"),
        (-14.9, -20.0, "vocal_dominant"),
        (-15.0, -20.0, None),
        (-120.0, -20.0, None),
        (-10.0, -30.0, "instrumental_silent"),
    ],
)
def test_the_thresholds_of_the_paper_are_the_default(vocal_db, instrumental_db, reason):
    assert ClipFilter().reason_to_drop(vocal_db, instrumental_db) == reason


def test_thresholds_can_be_moved():
    assert ClipFilter(min_instrumental_db=-60).reason_to_drop(-50, -50) is None
    assert ClipFilter(max_vocal_excess_db=0).reason_to_drop(-19.9, -20) == "vocal_dominant"


def test_the_definition_decides_which_clips_stay():
    half_silent = np.concatenate([sine(0.1), np.zeros(RATE)])
    reasons = {}
    for definition in ("mean_rms", "rms"):
        clip_filter = ClipFilter(min_instrumental_db=-27, definition=definition)
        reasons[definition] = clip_filter.reason_to_drop(-120, clip_filter.level(half_silent, RATE))
    assert reasons == {"mean_rms": "instrumental_silent", "rms": None}


def test_reports_of_shards_add_up_to_the_report_of_the_whole():
    whole, shards = Report(), [Report(), Report()]
    for number in range(10):
        for report in (whole, shards[number % 2]):
            report.songs += 1
            report.count(ClipFilter().reason_to_drop(-20.0 + number, -20.0))
            if number > 7:
                report.skip(f"mine/{number}", ValueError("broken"))
    assert shards[0] + shards[1] == whole
    assert whole.clips == {"kept": 6, "vocal_dominant": 4}
    assert Report(**json.loads(json.dumps(asdict(whole)))) + Report() == whole


def test_a_report_can_be_read_and_names_every_song_on_one_line():
    report = Report(songs=3)
    report.count(None)
    report.count("instrumental_silent")
    report.skip("mine/new\nline.wav", "it is\udcff broken")
    text = str(report)
    assert text.startswith("3 songs read, 1 skipped; clips: 1 instrumental silent, 1 kept")
    assert "'mine/new\\nline.wav': it is" in text
    text.encode("utf-8")
