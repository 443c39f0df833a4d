# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`import hafm_hf` is light, and makes the Auto classes and `pipeline` know the models."""

import subprocess
import sys

import hafm_hf


def test_import_leaves_the_extras_alone():
    script = "import sys, hafm_hf; print(*{name.split('.')[0] for name in sys.modules})"
    imported = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True).stdout
    extras = {"av", "datasets", "demucs", "evaluate", "librosa", "matplotlib", "mir_eval", "onnxruntime", "sklearn"}
    assert "hafm_hf" in imported.split() and not extras & set(imported.split())


def test_public_names_are_there():
    assert all(hasattr(hafm_hf, name) for name in hafm_hf.__all__)
