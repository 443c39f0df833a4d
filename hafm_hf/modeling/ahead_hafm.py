# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Making the next while this is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar


Item = TypeVar("Item")


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """
    The items of an iterator, each made on a thread of its own while the one before is used.

    What making one raises is raised where it would have been yielded. To stop early waits for the item that is being made.
    """
    end = object()
    with ThreadPoolExecutor(max_workers=1) as maker:
        upcoming = maker.submit(next, items, end)
        while (item := upcoming.result()) is not end:
            upcoming = maker.submit(next, items, end)
            yield item


__all__ = ["one_ahead"]
