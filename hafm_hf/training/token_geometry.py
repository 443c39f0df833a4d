# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A start for stages that are trained briefly: embeddings that lie as the sounds do that the tokens stand for.

A semantic token is a centroid of HuBERT features and a code is a vector of the codec, and tokens whose vectors are near
each other sound alike. A stage that begins with random embeddings, as the paper's do, has to find that out from their use,
which takes more steps than a small machine can afford (docs/LOG.md).
"""

import torch
from torch import nn

from ..modeling.modeling_hafm import HafmStageModel
from ..modeling.modeling_hafm_audio_tokenizer import HafmAudioTokenizer


@torch.no_grad()
def start_from_tokenizer(stage: HafmStageModel, tokenizer: HafmAudioTokenizer) -> None:
    """Set embeddings and heads of a new stage, in place, to random projections of the tokens' own vectors.

    They keep the scale that all weights of the stage begin with. The tables' last rows, which stand for no sound, stay.

    Raises:
        ValueError: if the vocabularies are others.
    """
    codebooks = [layer.codebook.embed for layer in tokenizer.acoustic_model.quantizer.layers]
    codebooks = codebooks[: tokenizer.config.num_codebooks]
    config = stage.config
    predicted = {
        "instrumental_semantic_ids": [tokenizer.centroids],
        "coarse_ids": codebooks[: config.num_codebooks],
        "fine_ids": codebooks[-config.num_codebooks :],
    }[stage.prediction_name]
    fill_tables(stage.embeddings.tokens.weight, predicted, config.vocab_size, config.initializer_range)
    for head, vectors in zip(stage.lm_heads, predicted, strict=True):
        head.weight.copy_(project(vectors, config.hidden_size, config.initializer_range))
    for source, embedding in stage.embeddings.conditioning.items():
        heard = codebooks[: config.conditioning_num_codebooks] if source == "coarse_ids" else [tokenizer.centroids]
        fill_tables(embedding.weight, heard, config.conditioning_vocab_size, config.initializer_range)


def fill_tables(weight: nn.Parameter, vectors: list[torch.Tensor], vocab_size: int, scale: float) -> None:
    """Set tables that lie one after the other in `weight`, each with one row more than there are vectors for it."""
    tables = weight.unflatten(0, (len(vectors), vocab_size + 1))
    for table, rows in zip(tables, vectors, strict=True):
        if len(rows) != vocab_size:
            raise ValueError(
                f"The stage knows {vocab_size} tokens but the audio tokenizer {len(rows)}; take the one that made the data."
            )
        table[:-1] = project(rows, weight.shape[1], scale)


def project(vectors: torch.Tensor, hidden_size: int, scale: float) -> torch.Tensor:
    """`(n, dim)` to `(n, hidden_size)` of standard deviation `scale`, distances kept as far as a random projection can."""
    directions = torch.randn(vectors.shape[1], hidden_size)
    projected = (vectors.float() - vectors.float().mean(dim=0)) @ directions
    return projected * (scale / projected.std())
