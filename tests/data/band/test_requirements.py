# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What is missing is said in one sentence that names it and how to get it."""

import sys

import pytest

from hafm_hf.data.band import find_soundfont, render_songs, requirements


def test_the_argument_goes_before_the_environment(tmp_path, monkeypatch):
    given, named = tmp_path / "given.sf2", tmp_path / "named.sf2"
    given.touch()
    named.touch()
    monkeypatch.setenv("HAFM_SOUNDFONT", str(named))
    assert find_soundfont() == named
    assert find_soundfont(given) == given


def test_a_soundfont_that_does_not_exist_is_named(monkeypatch):
    monkeypatch.setenv("HAFM_SOUNDFONT", "/nowhere/band.sf2")
    with pytest.raises(FileNotFoundError, match="/nowhere/band.sf2 does not exist.*timgm6mb-soundfont"):
        find_soundfont()


def test_espeak_is_asked_for(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="apt-get install espeak-ng"):
        requirements.find_espeak()


@pytest.mark.parametrize(
    ("module", "find"),
    [("pyworld", requirements.import_world), ("tinysoundfont", requirements.import_tinysoundfont)],
)
def test_packages_are_asked_for(module, find, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"{module}.*pip install"):
        find()


def test_nothing_is_rendered_where_something_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(ImportError, match="pyworld"):
        render_songs(tmp_path / "songs", [0])
    assert not (tmp_path / "songs").exists()
