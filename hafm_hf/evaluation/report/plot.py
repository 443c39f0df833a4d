# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Values with their intervals as inline SVG, one row a system, on one axis."""

from dataclasses import dataclass
from html import escape
from typing import Any

from .table import number


@dataclass(frozen=True)
class Row:
    """One row of a plot: intervals as results hold them; `chance` is drawn as a hollow dot."""

    name: str
    interval: dict[str, Any]
    chance: dict[str, Any] | None = None


def interval_plot(title: str, rows: list[Row], note: str = "") -> str:
    """HTML of a plot. Text is HTML and lengths are shares of the width, so that it stays legible on a small screen."""
    rows = [row for row in rows if row.interval["value"] is not None]
    if not rows:
        return ""
    numbers = [0.0]
    for row in rows:
        for interval in filter(None, (row.interval, row.chance)):
            numbers += [interval[end] for end in ("value", "low", "high") if interval[end] is not None]
    low, high = min(numbers), max(numbers)
    margin = 0.04 * ((high - low) or 1.0)
    scale = Scale(low - margin, high + margin)
    body = "".join(
        f'<span class="name" title="{escape(row.name)}">{escape(row.name)}</span>{track(row, scale)}'
        f'<span class="value">{number(row.interval["value"])}</span>'
        for row in rows
    )
    ends = "".join(f'<span style="left: {scale(end)}">{number(end)}</span>' for end in (low, high))
    axis = f'<span></span><span class="axis">{ends}</span><span></span>'
    caption = f"<figcaption><b>{escape(title)}</b> {escape(note)}</figcaption>"
    return f'<figure class="plot">{caption}<div class="rows">{body}{axis}</div></figure>'


@dataclass(frozen=True)
class Scale:
    """From numbers to shares of the width."""

    low: float
    high: float

    def __call__(self, value: float) -> str:
        return f"{100 * (value - self.low) / (self.high - self.low):.2f}%"


def track(row: Row, scale: Scale) -> str:
    """The SVG of one row."""
    interval = row.interval
    shapes = [f'<line class="zero" x1="{scale(0)}" x2="{scale(0)}" y1="0" y2="100%"/>']
    if interval["low"] is not None:
        ends = f'x1="{scale(interval["low"])}" x2="{scale(interval["high"])}"'
        shapes.append(f'<line class="interval" {ends} y1="50%" y2="50%"/>')
    if row.chance and row.chance["value"] is not None:
        shapes.append(f'<circle class="chance" cx="{scale(row.chance["value"])}" cy="50%" r="4"/>')
    shapes.append(f'<circle class="dot" cx="{scale(interval["value"])}" cy="50%" r="4.5"/>')
    label = escape(f"{row.name}: {number(interval['value'])}", quote=True)
    return f'<svg role="img" aria-label="{label}" height="22">{"".join(shapes)}</svg>'
