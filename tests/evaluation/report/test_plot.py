# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import re

import pytest

from hafm_hf.evaluation.report.plot import Row, interval_plot


def interval(value, low=None, high=None):
    return {"value": value, "low": low, "high": high, "songs": 3}


def positions(html, kind, attribute):
    return [float(x) for x in re.findall(rf'class="{kind}"[^>]* {attribute}="([\d.]+)%"', html)]


def test_dots_and_bars_lie_where_their_numbers_are():
    rows = [Row("a", interval(1.0, 0.5, 2.0), interval(0.25)), Row("b", interval(2.0, 1.0, 4.0))]
    html = interval_plot("title", rows)
    (zero, *_), (a, b) = positions(html, "zero", "x1"), positions(html, "dot", "cx")
    assert b - zero == pytest.approx(2 * (a - zero), abs=0.02)
    assert positions(html, "interval", "x1") == pytest.approx([zero + (a - zero) / 2, a], abs=0.02)
    assert positions(html, "interval", "x2") == pytest.approx([b, zero + 4 * (a - zero)], abs=0.02)
    assert positions(html, "chance", "cx") == pytest.approx([zero + (a - zero) / 4], abs=0.02)


def test_what_is_not_defined_is_not_drawn():
    html = interval_plot("title", [Row("a", interval(None)), Row("b", interval(1.0))])
    assert len(positions(html, "dot", "cx")) == 1
    assert positions(html, "interval", "x1") == []
    assert interval_plot("title", [Row("a", interval(None))]) == ""


def test_names_are_escaped():
    assert "<b>" not in interval_plot("t", [Row("<b>x", interval(0.0))]).split("</figcaption>")[1]
