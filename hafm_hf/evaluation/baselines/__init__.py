# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Systems that are scored beside HAFM, and the marks between which their scores lie, all behind one interface."""
