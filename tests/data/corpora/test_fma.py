# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Listing FMA-Large."""

import csv

import pytest

from hafm_hf.data.corpora import fma_songs, license_class


FIELD_LIMIT = csv.field_size_limit()
TRACKS = [
    ["2", "A biography\nof two lines, " + 200_000 * "x", "AWOL", "Attribution", "Food"],
    ["10", "", "Kurt Vile", "Attribution-Noncommercial-Share Alike 3.0 United States", "Freeway"],
    ["1000", "", "Émile", "", "Sans licence"],
]


@pytest.fixture
def fma(tmp_path):
    """The layout of the archive: a table with two header rows and a row for the index, and folders of a thousand."""
    (tmp_path / "fma_metadata").mkdir()
    with open(tmp_path / "fma_metadata" / "tracks.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [["", "artist", "artist", "track", "track"], ["", "bio", "name", "license", "title"]]
            + [["track_id", "", "", "", ""], *TRACKS]
        )
    for name in ("001/001000.mp3", "000/000002.mp3", "000/000010.mp3", "155/155066.mp3", "README.txt", "checksums"):
        (tmp_path / "fma_large" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fma_large" / name).touch()
    return tmp_path / "fma_large"


def test_songs_come_with_what_the_archive_knows_of_them(fma):
    food, freeway, unlicensed, unknown = fma_songs(fma)
    assert food.id == "fma/000/000002.mp3"
    assert (food.title, food.artist, food.license) == ("Food", "AWOL", "Attribution")
    assert freeway.license == "Attribution-Noncommercial-Share Alike 3.0 United States"
    assert (unlicensed.artist, unlicensed.license) == ("Émile", None)
    assert (unknown.id, unknown.title, unknown.license) == ("fma/155/155066.mp3", None, None)


def test_the_licence_filter_keeps_what_it_names_and_nothing_unknown(fma):
    assert [song.title for song in fma_songs(fma, licenses={"CC0", "CC-BY"})] == ["Food"]
    assert [song.title for song in fma_songs(fma, licenses={"CC-BY", "CC-BY-NC-SA"})] == ["Food", "Freeway"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Attribution", "CC-BY"),
        ("Attribution 3.0 International", "CC-BY"),
        ("Attribution-ShareAlike 3.0 International", "CC-BY-SA"),
        ("Attribution-Share Alike 3.0 United States", "CC-BY-SA"),
        ("Attribution-NoDerivatives 4.0 International", "CC-BY-ND"),
        ("Attribution-NonCommercial", "CC-BY-NC"),
        ("Attribution-NonCommercial-ShareAlike", "CC-BY-NC-SA"),
        ("Attribution-NonCommercial-NoDerivatives (aka Music Sharing) 3.0 International", "CC-BY-NC-ND"),
        ("Attribution-Noncommercial-No Derivative Works 3.0 Germany", "CC-BY-NC-ND"),
        ("Creative Commons Attribution-NonCommercial-NoDerivatives 4.0", "CC-BY-NC-ND"),
        ("CC0 1.0 Universal", "CC0"),
        ("Public Domain Mark 1.0", "PD"),
        ("FMA-Limited: Download Only", "other"),
        ("Orphan Work", "other"),
        ("", "other"),
        (None, "other"),
    ],
)
def test_every_spelling_of_the_archive_has_its_class(text, expected):
    assert license_class(text) == expected


def test_missing_or_wrong_metadata_is_an_error_that_names_the_file(fma, tmp_path):
    with pytest.raises(ValueError, match="fma_metadata.zip"):
        list(fma_songs(fma, metadata=tmp_path / "missing.csv"))
    for content in ("", "track_id,title\n1,Song\n", "\0\n\n\n"):
        (tmp_path / "wrong.csv").write_text(content)
        with pytest.raises(ValueError, match=r"wrong\.csv is not FMA's track table"):
            list(fma_songs(fma, metadata=tmp_path / "wrong.csv"))


def test_reading_the_metadata_leaves_the_csv_module_as_it_was(fma):
    assert list(fma_songs(fma))
    assert csv.field_size_limit() == FIELD_LIMIT
