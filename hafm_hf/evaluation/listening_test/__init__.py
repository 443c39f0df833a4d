# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A listening test: which of two accompaniments of one voice is better? The page to answer in, and what answers mean."""
