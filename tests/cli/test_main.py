# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm`: every verb has a summary, and whatever the user can mend ends with one sentence and exit code 2."""

import re

import pytest

from hafm_hf import __version__
from hafm_hf.cli import main as command
from hafm_hf.cli.main import VERBS, main


def test_help_names_every_verb(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["--help"])
    assert exit.value.code == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^    {verb}\s", out, re.MULTILINE) for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(capsys, verb):
    with pytest.raises(SystemExit) as exit:
        main([verb, "--help"])
    assert exit.value.code == 0 and f"usage: hafm {verb}" in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"hafm_hf {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["sing"], ["accompany"], ["accompany", "vocal.wav", "--loud"]])
def test_misuse_exits_with_2_and_usage(capsys, arguments):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2 and capsys.readouterr().err.startswith("usage: hafm")


@pytest.mark.parametrize(
    "error, exit_code, message",
    [
        (ValueError("x.wav is\n  odd."), 2, "hafm accompany: x.wav is odd.\n"),
        (OSError("No space left."), 2, "hafm accompany: No space left.\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_stops_a_verb(capsys, monkeypatch, error, exit_code, message):
    def stop(args):
        raise error

    monkeypatch.setattr(command.VERBS["accompany"], "run", stop)
    assert main(["accompany", "x.wav"]) == exit_code
    assert capsys.readouterr().err == message


def test_mistakes_in_the_code_are_not_hidden(monkeypatch):
    monkeypatch.setattr(command.VERBS["accompany"], "run", lambda args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["accompany", "x.wav"])
