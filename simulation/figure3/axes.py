"""What a figure shows, as values."""

from __future__ import annotations

import msgspec


class Line(msgspec.Struct, frozen=True):
    """A curve, with its confidence intervals if there are any."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    half_widths: tuple[float, ...] = ()
    colour: str | None = None
    dashed: bool = False


class Panel(msgspec.Struct, frozen=True):
    """One pair of axes."""

    title: str
    across: str
    up: str
    lines: tuple[Line, ...]
    logarithmic: bool = False  # across
