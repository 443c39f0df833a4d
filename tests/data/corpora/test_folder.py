# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Listing songs in folders."""

import os
import sys

import pytest

from hafm_hf.data.corpora import folder_songs, stem_folder_songs


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def ids(songs):
    return [song.id for song in songs]


def test_ids_are_paths_below_the_folder_in_the_same_order_wherever_it_lies(tmp_path):
    names = ["b.wav", "a b/c.opus", "b/Take Five.MP3", "b/a.flac", "Ü/träumen\n2.ogg"]
    touch(tmp_path / "here" / "songs", *names)
    touch(tmp_path / "there" / "songs", *reversed(names))
    here = ids(folder_songs(tmp_path / "here" / "songs"))
    assert here == ids(folder_songs(tmp_path / "there" / "songs"))
    assert here == [f"songs/{name}" for name in names]


def test_two_files_of_one_name_are_two_songs(tmp_path):
    touch(tmp_path, "x/song.wav", "y/song.wav", "y/song.mp3")
    assert len(set(ids(folder_songs(tmp_path)))) == 3


def test_what_is_no_audio_or_hidden_is_no_song(tmp_path):
    touch(tmp_path, "song.wav", "cover.jpg", "notes", "._song.wav", ".cache/old.wav")
    (tmp_path / "album.wav").mkdir()
    assert ids(folder_songs(tmp_path, source="mine")) == ["mine/song.wav"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf8_has_an_id_that_can_be_stored(tmp_path):
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.wav"), "wb"):
        pass
    (song,) = folder_songs(tmp_path, source="mine")
    assert song.id.encode("utf-8") == b"mine/caf\\udce9.wav"
    assert song.path.exists()


def test_what_is_known_of_a_song_is_recorded(tmp_path):
    touch(tmp_path, "Nina - Feeling - Live.wav", "untitled.wav", "Nina - Stems.stem.mp4")
    feeling, stems, untitled = folder_songs(tmp_path, source="mine", license="CC0")
    assert (feeling.artist, feeling.title, feeling.license, feeling.source) == (
        "Nina",
        "Feeling - Live",
        "CC0",
        "mine",
    )
    assert (untitled.artist, untitled.title) == (None, "untitled")
    assert (stems.artist, stems.title, stems.stems) == ("Nina", "Stems", (stems.path,))
    assert not untitled.stems


def test_listing_opens_no_file_and_is_lazy(tmp_path):
    touch(tmp_path, "broken.wav", "a/broken.wav")
    songs = folder_songs(tmp_path)
    assert next(songs).path == tmp_path / "broken.wav"
    (tmp_path / "a" / "later.wav").touch()
    assert len(list(songs)) == 2


def test_a_folder_that_is_none_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        list(folder_songs(tmp_path / "nowhere"))


def test_a_folder_with_vocals_is_one_song(tmp_path):
    touch(tmp_path, *(f"A/{name}.wav" for name in ("vocals", "drums", "bass", "other", "mixture")))
    touch(tmp_path, "B/Vocals.flac", "B/no_vocals.flac", "B/drums.flac", "B/cover.jpg", "B/._drums.flac")
    touch(tmp_path, "C/drums.wav")
    a, b = stem_folder_songs(tmp_path, source="mine")
    assert (a.id, b.id) == ("mine/A", "mine/B")
    assert [path.name for path in a.stems] == ["vocals.wav", "bass.wav", "drums.wav", "other.wav"]
    assert a.path.name == "mixture.wav"
    assert [path.name for path in b.stems] == ["Vocals.flac", "no_vocals.flac"]
    assert b.path == tmp_path / "B"
