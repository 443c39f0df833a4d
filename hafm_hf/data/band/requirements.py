# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What the band needs of the machine, and how to get it where it is missing."""

import os
import shutil
import warnings
from pathlib import Path


_DEBIAN_SOUNDFONTS = (
    "/usr/share/sounds/sf2/TimGM6mb.sf2",
    "/usr/share/sounds/sf2/default-GM.sf2",
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
)


def check_requirements(soundfont: str | Path | None = None) -> Path:
    """Makes sure that songs can be rendered here and returns the soundfont (see `find_soundfont`).

    Raises:
        FileNotFoundError, ImportError: about the first thing that is missing.
    """
    import_world()
    import_tinysoundfont()
    find_espeak()
    return find_soundfont(soundfont)


def find_soundfont(soundfont: str | Path | None = None) -> Path:
    """The soundfont to play: the argument, else the environment's `HAFM_SOUNDFONT`, else where Debian installs one.

    Raises:
        FileNotFoundError: if there is none.
    """
    named = soundfont or os.environ.get("HAFM_SOUNDFONT")
    for path in [named] if named else _DEBIAN_SOUNDFONTS:
        if Path(path).is_file():
            return Path(path)
    missing = f"The soundfont {named} does not exist" if named else "No General MIDI soundfont was found"
    raise FileNotFoundError(
        f"{missing}: install one (on Debian and Ubuntu `apt-get install timgm6mb-soundfont`) or set HAFM_SOUNDFONT to "
        "the path of an .sf2 file."
    )


def find_espeak() -> str:
    """The program espeak-ng.

    Raises:
        FileNotFoundError: if it is not installed.
    """
    program = shutil.which("espeak-ng")
    if program is None:
        raise FileNotFoundError(
            "The program espeak-ng, with which the band sings, was not found: install it (on Debian and Ubuntu "
            "`apt-get install espeak-ng`)."
        )
    return program


def import_world():
    """The module `pyworld`.

    Raises:
        ImportError: if it is missing, or cannot be imported beside the installed setuptools.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
            import pyworld
    except ImportError as error:
        raise ImportError(
            "The package pyworld, with which the band sings, cannot be imported: run `pip install pyworld "
            "'setuptools<81'` (pyworld needs a setuptools that old)."
        ) from error
    return pyworld


def import_tinysoundfont():
    """The module `tinysoundfont`.

    Raises:
        ImportError: if it is missing.
    """
    try:
        import tinysoundfont
    except ImportError as error:
        raise ImportError(
            "The package tinysoundfont, with which the band plays, is not installed: run `pip install --no-deps "
            "tinysoundfont` (its dependency pyaudio is for loudspeakers only)."
        ) from error
    return tinysoundfont
