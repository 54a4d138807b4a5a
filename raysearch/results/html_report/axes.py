"""Scales and axes: where a value lies in a chart, and which values are written at its axis.

They are apart from the charts because all charts share them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from .elements import element

_EQUAL = 1e-9  # differences below it, absolute or of the larger number, are not drawn
Ticks = list[tuple[float, str]]  # position in the drawing and text


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Places the values of an axis.

    Attributes:
        place: returns the position of a value in the drawing.
        ticks: positions and texts of the values that are written at the axis.
    """

    place: Callable[[Any], float]
    ticks: Ticks


def linear(
    values: Sequence[float],
    start: float,
    end: float,
    *,
    text: Callable[[float], str] = "{:g}".format,
    whole: bool = False,
    count: int = 5,
) -> Scale:
    """Return a scale on which equal differences have equal lengths; its ends are round numbers.

    Args:
        values: what it must hold; empty ones give a scale from 0 to 1.
        start: position of the low end.
        end: position of the high end.
        text: returns the text of a tick.
        whole: whether ticks are whole numbers.
        count: about how many ticks there are.
    """
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low <= _EQUAL * max(1, abs(low), abs(high)):
        margin = abs(low) / 20 if abs(low) > _EQUAL else 0.5
        low, high = (low, low + 1) if whole else (low - margin, high + margin)
    step = _round_step((high - low) / count)
    if whole:
        step = max(1, math.ceil(step))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    low, high = first * step, last * step

    def place(value: float) -> float:
        return start + (value - low) / (high - low) * (end - start)

    marks = [round(index * step, 12) for index in range(first, last + 1)]
    return Scale(place=place, ticks=[(place(mark), text(mark)) for mark in marks])


def logarithmic(
    values: Sequence[float], start: float, end: float, *, text: Callable[[float], str]
) -> Scale:
    """Return a scale on which equal ratios have equal lengths; its ends are those of the values."""
    low, high = math.log(min(values)), math.log(max(values))

    def place(value: float) -> float:
        return start + (math.log(value) - low) / (high - low) * (end - start)

    decades = range(math.ceil(low / math.log(10)), math.floor(high / math.log(10)) + 1)
    marks = [min(values), *(10.0**decade for decade in decades), max(values)]
    marks = [m for i, m in enumerate(marks) if not i or abs(place(m) - place(marks[i - 1])) > 14]
    return Scale(place=place, ticks=[(place(mark), text(mark)) for mark in marks])


def listed(values: Sequence[Any], start: float, end: float, *, text: Callable[[Any], str]) -> Scale:
    """Return a scale of few values, each at the same distance from the next, in this order.

    Values with the same text are one.
    """
    names = list(dict.fromkeys(text(value) for value in values))
    gap = (end - start) / max(1, len(names) - 1)
    offset = (end - start) / 2 if len(names) == 1 else 0
    places = {name: start + offset + index * gap for index, name in enumerate(names)}
    return Scale(
        place=lambda value: places[text(value)],
        ticks=[(place, name) for name, place in places.items()],
    )


def _round_step(rough: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5 and 10 times a power of ten that is not smaller."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))


_LETTER, _AFTER = 9.3, 14.0  # width of a tick's character; what a drawing has right of its axis


def text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "tick") -> Element:
    """Return a text of a drawing at a position."""
    return element("text", words, x=x, y=y, text_anchor=anchor, class_=kind)


def rule(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> Element:
    """Return a straight line of a drawing."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def horizontal_axis(scale: Scale, top: float, bottom: float, label: str, right: float) -> Element:
    """Return ticks with vertical grid lines, and the axis's label at its right end."""
    group = element("g")
    for x, words in scale.ticks:
        group.append(rule(x, top, x, bottom))
        half = _LETTER * len(words) / 2  # at an end of the axis it could reach out of the drawing
        place = max(half, min(x, right + _AFTER - half))
        group.append(text(place, bottom + 17, words, anchor="middle"))
    group.append(text(right, bottom + 36, label, anchor="end", kind="axis"))
    return group


def vertical_axis(scale: Scale, left: float, right: float, label: str, top: float) -> Element:
    """Return ticks with horizontal grid lines, and the axis's label above it."""
    group = element("g")
    for y, words in scale.ticks:
        group.append(rule(left, y, right, y))
        group.append(text(left - 8, y + 4, words, anchor="end"))
    group.append(text(0, top - 14, label, kind="axis"))
    return group
