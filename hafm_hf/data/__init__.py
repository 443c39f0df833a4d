# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Songs to aligned token columns: reading, separation, filters, and the built-in band."""
