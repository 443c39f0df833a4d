# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The next item is made while this one is used, and nothing else is different from the plain iterator."""

import threading
from collections.abc import Iterator

import pytest

from hafm_hf.modeling.ahead_hafm import one_ahead


class Maker:
    """Makes 0, 1, 2 ..., and raises in place of `fails_at`."""

    def __init__(self, count: int, fails_at: int | None = None):
        self.count, self.fails_at, self.made = count, fails_at, []
        self.started = [threading.Event() for _ in range(count)]

    def __iter__(self) -> Iterator[int]:
        for item in range(self.count):
            self.started[item].set()
            if item == self.fails_at:
                raise ValueError("no more")
            self.made.append(item)
            yield item


def test_items_come_in_order():
    assert list(one_ahead(iter(Maker(5)))) == [0, 1, 2, 3, 4]
    assert list(one_ahead(iter(()))) == []


def test_the_next_is_made_while_this_one_is_used():
    maker = Maker(4)
    items = one_ahead(iter(maker))
    assert next(items) == 0
    assert maker.started[1].wait(timeout=10)
    assert not maker.started[2].is_set(), "one ahead, not more: who takes them sets the pace"
    items.close()


def test_an_error_is_raised_in_its_place():
    items = one_ahead(iter(Maker(4, fails_at=2)))
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(ValueError, match="no more"):
        next(items)


def test_who_stops_early_leaves_nothing_running():
    maker, threads = Maker(100), threading.active_count()
    for item in one_ahead(iter(maker)):
        if item == 3:
            break
    assert threading.active_count() == threads
    assert maker.made[-1] <= 4
