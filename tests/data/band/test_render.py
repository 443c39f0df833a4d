# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Rendered songs: repeatable to the sample, at useful levels, in agreement with their truth; data sets of them."""

import json

import numpy as np
import pytest
import soundfile

from hafm_hf.data.band import check_requirements, render_song, render_songs


SEED, TEST_SEED = 126, 2_000_055  # short songs


@pytest.fixture(scope="module", autouse=True)
def requirements():
    try:
        check_requirements()
    except (ImportError, FileNotFoundError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def song():
    return render_song(SEED)


def rms_db(samples):
    return 20 * np.log10(np.sqrt(np.mean(samples**2)))


def test_levels_pass_the_filters_of_the_paper(song):
    """Section 3.6: an instrumental above -25 dB, a vocal at most 5 dB over it."""
    assert song.vocal.dtype == song.accompaniment.dtype == np.float32
    assert rms_db(song.accompaniment) > -25
    assert rms_db(song.vocal) - rms_db(song.accompaniment) < 5
    assert np.abs(song.vocal + song.accompaniment).max() < 1


def test_vocal_and_truth_agree(song):
    truth, frame = song.truth, 240
    assert truth["duration"] == pytest.approx(len(song.vocal) / truth["sampling_rate"], abs=1e-3)
    power = np.square(song.vocal[: len(song.vocal) // frame * frame]).reshape(-1, frame).mean(axis=1)
    sung = np.zeros(len(power), bool)
    for note in truth["notes"]:
        sung[int(note["start"] * 100) : int(note["end"] * 100)] = True
    near = np.convolve(sung, np.ones(161), mode="same") > 0  # a breath before, the room after
    assert 10 * np.log10(power[sung].mean() / power[~near].mean()) > 20


def test_the_accompaniment_strikes_on_the_beats(song):
    frame = 120
    level = np.square(song.accompaniment[: len(song.accompaniment) // frame * frame]).reshape(-1, frame).mean(axis=1)
    rise = np.maximum(np.diff(np.log(level + 1e-6)), 0)
    beats = (np.array(song.truth["beats"][1:]) * 200).astype(int)
    on_beat = np.mean([rise[b - 4 : b + 4].max() for b in beats])
    between = np.mean([rise[b + 8 : b + 16].max() for b in beats[:-1]])
    assert on_beat > 2 * between


def test_truth_is_json_with_times_in_order(song):
    truth = json.loads(json.dumps(song.truth))
    assert truth["seed"] == SEED and truth["split"] == "train"
    for key in ("sections", "chords", "notes"):
        starts = [entry["start"] for entry in truth[key]]
        assert starts == sorted(starts) and all(entry["end"] > entry["start"] for entry in truth[key])
    assert truth["beats"] == sorted(truth["beats"]) and set(truth["downbeats"]) <= set(truth["beats"])


def test_a_data_set_is_resumed_and_the_same_in_any_process(song, tmp_path):
    seeds = [SEED, TEST_SEED]
    folders = render_songs(tmp_path / "two", seeds, num_processes=2)
    assert [folder.relative_to(tmp_path / "two").as_posix() for folder in folders] == ["train/0000126", "test/2000055"]
    samples, rate = soundfile.read(folders[0] / "vocals.flac", dtype="float32")
    assert rate == 24_000
    assert np.abs(samples - song.vocal).max() <= 2**-15
    assert json.loads((folders[0] / "truth.json").read_text()) == song.truth

    (folders[0] / "truth.json").write_text("kept")
    before = {file: file.read_bytes() for folder in folders for file in folder.iterdir()}
    for file in folders[1].iterdir():
        file.unlink()
    folders[1].rmdir()
    (folders[1].parent / ".2000055.partial").mkdir()  # as an interrupted run leaves it
    assert render_songs(tmp_path / "two", seeds[::-1]) == folders[::-1]
    assert {file: file.read_bytes() for folder in folders for file in folder.iterdir()} == before


def test_a_file_that_is_no_soundfont_is_named(tmp_path):
    bad = tmp_path / "band.sf2"
    bad.write_bytes(b"RIFF nothing")
    with pytest.raises(ValueError, match="band.sf2 is not a soundfont"):
        render_song(SEED, bad)
