# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Registers the marks of transformers' tests."""

MARKS = (
    "accelerate_tests",
    "flash_attn_test",
    "flash_attn_3_test",
    "flash_attn_4_test",
    "executorch_export_test",
    "generate",
    "is_training_test",
    "onnx_export_test",
    "order",
    "timeout",
    "torch_compile_test",
    "torch_export_test",
    "slow",
)


def pytest_configure(config):
    for mark in MARKS:
        config.addinivalue_line("markers", f"{mark}: used by transformers' own tests")
