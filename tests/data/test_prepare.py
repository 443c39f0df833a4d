# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Preparing data: what comes out, and that neither a kill nor a bad file changes the rest of it."""

import json
import random
import re
import shutil
from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from datasets import load_dataset
from preparing import LoggingStems, note, preparation, prepare_in_child, prepare_on_a_full_disk, run_child
from song_files import contents, voice_and_band, write_audio, write_mixtures, write_stems

from hafm_hf import DEFAULT_CHECKPOINT, HafmProcessor
from hafm_hf.data.clips import ClipCutter
from hafm_hf.data.corpora import folder_songs, load_pair, stem_folder_songs
from hafm_hf.data.filters import ClipFilter
from hafm_hf.data.separation import make_separator
from hafm_hf.data.tokenize import noise_seed


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def processor():
    return HafmProcessor.from_pretrained(DEFAULT_CHECKPOINT)


@pytest.fixture(scope="module")
def stems(tmp_path_factory):
    return write_stems(tmp_path_factory.mktemp("stems") / "songs", count=3, seconds=2.0)


@pytest.fixture(scope="module")
def undisturbed(stems, tmp_path_factory):
    """The folder that one run over `stems` gives."""
    output = tmp_path_factory.mktemp("undisturbed") / "data"
    preparation(output).run(partial(stem_folder_songs, stems))
    return output


def read(output):
    return [row for path in sorted(output.glob("data/*.parquet")) for row in pq.read_table(path).to_pylist()]


# -- What comes out ----------------------------------------------------------------------------------------------------


def test_rows_are_what_the_processor_gives_for_each_clip(stems, undisturbed, processor):
    rows = iter(read(undisturbed))
    for song in stem_folder_songs(stems):
        pair = ClipCutter(processor.audio_tokenizer.config).mono(load_pair(song))
        for start, duration in ((0.0, 0.8), (0.8, 0.8), (1.6, 0.4)):
            row = next(rows)
            assert (row["id"], row["source"], row["license"]) == (f"{song.id}@{start:.2f}", "songs", None)
            assert (row["start"], row["duration"]) == (start, duration)
            samples = slice(round(start * 24000), round((start + duration) * 24000))
            vocal, instrumental = pair.vocal[samples], pair.instrumental[samples]
            noisy = processor(audio=vocal, sampling_rate=24000, seed=noise_seed(row["id"]))
            clean = processor.encode(audio=instrumental, sampling_rate=24000)
            assert row["vocal_semantic"] == noisy["vocal_semantic_ids"][0].tolist()
            assert row["instrumental_semantic"] == clean["instrumental_semantic_ids"][0].tolist()
            assert row["instrumental_codes"] == clean["instrumental_codes"][0].tolist()
            assert len(row["vocal_semantic"]) == round(50 * duration)
            assert np.shape(row["instrumental_codes"]) == (8, round(75 * duration))
            assert row["vocal_rms_db"] == pytest.approx(ClipFilter().level(vocal, 24000), abs=1e-4)
            assert row["instrumental_rms_db"] == pytest.approx(ClipFilter().level(instrumental, 24000), abs=1e-4)
    assert next(rows, None) is None


def test_datasets_loads_and_streams_the_folder(undisturbed, tmp_path):
    expected = read(undisturbed)
    loaded = load_dataset(str(undisturbed), split="train", cache_dir=tmp_path)
    assert loaded.to_list() == expected
    assert loaded.with_format("torch")[0]["instrumental_codes"].shape == (8, 60)
    assert list(load_dataset(str(undisturbed), split="train", streaming=True)) == expected


def test_the_folder_can_be_pushed_as_it_is_or_as_a_dataset(undisturbed, hub_server):
    printed = hub_server.run(
        f"""
        from datasets import load_dataset
        from huggingface_hub import create_repo, upload_folder

        create_repo("me/folder", repo_type="dataset")
        upload_folder(repo_id="me/folder", folder_path={str(undisturbed)!r}, repo_type="dataset")
        load_dataset("me/folder", split="train").push_to_hub("me/dataset")
        print([row["id"] for row in load_dataset("me/dataset", split="train", streaming=True)])
        """
    )
    assert printed.splitlines()[-1] == str([row["id"] for row in read(undisturbed)])


def test_a_finished_folder_holds_nothing_else(undisturbed):
    assert sorted(contents(undisturbed)) == [
        "README.md",
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
        "prepare.json",
        "report.json",
    ]
    assert json.loads((undisturbed / "report.json").read_text()) == {"songs": 3, "clips": {"kept": 9}, "skipped": {}}


def test_every_file_that_cannot_be_used_is_skipped_and_listed(tmp_path):
    songs = tmp_path / "songs"
    good = ["a.wav", "x/same.wav", "y/same.wav", "with space.flac", "ünïcode.wav", "new\nline.wav", "mislabelled.mp3"]
    write_mixtures(songs, good, seconds=1.0)
    shutil.move(songs / "mislabelled.mp3", songs / "real.mp3")
    shutil.copy(songs / "a.wav", songs / "mislabelled.mp3")
    write_audio(songs / "stereo.wav", sum(voice_and_band(1.0, 44100, channels=2)), 44100)
    write_audio(songs / "silent.wav", np.zeros((1, 16000)), 16000)
    write_audio(songs / "short.wav", sum(voice_and_band(0.3)), 16000)
    write_audio(songs / "quiet.wav", 0.01 * sum(voice_and_band(1.0)), 16000)
    (songs / "empty.wav").touch()
    (songs / "text.mp3").write_text("no audio")
    (songs / "cut.flac").write_bytes((songs / "with space.flac").read_bytes()[:90])

    report = preparation(tmp_path / "out", make_separator("repet"), songs_per_shard=4).run(
        partial(folder_songs, songs)
    )
    rows = read(tmp_path / "out")
    assert {row["id"] for row in rows} == {f"songs/{name}@0.00" for name in [*good, "real.mp3", "stereo.wav"]}
    assert report.songs == 15
    assert report.clips == {"kept": 9, "instrumental_silent": 1}
    assert report.skipped.keys() == {
        f"songs/{name}" for name in ("silent.wav", "short.wav", "empty.wav", "text.mp3", "cut.flac")
    }
    assert str(tmp_path) not in (tmp_path / "out" / "report.json").read_text()


