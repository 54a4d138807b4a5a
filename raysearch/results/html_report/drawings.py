"""The forms of charts: points and lines over two axes, rows of values, parallel coordinates.

They are apart from what they show: they know numbers and texts, and nothing of trials.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from .axes import Scale, horizontal_axis, linear, listed, logarithmic, rule, text, vertical_axis
from .chart import WIDTH, bar, line, mark, svg

_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, WIDTH - 14, 34.0, 234.0
_SHORT, _LONG = 5, 60  # characters of a label that fit beside a row, and above it


@dataclass(frozen=True, kw_only=True)
class Point:
    """One mark of a chart.

    Attributes:
        x: value on the horizontal axis.
        y: value on the vertical axis; None if there is none: the mark stands below the axis.
        kind: its shape, see `mark`.
        tip: the text that is shown when it is pointed at.
    """

    x: float
    y: float | None
    kind: str
    tip: str


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line of a chart.

    Attributes:
        points: values on both axes.
        kind: its style.
        tip: the text that is shown when it is pointed at.
        stepped: whether each value holds until the next one.
    """

    points: Sequence[tuple[float, float]]
    kind: str
    tip: str
    stepped: bool = False


def over_axes(
    points: Sequence[Point],
    curves: Sequence[Curve],
    *,
    x_label: str,
    y_label: str,
    whole: bool = False,
    missing: str = "none",
) -> Element:
    """Return a drawing of points and lines over two axes.

    Args:
        points: the marks.
        curves: the lines; the last one lies on top.
        x_label: name and unit of the horizontal axis.
        y_label: name and unit of the vertical axis.
        whole: whether the horizontal axis counts.
        missing: what stands beside the marks without a value.
    """
    ys = [p.y for p in points if p.y is not None] + [y for c in curves for _, y in c.points]
    xs = [p.x for p in points] + [x for c in curves for x, _ in c.points]
    has_missing = any(point.y is None for point in points)
    x = linear(xs, _LEFT, _RIGHT, whole=whole, count=6)
    y = linear(ys, _BOTTOM, _TOP)
    bottom = _BOTTOM + 24 * has_missing
    parts = [
        horizontal_axis(x, _TOP, bottom, x_label, _RIGHT),
        vertical_axis(y, _LEFT, _RIGHT, y_label, _TOP),
    ]
    if has_missing:
        parts.append(text(_LEFT - 8, bottom - 7, missing, anchor="end"))
    for curve in curves:
        places = [(x.place(a), y.place(b)) for a, b in curve.points]
        if curve.stepped:
            corners = zip(places[1:], places, strict=False)
            places = [*places[:1], *(p for new, old in corners for p in ((new[0], old[1]), new))]
        alone = len(places) == 1  # a line through one point shows nothing
        parts.append(
            mark("single", *places[0], curve.tip) if alone else line(places, curve.kind, curve.tip)
        )
    for point in points:
        place = bottom - 11 if point.y is None else y.place(point.y)
        parts.append(mark(point.kind, x.place(point.x), place, point.tip))
    return svg(WIDTH, bottom + 44, *parts)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of values: those of a configuration, a language or a published system.

    Attributes:
        label: its name.
        points: values, with shape and tip.
        interval: low and high end, and the tip; None if it is not known.
        length: of a bar from zero, and its tip; None for no bar.
    """

    label: str
    points: Sequence[tuple[float, str, str]] = ()
    interval: tuple[float, float, str] | None = None
    length: tuple[float, str] | None = None


def in_rows(rows: Sequence[Line], *, x_label: str) -> Element:
    """Return a drawing with a row for each line; short labels stand beside it, long ones above.

    Published values of rows with long labels are lines through all rows.

    Args:
        rows: in order, from the top.
        x_label: name and unit of the axis.
    """
    beside = max(len(row.label) for row in rows) <= _SHORT
    values = [value for row in rows for value, _, _ in row.points]
    values += [end for row in rows if row.interval for end in row.interval[:2]]
    values += [end for row in rows if row.length for end in (0.0, row.length[0])]
    height, left, centre = (20.0, _LEFT, 10.0) if beside else (40.0, 8.0, 26.0)
    bottom = 8 + height * len(rows)
    x = linear(values, left, _RIGHT)
    parts = [horizontal_axis(x, 4, bottom, x_label, _RIGHT)]
    if not beside:
        published = (v for row in rows for v, kind, _ in row.points if kind == "published")
        parts += [rule(x.place(v), 4, x.place(v), bottom, "reference") for v in published]
    for index, row in enumerate(rows):
        top = 8 + height * index
        if beside:
            parts.append(text(left - 10, top + centre + 4, row.label, anchor="end", kind="label"))
        else:
            parts.append(text(left, top + 12, _cut(row.label), kind="label halo"))
        parts += _row(row, x, top + centre)
    return svg(WIDTH, bottom + 44, *parts)


def _row(row: Line, x: Scale, middle: float) -> list[Element]:
    """Return the bar, the interval and the marks of a row."""
    parts = []
    if row.length is not None:
        length, tip = row.length
        start = x.place(0.0)
        parts.append(bar(start, middle - 7, x.place(length) - start, 14, "search", tip))
    if row.interval is not None:
        low, high, tip = row.interval
        parts.append(line([(x.place(low), middle), (x.place(high), middle)], "interval", tip))
    return parts + [mark(kind, x.place(value), middle, tip) for value, kind, tip in row.points]


def _cut(label: str) -> str:
    """Return a label that fits into a row; the whole one stands in the data."""
    return label if len(label) <= _LONG else f"{label[: _LONG - 3]}..."


_LONG_NAME = 13  # characters of a name that reaches the next axis of parallel coordinates
MISSING: Any = object()  # in the place of a value that a line of parallel coordinates has not


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One axis of parallel coordinates.

    Attributes:
        name: its title.
        values: of all lines, in their order; MISSING where a line does not cross the axis.
        text: returns a value as it is written.
        choices: the values of the axis at equal distances, in this order; None for an axis of
            numbers.
        logarithmic: whether equal ratios have equal lengths.
    """

    name: str
    values: Sequence[Any]
    text: Callable[[Any], str]
    choices: Sequence[Any] | None = None
    logarithmic: bool = False


