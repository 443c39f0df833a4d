# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`python -m hafm_hf.cli` is `hafm`; `accelerate launch -m hafm_hf.cli VERB ...` runs it in many processes."""

import sys

from .main import main


sys.exit(main())