def test_filters_drop_clips_and_the_report_counts_them(stems, tmp_path):
    with pytest.raises(ValueError, match="No clip of 3 songs was kept; .*report.json says why"):
        preparation(tmp_path / "none", clip_filter=ClipFilter(min_instrumental_db=0)).run(
            partial(stem_folder_songs, stems)
        )
    report = json.loads((tmp_path / "none" / "report.json").read_text())
    assert report["clips"] == {"instrumental_silent": 9}


# -- Stopping and going on ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seconds_of_a_run(stems, undisturbed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("timed")
    run_child(note, folder / "warm-up", "the first child waits for its server")
    exit_code, seconds = run_child(prepare_in_child, stems, folder / "out", folder / "log")
    assert exit_code == 0
    assert contents(folder / "out") == contents(undisturbed)
    return seconds


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_it_repeats_one_clip_and_ends_the_same(
    stems, undisturbed, seconds_of_a_run, tmp_path, seed
):
    generator, kills, begun, log = random.Random(seed), 0, set(), tmp_path / "log"
    for run in range(6):
        moment = generator.uniform(0, seconds_of_a_run) if run < 5 else None
        exit_code, _ = run_child(prepare_in_child, stems, tmp_path / "out", log, kill_after=moment)
        kills += exit_code != 0
        now = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        assert len(begun.intersection(now)) <= 1  # the clip, or the song to separate, that was in hand
        begun.update(now)
    assert kills
    assert exit_code == 0
    assert contents(tmp_path / "out") == contents(undisturbed)
    assert len(begun) == 3 + 9  # songs to separate and clips to tokenise


@pytest.mark.parametrize("room", [300, 100_000])  # too little for the settings, for a separated pair
def test_a_full_disk_is_one_sentence_and_nothing_done_is_lost(stems, undisturbed, tmp_path, room):
    run_child(prepare_on_a_full_disk, stems, tmp_path / "out", tmp_path / "log", room)
    assert re.search("out.* cannot be written .File too large.; make room", (tmp_path / "error").read_text())
    run_child(prepare_in_child, stems, tmp_path / "out", tmp_path / "log")
    assert contents(tmp_path / "out") == contents(undisturbed)


def test_a_folder_that_cannot_be_written_is_one_sentence_and_nothing_done_is_lost(stems, undisturbed, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file/out cannot be written .Not a directory.; .* choose another folder"):
        preparation(tmp_path / "file" / "out").run(partial(stem_folder_songs, stems))

    obstacle = tmp_path / "out" / "data"
    obstacle.parent.mkdir()
    obstacle.touch()
    with pytest.raises(ValueError, match="out/data cannot be written"):
        preparation(tmp_path / "out").run(partial(stem_folder_songs, stems))
    obstacle.unlink()
    log = tmp_path / "log"
    preparation(tmp_path / "out", LoggingStems(log)).run(partial(stem_folder_songs, stems))
    assert contents(tmp_path / "out") == contents(undisturbed)
    assert (
        len(log.read_text().splitlines()) == 1
    )  # two songs were finished before the first shard could not be written


@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_damaged_shard_is_made_again_and_the_others_are_left_alone(stems, undisturbed, tmp_path, kept, caplog):
    output, log = tmp_path / "out", tmp_path / "log"
    shutil.copytree(undisturbed, output)
    damaged = output / "data" / "train-00001-of-00002.parquet"
    damaged.write_bytes(damaged.read_bytes()[: int(kept * damaged.stat().st_size)])
    preparation(output, LoggingStems(log)).run(partial(stem_folder_songs, stems))
    assert contents(output) == contents(undisturbed)
    assert log.read_text() == "songs/2\n"
    assert "00001-of-00002.parquet is damaged" in caplog.text


def test_a_finished_folder_is_not_made_again(stems, undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "out")
    report = preparation(tmp_path / "out", LoggingStems(tmp_path / "log")).run(partial(stem_folder_songs, stems))
    assert report.clips == {"kept": 9}
    assert contents(tmp_path / "out") == contents(undisturbed)
    assert not (tmp_path / "log").exists()


def test_work_does_not_go_on_with_other_songs_or_settings(stems, undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "out")
    with pytest.raises(ValueError, match=r"begun with clip_seconds 0\.8, not 1\.0; use the same, or choose another"):
        preparation(tmp_path / "out", clip_seconds=1.0).run(partial(stem_folder_songs, stems))
    with pytest.raises(ValueError, match="separator.name precomputed, not repet"):
        preparation(tmp_path / "out", make_separator("repet")).run(partial(stem_folder_songs, stems))
    with pytest.raises(ValueError, match="begun with songs.digest"):
        preparation(tmp_path / "out").run(partial(stem_folder_songs, stems, license="CC0"))
    with pytest.raises(ValueError, match="songs.count 3, not 2"):
        preparation(tmp_path / "out").run(lambda: list(stem_folder_songs(stems))[:2])
    assert contents(tmp_path / "out") == contents(undisturbed)
