# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
transformers' own test mixins, from the folder that `HAFM_TRANSFORMERS_TESTS` names or `fetch.py` made.

Their modules import each other as `tests.…`, a name our own tests do not use. The source distribution lacks three of
them; stand-ins without any test take their place there. A full checkout of transformers has them all.
"""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from fetch import DESTINATION


FOLDER = Path(os.environ.get("HAFM_TRANSFORMERS_TESTS", DESTINATION)) / "tests"
if not (FOLDER / "test_modeling_common.py").exists():
    pytest.skip(f"{FOLDER} has no tests of transformers; run tests/upstream/fetch.py", allow_module_level=True)

STAND_INS = {
    "tests.exporters.test_export": {"ExportTesterMixin": type("ExportTesterMixin", (), {})},
    "tests.generation.test_utils": {"GenerationTesterMixin": type("GenerationTesterMixin", (), {})},
    "tests.utils.test_configuration_utils": {"config_common_kwargs": {"dtype": "float16", "return_dict": False}},
}


def add_module(name: str, **contents) -> None:
    sys.modules[name] = ModuleType(name)
    vars(sys.modules[name]).update(contents)


add_module("tests", __path__=[str(FOLDER)])
for name, contents in STAND_INS.items():
    if not FOLDER.joinpath(*name.split(".")[1:]).with_suffix(".py").exists():
        add_module(name.rpartition(".")[0])
        add_module(name, **contents)

ConfigTester = importlib.import_module("tests.test_configuration_common").ConfigTester
GenerationTesterMixin = importlib.import_module("tests.generation.test_utils").GenerationTesterMixin
ModelTesterMixin = importlib.import_module("tests.test_modeling_common").ModelTesterMixin
TrainingTesterMixin = importlib.import_module("tests.test_training_mixin").TrainingTesterMixin

HAS_GENERATION_TESTS = hasattr(GenerationTesterMixin, "test_greedy_generate")
