# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What processes agree on before they work on songs."""

from dataclasses import replace
from pathlib import Path

import pytest

from hafm_hf.data.corpora import Song
from hafm_hf.data.launch import survey


def test_a_survey_changes_with_what_songs_are_but_not_with_where_they_lie():
    songs = [Song("band/a", Path("a.wav"), "band"), Song("band/b", Path("b.wav"), "band")]
    surveyed = survey(songs)
    assert surveyed["count"] == 2
    assert survey([replace(song, path=Path("elsewhere")) for song in songs]) == surveyed
    for other in (songs[::-1], songs[:1], [songs[0], replace(songs[1], license="CC0")]):
        assert survey(other)["digest"] != surveyed["digest"]


def test_no_songs_are_an_error():
    with pytest.raises(ValueError, match="no songs; check the folder"):
        survey(iter(()))
