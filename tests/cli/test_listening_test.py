# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import json

from evaluating import RATE
from waveforms import noise, tone

from hafm_hf.cli.main import main
from hafm_hf.modeling.audio_hafm import write_wav


def write_evaluation(root):
    """What a listening test looks at in the folder of an evaluation: one clip, two systems."""
    clip = {"id": "0", "song": "s", "start": 0.0, "duration": 2.0}
    (root / "clips" / "songs").mkdir(parents=True)
    (root / "clips" / "songs" / "00000.json").write_text(json.dumps({"song": "s", "clips": [clip], "skipped": None}))
    write_wav(root / "clips" / "isolated" / "0.wav", tone(2.0, RATE), RATE)
    for seed, name in enumerate(("a", "b")):
        write_wav(root / "systems" / name / "isolated" / "0.wav", noise(2.0, RATE, seed=seed), RATE)
        (root / "systems" / name / "system.json").write_text("{}")


def test_from_an_evaluation_to_the_strength_of_its_systems(tmp_path, capsys):
    write_evaluation(tmp_path / "evaluation")
    arguments = ["make", str(tmp_path / "evaluation"), "--system", "a", "--system", "b", "-o", str(tmp_path / "test")]
    assert main(["listening-test", *arguments]) == 0
    assert "listening_test.html" in capsys.readouterr().out

    key = json.loads((tmp_path / "test" / "key.json").read_text())
    choice = "first" if key["pairs"][0]["first"] == "b" else "second"
    (tmp_path / "answers.json").write_text(json.dumps({"test": key["test"], "answers": {"0": choice}}))
    assert main(["listening-test", "score", str(tmp_path / "test" / "key.json"), str(tmp_path / "answers.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1 answers of 1 files")
    assert lines[1].split()[0] == "b" and lines[1].endswith("preferred in 100% of 1")
    assert lines[2].split()[0] == "a"


def test_what_the_user_can_mend_is_one_sentence(tmp_path, capsys):
    assert main(["listening-test", "make", str(tmp_path), "--system", "a", "-o", str(tmp_path)]) == 2
    assert "a did not play in" in capsys.readouterr().err
    assert main(["listening-test", "score", str(tmp_path / "key.json"), "x.json"]) == 2
    assert "key.json is no file of a listening test" in capsys.readouterr().err
