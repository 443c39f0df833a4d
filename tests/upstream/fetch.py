# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
Fetch transformers' own model tests: they are in its source distribution, not in the installed package.

`python tests/upstream/fetch.py` downloads that of the installed version once, into `.cache/`, and prints the folder.
"""

import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path


VERSION = version("transformers")
DESTINATION = Path(__file__).resolve().parents[2] / ".cache" / f"transformers-{VERSION}"


def fetch() -> Path:
    """The folder that holds `tests`, downloaded if it is not there yet."""
    if DESTINATION.exists():
        return DESTINATION
    DESTINATION.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DESTINATION.parent) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "transformers"]
        subprocess.run([*command, "--dest", scratch, f"transformers=={VERSION}"], check=True)
        (archive,) = Path(scratch).glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            tests = [member for member in tar if member.name.split("/")[1:2] == ["tests"]]
            tar.extractall(scratch, members=tests, filter="data")
        unpacked = Path(scratch) / archive.name.removesuffix(".tar.gz")
        (unpacked / "tests" / "__init__.py").touch()
        unpacked.rename(DESTINATION)
    return DESTINATION


if __name__ == "__main__":
    print(fetch())
