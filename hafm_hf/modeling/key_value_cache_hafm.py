# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
Keys and values for decoding, laid out for one query a row.

Attention of one query costs what it takes to read them. Both of its products are weighted sums of the rows of a table: of
transposed keys by the query, and of values by the attention weights. That is what an embedding bag computes, and those of
FBGEMM read at nearly all of the memory's speed and add up in float32, where a matrix product of one row is slow.
"""

import torch
from transformers.utils import logging


logger = logging.get_logger(__name__)

# Positions whose keys lie, and are summed, together.
BLOCK = 128


class KeyValueCache:
    """
    Keys and values of one window in all layers, by matrix products.

    Args:
        config (`HafmStageConfig`)
        rows: read together.
        positions: at most.
        dtype: of keys and values, float32 or bfloat16.
        device (`torch.device`)
        block (`int`, *optional*): positions whose keys lie together; all of them by default.

    Attributes:
        filled: the number of positions so far. Who writes several at once adds them when all layers are written.
    """

    def __init__(self, config, rows: int, positions: int, dtype: torch.dtype, device: torch.device, block=None):
        layers, heads, size = config.num_hidden_layers, config.num_attention_heads, config.head_dim
        self.block = block or positions
        # As the products read them: along the last dimension.
        self.keys = torch.empty(
            layers, rows, heads, self._blocks(positions), size, self.block, dtype=dtype, device=device
        )
        self.values = torch.empty(layers, rows, heads, positions, size, dtype=dtype, device=device)
        self.filled = 0

    def write(self, layer: int, rows: slice, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Keys and values `(batch_size, num_heads, length, head_dim)` of positions after the filled ones."""
        start, end = self.filled, self.filled + keys.shape[2]
        self.keys[layer, rows].mT[:, :, *self._places(start, end)] = keys.to(self.keys.dtype)
        self.values[layer, rows, :, start:end] = values

    def read(self, layer: int, rows: slice, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values `(batch_size, num_heads, end, head_dim)` of the first positions, in float32."""
        keys = self.keys[layer, rows].mT[:, :, *self._places(0, end)]
        return keys.float(), self.values[layer, rows, :, :end].float()

    def repeat_row(self, row: int) -> None:
        """Gives the rows after `row` what it holds."""
        blocks, end = self._blocks(self.filled), self.filled
        self.keys[:, row + 1 :, :, :blocks] = self.keys[:, row, None, :, :blocks]
        self.values[:, row + 1 :, :, :end] = self.values[:, row, None, :, :end]

    def begin_step(self) -> None:
        """Adds a position, which `attend` then fills layer by layer."""
        block, place = divmod(self.filled, self.block)
        # Views of all layers at once: each takes longer to make than to write.
        self.new_keys = self.keys[..., block, :, place].unbind()
        self.new_values = self.values[..., self.filled, :].unbind()
        self.filled += 1

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """
        Args:
            layer: its number.
            query, key, value (`torch.FloatTensor` of shape `(rows, num_heads, head_dim)`): of the new position; the query
                scaled.
            bias (`torch.Tensor` of shape `(rows * num_heads, filled)`): added to the scores; in the cache's precision.

        Returns:
            `torch.Tensor` of shape `(rows, num_heads * head_dim)`, in the cache's precision.
        """
        self.write_new(layer, key, value)
        weights = torch.softmax(self.scores(layer, query.flatten(0, 1)).add_(bias), dim=-1)
        return self.weighted_values(layer, weights).view(len(query), -1)

    def write_new(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """The key and the value of the new position, as `attend` takes them."""
        self.new_keys[layer].copy_(key)
        self.new_values[layer].copy_(value)

    def scores(self, layer: int, query: torch.Tensor) -> torch.Tensor:
        """Products `(rows * num_heads, filled)` of queries `(rows * num_heads, head_dim)` and keys."""
        keys = self.keys[layer].flatten(0, 2)[..., : self.filled]
        return torch.bmm(query.to(keys.dtype)[:, None], keys)[:, 0]

    def weighted_values(self, layer: int, weights: torch.Tensor) -> torch.Tensor:
        """Sums `(rows * num_heads, head_dim)` of values by weights `(rows * num_heads, filled)`."""
        return torch.bmm(weights[:, None], self.values[layer].flatten(0, 1)[:, : self.filled])[:, 0]

    def _blocks(self, positions: int) -> int:
        return -(-positions // self.block)

    def _places(self, start: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The blocks of positions, and where in them they are."""
        positions = torch.arange(start, end, device=self.keys.device)
        return positions // self.block, positions % self.block


class BagCache(KeyValueCache):
    """The same by embedding bags, one for each head of each row, and for the keys for each block."""

    def __init__(self, config, rows: int, positions: int, dtype: torch.dtype, device: torch.device):
        super().__init__(config, rows, positions, dtype, device, BLOCK)
        self.key_tables = self.keys.flatten(1, 4).unbind()
        self.value_tables = self.values.flatten(1, 3).unbind()
        self.key_rows = numbers(self.keys.shape[1:5]).flatten(0, 1)
        self.value_rows = numbers(self.values.shape[1:4]).flatten(0, 1)

    def begin_step(self) -> None:
        super().begin_step()
        key_rows = self.key_rows[:, : self._blocks(self.filled)]
        self.key_bags, self.queries = bags(key_rows), torch.empty(key_rows.shape, dtype=self.keys.dtype)
        self.value_bags = bags(self.value_rows[:, : self.filled])

    def scores(self, layer: int, query: torch.Tensor) -> torch.Tensor:
        self.queries.copy_(query[:, None])
        return sum_rows(self.key_tables[layer], self.key_bags, self.queries).view(len(query), -1)[:, : self.filled]

    def weighted_values(self, layer: int, weights: torch.Tensor) -> torch.Tensor:
        return sum_rows(self.value_tables[layer], self.value_bags, weights)


class FixedCache(KeyValueCache):
    """
    The same for steps that are all alike: each reads every position, filled or not, and where the new one is lies in a
    tensor, `place` `(1,)`.

    Args:
        cache (`KeyValueCache`): whose place it takes, keys of all positions lying together.
    """

    def __init__(self, cache: KeyValueCache):
        self.block, self.keys, self.values = cache.block, cache.keys, cache.values
        self.place = torch.tensor([cache.filled], device=self.keys.device)
        # What memory held before must not be read, for a weight of zero does not take away what is not a number.
        self.keys[..., cache.filled :].zero_()
        self.values[..., cache.filled :, :].zero_()
        self.filled = self.values.shape[-2]

    def write_new(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
        self.keys[layer, :, :, 0].index_copy_(-1, self.place, key[..., None].to(self.keys.dtype))
        self.values[layer].index_copy_(-2, self.place, value[:, :, None].to(self.values.dtype))


def numbers(shape: torch.Size) -> torch.Tensor:
    """Numbers the elements of a shape."""
    return torch.arange(shape.numel(), dtype=torch.int32).view(shape)


def bags(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers of rows, a bag along the last dimension: all of them in line, and where each bag begins."""
    return rows.flatten(), torch.arange(0, rows.numel(), rows.shape[-1], dtype=torch.int32)


def sum_rows(table: torch.Tensor, bags: tuple[torch.Tensor, torch.Tensor], weights: torch.Tensor) -> torch.Tensor:
    """The rows of a table in each bag, times their weights, added up."""
    # Straight to the operation: `torch.nn.functional.embedding_bag` only adds checks.
    return torch.embedding_bag(table, *bags, False, 0, False, weights.view(-1))[0]


def make_cache(config, rows: int, positions: int, dtype: torch.dtype, device: torch.device) -> KeyValueCache:
    """The cache that is the fastest on a device. FBGEMM needs x86 and its vectors."""
    if device.type == "cpu" and torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return BagCache(config, rows, positions, dtype, device)
    if device.type == "cpu":
        logger.warning_once("Generation takes longer here: this CPU lacks the AVX that embedding bags of FBGEMM need.")
    return KeyValueCache(config, rows, positions, dtype, device)


__all__ = ["BagCache", "FixedCache", "KeyValueCache", "make_cache"]
