# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""From aligned token columns to trained stages: collator, trainer, recipes, and the assembly of a checkpoint."""

from ..modeling.modeling_hafm import HafmCoarseModel, HafmFineModel, HafmSemanticModel


STAGES = {"semantic": HafmSemanticModel, "coarse": HafmCoarseModel, "fine": HafmFineModel}
