# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""How good an accompaniment is: distances between sets of recordings, and how far it follows the voice."""
