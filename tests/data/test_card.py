# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The dataset card."""

import pytest
from huggingface_hub import DatasetCard

from hafm_hf.data.card import write_card
from hafm_hf.data.filters import ClipFilter, Report
from hafm_hf.data.resume import write_json
from hafm_hf.data.shards import write_shard


@pytest.fixture
def card(tmp_path):
    """The card of two shards of three clips."""
    licenses = [["CC-BY 4.0", None], ["CC-BY | 4.0\nodd"]]
    report = Report(songs=4, clips={"kept": 3, "vocal_dominant": 7}, skipped={"mine/b.wav": "broken"})
    for number, shard in enumerate(licenses):
        tokens = {"vocal_semantic": [1, 2], "instrumental_semantic": [3, 4], "instrumental_codes": [[5, 6, 7]] * 8}
        place = {"id": "a", "source": "mine", "start": 0.0, "duration": 1800.0}
        levels = {"vocal_rms_db": -20.0, "instrumental_rms_db": -20.0}
        rows = [place | {"license": license} | tokens | levels for license in shard]
        write_shard(tmp_path / "data" / f"{number}.parquet", rows, Report(clips={"kept": len(rows)}))
    settings = {
        "separator": {"name": "demucs", "parameters": {"shifts": 0}},
        "tokenizer": "abc",
        "clip_filter": vars(ClipFilter()),
        "clip_seconds": 10.0,
    }
    write_json(tmp_path / "prepare.json", settings)
    write_card(tmp_path, sorted(tmp_path.glob("data/*")), report)
    return DatasetCard.load(tmp_path / "README.md")


def test_the_card_tells_load_dataset_which_files_to_read(card):
    (config,) = card.data.to_dict()["configs"]
    assert config["data_files"] == [{"split": "train", "path": "data/train-*.parquet"}]


def test_the_card_counts_clips_and_hours_by_licence(card):
    assert "3 clips, 1.50 hours, of 4 songs" in card.text
    assert "| mine | CC-BY 4.0 | 1 | 0.50 |" in card.text
    assert "| mine | not recorded | 1 | 0.50 |" in card.text
    assert "| mine | CC-BY \\| 4.0 odd | 1 | 0.50 |" in card.text


def test_the_card_says_how_the_data_was_made(card):
    assert "Separated with demucs (shifts 0)." in card.text
    assert "Of 4 songs 1 could not be used; of the clips of the others: 3 kept, 7 vocal dominant." in card.text
    assert "quieter than\n  -25 dB, or its vocal more than 5 dB above" in card.text
