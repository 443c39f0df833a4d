# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm render-band`: songs in a folder, where what renders them is installed; else one sentence that says what is missing."""

import pytest

from hafm_hf.cli.main import main
from hafm_hf.data.band import check_requirements


def test_a_song_is_rendered(tmp_path, capsys):
    try:
        check_requirements()
    except (ImportError, FileNotFoundError) as error:
        pytest.skip(str(error))
    assert main(["render-band", "-o", str(tmp_path), "--split", "validation", "--songs", "1"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'validation'}: 1 song\n"
    (song,) = (tmp_path / "validation").iterdir()
    assert {path.name for path in song.iterdir()} == {"vocals.flac", "accompaniment.flac", "truth.json"}


@pytest.mark.parametrize("songs", ["0", "2000000"])
def test_a_number_of_songs_that_there_is_not(tmp_path, capsys, songs):
    assert main(["render-band", "-o", str(tmp_path), "--songs", songs]) == 2
    assert capsys.readouterr().err == f"hafm render-band: --songs must be from 1 to 1000000, not {songs}.\n"


def test_what_is_missing_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert main(["render-band", "-o", str(tmp_path), "--songs", "1"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("hafm render-band: The ") and "install" in err and err.count("\n") == 1
