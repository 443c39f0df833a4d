# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What lets long work be killed at any moment and go on: files that are written whole or not at all, settings that may
not change on the way, and journals of what is finished."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the name `path` when the block ends without an error."""
    # One name and not a new one each time: what a killed process leaves behind is overwritten by the next.
    unfinished = path.with_name(f".{path.name}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(unfinished, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turns what can go wrong with a disk into a `ValueError` that says what to do."""
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"{error.filename or folder} cannot be written ({error.strerror or error}); make room or choose another folder. "
            "What is done is kept: start again to go on."
        ) from error


def write_json(path: Path, content: Any) -> None:
    """Write `content` to `path`, whole or not at all."""
    with replacing(path) as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")


def keep_settings(path: Path, settings: dict[str, Any], noted: dict[str, Any]) -> None:
    """Record in `path` what decides a result, or make sure that work goes on with what it was begun with.

    Args:
        path: A JSON file.
        settings: JSON values that may not change.
        noted: JSON values that are recorded and may change.

    Raises:
        ValueError: The work was begun with other settings; all that differ are named.
    """
    if not path.exists():
        return write_json(path, settings | noted)
    try:
        begun = json.loads(path.read_text(encoding="utf-8"))
        begun = {name: begun[name] for name in settings}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged; restore it, or choose another folder.") from error
    if changed := differences(begun, json.loads(json.dumps(settings))):
        changes = "; ".join(f"{name} {before}, not {now}" for name, (before, now) in changed.items())
        raise ValueError(f"{path.parent} was begun with {changes}; use the same, or choose another folder.")


def differences(before: Any, now: Any, name: str = "") -> dict[str, tuple[Any, Any]]:
    """The values that differ in two trees of settings, before and now, by their names: `section.field`."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return {} if before == now else {name: (before, now)}
    changed = {}
    for key in sorted(before.keys() | now.keys()):
        changed |= differences(before.get(key), now.get(key), f"{name}.{key}".removeprefix("."))
    return changed


class Journal:
    """A list of JSON values in a file, one a line, each kept as soon as it is appended."""

    def __init__(self, file: BinaryIO, length: int):
        self._file, self._length = file, length

    def __len__(self) -> int:
        return self._length

    def append(self, value: Any) -> None:
        self._file.write(json.dumps(value).encode() + b"\n")
        self._file.flush()
        self._length += 1


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """The journal in `path`, made if missing, without the line that a killed process may not have finished.

    Raises:
        ValueError: Another process has it open.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"Another run is at work in {path.parent}; wait for it, or choose another folder."
            ) from error
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
        yield Journal(file, content.count(b"\n"))
        os.fsync(file.fileno())


def read_journal(path: Path) -> Iterator[Any]:
    """The values of a finished journal, one at a time."""
    with open(path, "rb") as file:
        yield from map(json.loads, file)
