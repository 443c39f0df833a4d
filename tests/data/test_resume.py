# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Files written whole, journals, and settings that may not change."""

import json
import os
import sys

import pytest

from hafm_hf.data.resume import keep_settings, open_journal, read_journal, replacing, write_json, writing_to


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file"
    with replacing(path) as file:
        file.write(b"one")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"one"
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write(b"two")
        raise RuntimeError
    assert path.read_bytes() == b"one"
    assert os.listdir(path.parent) == ["file"]


def test_a_journal_keeps_what_was_appended_and_drops_the_line_that_was_not_finished(tmp_path):
    path = tmp_path / "journal"
    with open_journal(path) as journal:
        journal.append({"text": "ä\n", "tokens": [1, 2]})
        assert path.read_bytes().endswith(b"\n")
        journal.append("second")
    for cut in (b"", b"[", b"[1, 2"):
        with open(path, "ab") as file:
            file.write(cut)
        with open_journal(path) as journal:
            assert len(journal) == 2
    with open_journal(path) as journal:
        journal.append(3.5)
        assert len(journal) == 3
    assert list(read_journal(path)) == [{"text": "ä\n", "tokens": [1, 2]}, "second", 3.5]


@pytest.mark.skipif(sys.platform == "win32", reason="no file locks")
def test_two_runs_cannot_write_one_journal(tmp_path):
    with open_journal(tmp_path / "journal") as journal:
        journal.append(1)
        with pytest.raises(ValueError, match="Another run is at work"), open_journal(tmp_path / "journal"):
            pass
    with open_journal(tmp_path / "journal") as journal:
        assert len(journal) == 1


def test_settings_may_not_change_and_the_error_names_what_did(tmp_path):
    path = tmp_path / "settings.json"
    settings = {"seconds": 10.0, "separator": {"name": "demucs", "weights": ["a", "b"]}, "license": None}
    keep_settings(path, settings, {"versions": "1"})
    recorded = path.read_bytes()
    keep_settings(path, settings | {"separator": {"weights": ("a", "b"), "name": "demucs"}}, {"versions": "2"})
    changed = {"seconds": 5.0, "separator": {"name": "mdx", "weights": ["a", "b"]}, "license": None}
    with pytest.raises(ValueError, match=r"seconds 10\.0, not 5\.0; separator\.name demucs, not mdx; use the same"):
        keep_settings(path, changed, {})
    assert path.read_bytes() == recorded


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_damaged_settings_are_an_error_that_names_the_file(tmp_path, content):
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(ValueError, match="settings.json is damaged"):
        keep_settings(tmp_path / "settings.json", {"seconds": 10.0}, {})


def test_a_disk_error_becomes_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ValueError, match=r"/file cannot be written \(File exists\).*start again"),
        writing_to(tmp_path / "out"),
        replacing(tmp_path / "file" / "shard"),
    ):
        pass


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "record.json"
    write_json(path, {"seed": 7})
    with pytest.raises(TypeError):
        write_json(path, {"seed": 8, "then": object()})
    assert json.loads(path.read_text()) == {"seed": 7}
    assert [file.name for file in path.parent.iterdir()] == ["record.json"]
