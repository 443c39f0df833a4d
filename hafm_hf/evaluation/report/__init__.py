# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Results to look at: a table for the terminal, Table 2 of the paper, an HTML page, and entries for a model card."""
