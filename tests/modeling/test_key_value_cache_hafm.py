# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Both caches hold what is written and attend to all of it and nothing else, wherever it lies in their blocks."""

import pytest
import torch
from tiny_stages import make_stage
from torch.nn.functional import scaled_dot_product_attention

from hafm_hf.modeling.key_value_cache_hafm import BLOCK, BagCache, KeyValueCache, make_cache


ROWS, POSITIONS = 3, 2 * BLOCK + 40
CONFIG = make_stage("coarse").config
HEADS, SIZE = CONFIG.num_attention_heads, CONFIG.head_dim
TOLERANCE = {torch.float32: 1e-6, torch.bfloat16: 2e-2}


@pytest.fixture(params=[KeyValueCache, BagCache])
def cache_class(request):
    return request.param


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def make(cache_class, dtype: torch.dtype = torch.float32):
    """A cache whose memory, where nothing is written, would spoil what reads it."""
    cache = cache_class(CONFIG, ROWS, POSITIONS, dtype, torch.device("cpu"))
    cache.keys.fill_(torch.nan), cache.values.fill_(torch.nan)
    return cache


def write(cache, keys: torch.Tensor, values: torch.Tensor) -> None:
    """Keys and values `(layers, rows, heads, length, size)`."""
    for layer, (key, value) in enumerate(zip(keys, values, strict=True)):
        cache.write(layer, slice(0, 1), key[:1], value[:1])
        cache.write(layer, slice(1, len(key)), key[1:], value[1:])
    cache.filled += keys.shape[3]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("filled", [0, 1, BLOCK - 2, BLOCK - 1, BLOCK, 2 * BLOCK + 1])
def test_steps_attend_as_the_attention_of_everything(cache_class, filled, dtype):
    shape = (CONFIG.num_hidden_layers, ROWS, HEADS, filled + 3, SIZE)
    keys, values = random(*shape).to(dtype).float(), random(*shape, seed=1).to(dtype).float()
    queries, bias = random(*shape[:3], 3, SIZE, seed=2).to(dtype).float(), random(ROWS, HEADS, 1, filled + 3, seed=3)
    cache = make(cache_class, dtype)
    write(cache, keys[..., :filled, :], values[..., :filled, :])
    for step, end in enumerate(range(filled + 1, filled + 4)):
        cache.begin_step()
        for layer in range(len(keys)):
            query, key, value = queries[layer, :, :, step], keys[layer, :, :, end - 1], values[layer, :, :, end - 1]
            attended = cache.attend(layer, query, key, value, bias[..., :end].reshape(-1, end).to(dtype))
            expected = scaled_dot_product_attention(
                query[:, :, None], keys[layer, :, :, :end], values[layer, :, :, :end], bias[..., :end], scale=1.0
            )
            assert attended.dtype == dtype
            assert (attended - expected.flatten(1)).norm() / expected.norm() < TOLERANCE[dtype]
        assert cache.filled == end


def test_what_is_written_in_parts_is_read(cache_class):
    shape = (CONFIG.num_hidden_layers, ROWS, HEADS, BLOCK + 30, SIZE)
    keys, values = random(*shape), random(*shape, seed=1)
    cache = make(cache_class)
    for start, end in ((0, 20), (20, BLOCK + 10), (BLOCK + 10, BLOCK + 30)):
        write(cache, keys[..., start:end, :], values[..., start:end, :])
    for layer in range(len(keys)):
        for rows in (slice(0, ROWS), slice(1, 2)):
            read_keys, read_values = cache.read(layer, rows, BLOCK + 20)
            assert torch.equal(read_keys, keys[layer, rows, :, : BLOCK + 20])
            assert torch.equal(read_values, values[layer, rows, :, : BLOCK + 20])


def test_a_row_is_repeated_in_those_after_it(cache_class):
    shape = (CONFIG.num_hidden_layers, 2, HEADS, BLOCK + 30, SIZE)
    keys, values = random(*shape), random(*shape, seed=1)
    cache = make(cache_class)
    write(cache, keys, values)
    cache.repeat_row(1)
    read_keys, read_values = cache.read(0, slice(0, ROWS), BLOCK + 30)
    assert torch.equal(read_keys, keys[0, [0, 1, 1]]) and torch.equal(read_values, values[0, [0, 1, 1]])


@pytest.mark.parametrize(
    ("capability", "cache_class"), [("AVX2", BagCache), ("AVX512", BagCache), ("DEFAULT", KeyValueCache)]
)
def test_bags_are_for_processors_with_fbgemm(monkeypatch, capability, cache_class):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert type(make_cache(CONFIG, 1, 8, torch.float32, torch.device("cpu"))) is cache_class
    assert type(make_cache(CONFIG, 1, 8, torch.float32, torch.device("meta"))) is KeyValueCache
