# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Shards are found and read; what cannot be trained on is refused in one sentence."""

import numpy as np
import pytest
from training.clips import make_clip, make_clips, stage_config, write_shards

from hafm_hf.training.dataset import load_clips, stage_clips


def test_all_shards_of_a_folder_are_one_dataset(tmp_path):
    write_shards(tmp_path / "first", make_clips(5), shards=3)
    write_shards(tmp_path / "second half", make_clips(7).select([5, 6]), shards=1)
    clips = load_clips(str(tmp_path))
    assert sorted(clips["id"]) == sorted(make_clips(7)["id"])
    by_id = {clip["id"]: clip for clip in clips}
    expected = make_clip(6)
    for column in ("vocal_semantic", "instrumental_semantic", "instrumental_codes"):
        np.testing.assert_array_equal(by_id[expected["id"]][column], expected[column])


def test_a_stage_reads_only_the_columns_it_needs(tmp_path):
    clips = load_clips(str(write_shards(tmp_path, make_clips(2))))
    columns = {
        stage: set(stage_clips(clips, stage_config(stage), "data").column_names)
        for stage in ("semantic", "coarse", "fine")
    }
    assert columns == {
        "semantic": {"id", "vocal_semantic", "instrumental_semantic"},
        "coarse": {"id", "vocal_semantic", "instrumental_semantic", "instrumental_codes"},
        "fine": {"id", "instrumental_codes"},
    }


def test_a_torn_shard_is_named(tmp_path):
    write_shards(tmp_path, make_clips(4))
    torn = tmp_path / "clips-00001.parquet"
    torn.write_bytes(torn.read_bytes()[:-200])
    with pytest.raises(ValueError, match="clips-00001.parquet is not a whole Parquet file"):
        load_clips(str(tmp_path))


def test_shards_with_other_columns_are_refused(tmp_path):
    write_shards(tmp_path / "a", make_clips(2))
    write_shards(tmp_path / "b", make_clips(2).select_columns(["id", "source"]))
    with pytest.raises(ValueError, match="b/clips-00000.parquet has other columns than .*a/clips-00000.parquet"):
        load_clips(str(tmp_path))


def test_a_shard_that_is_damaged_inside_is_an_error(tmp_path):
    shard = write_shards(tmp_path, make_clips(50), shards=1) / "clips-00000.parquet"
    content = bytearray(shard.read_bytes())
    content[100:5000] = bytes(4900)
    shard.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        load_clips(str(tmp_path))


def test_folders_without_clips_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no Parquet file"):
        load_clips(str(tmp_path))
    with pytest.raises(ValueError, match="nowhere does not exist"):
        load_clips(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="mistyped does not exist"):
        load_clips("mistyped")


def test_data_of_another_kind_is_refused():
    config = stage_config("coarse")
    with pytest.raises(ValueError, match="text.parquet lacks id, vocal_semantic.* coarse stage .*it has text"):
        stage_clips(make_clips(1).select_columns("source").rename_column("source", "text"), config, "text.parquet")
    with pytest.raises(ValueError, match="data holds no clips"):
        stage_clips(make_clips(1).select([]), config, "data")
    with pytest.raises(ValueError, match="data does not fit the coarse stage: Clip 'song-0/0.0' has tokens"):
        stage_clips(make_clips(1), stage_config("coarse", vocab_size=20), "data")
