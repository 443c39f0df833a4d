# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Pre-trains a HuBERT of one's own on a folder of audio (Hsu et al., 2021, "HuBERT"), for semantic tokens of music."""

SAMPLING_RATE = 16_000
HOP = 320
FRAME = 400
"""Frame t, of 50 a second, is about the `FRAME` samples from `HOP` * t on, as in every HuBERT."""
