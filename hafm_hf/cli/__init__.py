# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The `hafm` command: one thin module for each verb."""
