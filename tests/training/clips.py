# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Made-up clips with the columns of `hafm prepare`, and a stage small enough to train in seconds."""

from pathlib import Path

import numpy as np
from datasets import Dataset, Features, List, Value

from hafm_hf.training import STAGES


SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
VOCABULARY = {"semantic": 40, "acoustic": 30}


FEATURES = Features(
    {name: Value("string") for name in ("id", "source", "license")}
    | {name: Value("float64") for name in ("start", "duration", "vocal_rms_db", "instrumental_rms_db")}
    | {name: List(Value("int16")) for name in ("vocal_semantic", "instrumental_semantic")}
    | {"instrumental_codes": List(List(Value("int16")))}
)


def make_clip(number: int, seconds: float = 1.0) -> dict:
    """A clip of random tokens, its own for each number."""
    generator = np.random.default_rng(number)
    semantic, acoustic = round(50 * seconds), round(75 * seconds)
    return {
        "id": f"song-{number}/0.0",
        "source": f"song-{number}.wav",
        "license": "CC0",
        "start": 0.0,
        "duration": seconds,
        "vocal_semantic": generator.integers(VOCABULARY["semantic"], size=semantic).tolist(),
        "instrumental_semantic": generator.integers(VOCABULARY["semantic"], size=semantic).tolist(),
        "instrumental_codes": generator.integers(VOCABULARY["acoustic"], size=(8, acoustic)).tolist(),
        "vocal_rms_db": -20.0,
        "instrumental_rms_db": -18.0,
    }


def make_clips(count: int, seconds: float = 1.0) -> Dataset:
    return Dataset.from_list([make_clip(number, seconds) for number in range(count)], features=FEATURES)


def write_shards(folder: Path, clips: Dataset, shards: int = 2) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(shards):
        clips.shard(shards, index).to_parquet(folder / f"clips-{index:05}.parquet")
    return folder


def stage_config(stage: str, **config):
    """Two layers, the vocabularies of the clips, one-second windows."""
    vocabularies = {
        "semantic": (VOCABULARY["semantic"], VOCABULARY["semantic"]),
        "coarse": (VOCABULARY["acoustic"], VOCABULARY["semantic"]),
        "fine": (VOCABULARY["acoustic"], VOCABULARY["acoustic"]),
    }
    vocab_size, conditioning_vocab_size = vocabularies[stage]
    defaults = {"vocab_size": vocab_size, "conditioning_vocab_size": conditioning_vocab_size, "window_seconds": 1.0}
    return STAGES[stage].config_class(**(SHAPE | defaults | config))
