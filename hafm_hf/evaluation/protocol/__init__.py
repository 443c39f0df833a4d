# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The protocol of `hafm evaluate`: the same clips, measures and intervals for every system.

From songs to numbers: `clips` cuts them, `separated` makes vocals that went through a separator, `accompaniments` lets
every system play, `features` keeps what is heard in each file, `scores` compares, `results` says what the numbers mean and
`evaluation` runs all of it.
"""
