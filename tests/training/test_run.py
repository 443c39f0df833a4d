# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What a recipe asks for is refused in a sentence where its stage cannot have it."""

import pytest

from hafm_hf.training.recipes import Recipe
from hafm_hf.training.run import start


def test_a_partly_wrong_past_is_for_hafms_own_stages():
    recipe = Recipe(stage="seq2seq", train_data="data", training={"history_corruption": 0.5})
    with pytest.raises(ValueError, match="`history_corruption` is for HAFM's own stages"):
        start(None, recipe, None)
    recipe.training["history_corruption"] = 0.0
    start(None, recipe, None)
