# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm evaluate`, alone and in several processes."""

import json
import re
import subprocess
import sys

import pytest
from song_files import contents, voice_and_band, write_audio

from hafm_hf.cli.main import main


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Two songs of 3.2 s, of one clip each."""
    root = tmp_path_factory.mktemp("evaluate") / "pairs"
    for number in range(2):
        for name, audio in zip(("vocals", "accompaniment"), voice_and_band(3.2, pitch=300 + 40 * number), strict=True):
            write_audio(root / f"{number}_{name}.wav", audio, 16000)
    return root


def test_two_processes_and_a_model_and_marks_give_what_one_process_gives(pairs, checkpoint, tmp_path, capsys):
    arguments = ["evaluate", "--pairs", str(pairs), "--model", checkpoint, "--system", "truth", "--system", "noise"]
    assert main([*arguments, "--separator", "leakage", "-o", str(tmp_path / "one")]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^HAFM-Base \(reported\) +2.08 +2.30 +0.33", out, re.MULTILINE)
    assert re.search(r"^tiny +\d.*\n +\[.*, .*\]", out, re.MULTILINE)
    results = json.loads((tmp_path / "one" / "results.json").read_text())
    assert set(results["systems"]) == {"noise", "tiny", "truth"}
    assert results["embedder"] == "hafm-tiny-acoustic"
    assert (tmp_path / "one" / "report.html").stat().st_size > 100_000

    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2"]
    launch += ["--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]
    arguments += ["--separator", "leakage", "-o", str(tmp_path / "two")]
    launched = subprocess.run([*launch, "-m", "hafm_hf.cli", *arguments], capture_output=True, text=True)
    assert launched.returncode == 0, launched.stderr
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.keys() == two.keys()
    assert all(one[name] == two[name] for name in one if name.endswith(".wav"))
    assert launched.stdout.count("HAFM-Base (reported)") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pairs", "/nowhere"], "/nowhere is not a folder"),
        (["--musdb18", "/nowhere"], "/nowhere is not a folder"),
        (["--pairs", "PAIRS", "--system", "retrieval"], "There is no system 'retrieval'; choose from truth"),
        (["--pairs", "PAIRS", "--system", "folder=/nowhere"], "/nowhere is not a folder"),
        (["--pairs", "PAIRS", "--model", "/nowhere"], "/nowhere is not a folder; pass the folder or the Hub id"),
        (["--pairs", "PAIRS", "--vggish", "/nowhere"], "/nowhere"),
        (["--pairs", "PAIRS", "--separator", "mdx", "--separator-option", "model=/nowhere"], "/nowhere"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence(pairs, tmp_path, capsys, options, message):
    options = [str(pairs) if option == "PAIRS" else option for option in options]
    assert main(["evaluate", *options, "-o", str(tmp_path / "out")]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hafm evaluate:")]
    assert message in line


@pytest.mark.parametrize("arguments", [[], ["--pairs", "a", "--band", "3", "-o", "out"], ["--pairs", "a"]])
def test_one_test_set_and_a_folder_must_be_named(capsys, arguments):
    with pytest.raises(SystemExit):
        main(["evaluate", *arguments])
    assert "usage: hafm evaluate" in capsys.readouterr().err
