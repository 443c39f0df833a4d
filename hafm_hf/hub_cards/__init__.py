# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Model cards for the Hub."""