def parallel_width(dimensions: int) -> float:
    """Return the width of parallel coordinates with so many axes."""
    return max(WIDTH, 100.0 * dimensions)


def parallel(dimensions: Sequence[Dimension], kinds: Sequence[str], tips: Sequence[str]) -> Element:
    """Return parallel coordinates: an axis for each dimension, and a line for each trial.

    Args:
        dimensions: the axes from left to right.
        kinds: style of each line; the last line lies on top.
        tips: text of each line.
    """
    width, top, bottom = parallel_width(len(dimensions)), 48.0, 270.0
    gap = (width - 76) / max(1, len(dimensions) - 1)
    places = [20 + index * gap for index in range(len(dimensions))]
    scales = [_scale(dimension, bottom, top) for dimension in dimensions]
    parts = []
    for number, (kind, tip) in enumerate(zip(kinds, tips, strict=True)):
        values = zip(places, scales, dimensions, strict=True)
        crossed = [(x, s, d.values[number]) for x, s, d in values]
        points = [(x, s.place(value)) for x, s, value in crossed if value is not MISSING]
        parts.append(line(points, kind, tip))
    raised = after_long = False  # names that would meet stand at two heights
    for x, scale, dimension in zip(places, scales, dimensions, strict=True):
        raised = after_long and not raised
        after_long = len(dimension.name) > _LONG_NAME
        parts.append(rule(x, top, x, bottom, "axis"))
        parts.append(text(x - 12, top - 20 - 13 * raised, dimension.name, kind="name"))
        parts += [text(x + 6, y + 4, words, kind="tick halo") for y, words in scale.ticks]
    return svg(width, bottom + 18, *parts)


def _scale(dimension: Dimension, start: float, end: float) -> Scale:
    """Return the scale of a dimension; values beyond its choices follow these."""
    values = [value for value in dimension.values if value is not MISSING]
    if dimension.choices is not None:
        return listed([*dimension.choices, *values], start, end, text=dimension.text)
    if dimension.logarithmic and 0 < min(values) < max(values):
        return logarithmic(values, start, end, text=dimension.text)
    return linear(values, start, end, text=dimension.text)
