# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Instrumentals are analysed once."""

import json
import os

import numpy as np
import pytest
from song_files import write_audio

from hafm_hf.data.resume import read_journal
from hafm_hf.evaluation.baselines.outline import JOURNAL, Outline, outline, pool_outlines
from hafm_hf.evaluation.baselines.pool import pool_songs


RATE = 16_000


@pytest.fixture
def pool(songs, tmp_path):
    for number, song in enumerate(songs[:3]):
        write_audio(tmp_path / "pool" / f"{number}.flac", song.band[None], RATE)
    return pool_songs(tmp_path / "pool")


def test_an_outline_is_key_and_tempo(songs):
    found = outline(songs[2].band, RATE)
    assert found.key == "D major"
    assert found.tempo == pytest.approx(110, rel=0.03)
    silence = outline(np.zeros(2 * RATE, np.float32), RATE)
    assert silence.key is None and silence.tempo is None


def test_the_tempo_is_that_of_the_mean_beat():
    assert Outline(None, (1.0, 1.5, 2.1, 2.5)).tempo == pytest.approx(120)
    assert Outline(None, (1.0,)).tempo is None


def test_a_pool_is_analysed_once_and_a_changed_file_again(pool, tmp_path):
    first = pool_outlines(pool, tmp_path / "cache")
    journal = tmp_path / "cache" / JOURNAL
    written = journal.read_bytes()
    assert pool_outlines(pool, tmp_path / "cache") == first
    assert journal.read_bytes() == written

    os.replace(pool[2].path, pool[0].path)
    again = pool_outlines(pool[:2], tmp_path / "cache")
    assert [found for _, found in again] == [first[2][1], first[1][1]]
    assert len(list(read_journal(journal))) == 4


def test_an_interrupted_analysis_goes_on(pool, tmp_path):
    whole = pool_outlines(pool, tmp_path / "cache")
    journal = tmp_path / "cache" / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    noted = json.loads(lines[0]) | {"key": "as noted"}
    journal.write_bytes(json.dumps(noted).encode() + b"\n" + lines[1][:-20])
    resumed = pool_outlines(pool, tmp_path / "cache")
    assert resumed[0][1].key == "as noted"
    assert resumed[1:] == whole[1:]


def test_broken_songs_are_left_out_and_noted(pool, tmp_path, caplog):
    pool[1].path.write_text("no audio")
    assert [song for song, _ in pool_outlines(pool, tmp_path / "cache")] == [pool[0], pool[2]]
    assert f"{pool[1].id} is left out of the pool" in caplog.text
    with pytest.raises(ValueError, match="None of the 1 instrumentals"):
        pool_outlines(pool[1:2], tmp_path / "cache")
