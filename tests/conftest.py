# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What all tests share: the stand-in Hub as the fixture `hub_server`."""

pytest_plugins = ("hub_server",)
