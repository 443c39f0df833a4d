# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm prepare`, alone and in several processes."""

import re
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import torch
from song_files import contents, write_mixtures, write_stems

from hafm_hf.cli.main import main


CLIPS = ["--clip-seconds", "0.8", "--min-clip-seconds", "0.4"]


@pytest.fixture(autouse=True)
def threads_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_two_processes_make_the_same_dataset_as_one(tmp_path, capsys):
    names = ["a.wav", "b c.wav", "x/a.wav", "y/a.wav", "new\nline.wav"]
    songs = write_mixtures(tmp_path / "songs", names, seconds=1.3)
    (songs / "broken.wav").write_text("no audio")
    arguments = ["prepare", str(songs), "--separator", "repet", *CLIPS, "--songs-per-shard", "4", "-o"]

    # On a machine without GPUs, too, `--multi_gpu` is what starts several processes.
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2"]
    launch += ["--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]
    launched = subprocess.run(
        [*launch, "-m", "hafm_hf.cli", *arguments, str(tmp_path / "two")], capture_output=True, text=True
    )
    assert launched.returncode == 0, launched.stderr
    assert launched.stdout.count("6 songs read, 1 skipped; clips: 10 kept") == 1

    assert main([*arguments, str(tmp_path / "one")]) == 0
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert f"{tmp_path / 'one'}: 6 songs read, 1 skipped" in capsys.readouterr().out


def test_options_reach_the_corpus_the_filters_and_the_shards(tmp_path):
    songs = write_stems(tmp_path / "songs", count=2, seconds=1.3)
    arguments = [str(songs), "-o", str(tmp_path / "out"), "--corpus", "stems", "--separator", "precomputed", *CLIPS]
    options = ["--license", "CC0", "--source", "mine", "--songs-per-shard", "1"]
    filters = ["--min-instrumental-db=-60", "--max-vocal-excess-db=-40", "--level", "rms"]
    assert main(["prepare", *arguments, *options, *filters]) == 2  # no vocal is 40 dB below its instrumental
    assert '"vocal_dominant": 4' in (tmp_path / "out" / "report.json").read_text()

    arguments[2] = str(tmp_path / "kept")
    assert main(["prepare", *arguments, *options]) == 0
    shards = sorted((tmp_path / "kept" / "data").iterdir())
    rows = [row for shard in shards for row in pq.read_table(shard).to_pylist()]
    assert len(shards) == 2
    assert {(row["source"], row["license"]) for row in rows} == {("mine", "CC0")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--split", "train"], "--split is not an option of --corpus folder"),
        (["--separator-option", "weights"], "--separator-option takes NAME=VALUE, not 'weights'"),
        (["--separator-option", "layers=3"], "--separator repet cannot be made with these options: .*layers"),
        (["--songs-per-shard", "0"], "A shard of 0 songs cannot be written"),
        (["--clip-seconds", "0.81"], "multiple of 0.04 s"),
        (["--tokenizer", "/nowhere/at/all"], "/nowhere/at/all is neither a folder nor"),
        (["--tokenizer", "."], "[.] is neither a folder nor a Hub repository with a HAFM processor"),
        (["-o", "/dev/null/data"], "/dev/null/data cannot be written .Not a directory."),
    ],
)
def test_what_the_user_can_mend_is_one_sentence(tmp_path, capsys, options, message):
    songs = write_mixtures(tmp_path / "songs", ["a.wav"], seconds=0.5)
    arguments = [str(songs), "-o", str(tmp_path / "out"), "--separator", "repet", *CLIPS, *options]
    assert main(["prepare", *arguments]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hafm prepare:")]
    assert re.search(message, line)


def test_a_separator_without_its_library_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    arguments = [
        str(tmp_path),
        "--separator",
        "mdx",
        "--separator-option",
        "model=x.onnx",
        "-o",
        str(tmp_path / "out"),
    ]
    assert main(["prepare", *arguments]) == 2
    assert "pip install 'hafm-hf[separation]'" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_named(tmp_path, capsys):
    assert main(["prepare", str(tmp_path / "nowhere"), "--separator", "repet", "-o", str(tmp_path / "out")]) == 2
    assert "nowhere is not a folder" in capsys.readouterr().err
