# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What a HAFM checkpoint is and does. These files travel with it to the Hub, so they import only each other."""
