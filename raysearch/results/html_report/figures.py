"""The charts of a task as figures of their own: SVG files, and what a notebook shows.

They are apart from the page because each has its title, legend and colours in itself, and changes
nothing of the page that it is shown in: a notebook shows it as a picture.
"""

import base64
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, tostring

from .chart import Chart, density, sample
from .elements import element, write_elements

_STYLE = Path(__file__).with_name("report.css")
_NAMESPACE = "http://www.w3.org/2000/svg"
_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'
_MARGIN, _TITLE, _LINE, _LETTER = 8.0, 26.0, 20.0, 6.8  # in the drawing's units


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One chart of a report.

    Attributes:
        title: what it shows.
        summary: its content in words.
        columns: titles of the columns of its data.
        rows: its data as texts: what is drawn, and what is known beside it.
        svg: the drawing with title and legend, a whole SVG file that loads nothing.
    """

    title: str
    summary: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    svg: str = field(repr=False)

    @classmethod
    def of(cls, chart: Chart) -> "Figure":
        """Return the figure of a chart of the page."""
        return cls(
            title=chart.title,
            summary=chart.summary,
            columns=tuple(chart.columns),
            rows=tuple(map(tuple, chart.rows)),
            svg=_whole_svg(chart),
        )

    def to_frame(self) -> Any:
        """Return its data as a pandas data frame of texts."""
        import pandas as pd

        return pd.DataFrame(list(self.rows), columns=list(self.columns))

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self.svg.encode()).decode()
        image = element("img", src=f"data:image/svg+xml;base64,{picture}", alt=self.title)
        return write_elements([element("figure", image, element("figcaption", self.summary))])


class Figures(dict[str, Figure]):
    """The charts of a task by their names, such as "history"; a notebook shows all.

    Attributes:
        missing: why others are missing, sentences.
    """

    missing: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        words = [element("p", text) for text in self.missing]
        return "\n".join([*(f._repr_html_() for f in self.values()), write_elements(words)])


def figures(slug: str, charts: list[Chart], missing: list[str]) -> Figures:
    """Return the figures of a task.

    Args:
        slug: of the task, with which the keys of its charts begin.
        charts: of `task_charts`.
        missing: see `Figures`.
    """
    found = Figures({chart.key.removeprefix(f"{slug}-"): Figure.of(chart) for chart in charts})
    found.missing = tuple(missing)
    return found


def _whole_svg(chart: Chart) -> str:
    """Return a chart as an SVG file: its title, its drawing, and its legend in lines below."""
    width, height = (float(size) for size in chart.drawing.attrib["viewBox"].split()[2:])
    legend, below = _legend(chart, width)
    drawing = element(
        "svg",
        *chart.drawing,
        viewBox=chart.drawing.attrib["viewBox"],
        x=_MARGIN,
        y=_TITLE,
        width=width,
        height=height,
        class_=density(chart),
    )
    legend.set("transform", f"translate({_MARGIN:g},{_TITLE + height:g})")
    whole, tall = width + 2 * _MARGIN, _TITLE + height + below + _MARGIN
    root = element(
        "svg",
        element("title", chart.title),
        element("desc", chart.summary),
        element("style", _style()),
        element("rect", width=whole, height=tall, fill="#ffffff"),
        element("text", chart.title, x=_MARGIN, y=18, class_="name"),
        drawing,
        legend,
        width=whole,
        height=tall,
        viewBox=f"0 0 {whole:g} {tall:g}",
        xmlns=_NAMESPACE,
    )
    return tostring(root, encoding="unicode") + "\n"


def _legend(chart: Chart, width: float) -> tuple[Element, float]:
    """Return the legend in lines of at most a width, and its height."""
    group, x, y = element("g"), 0.0, 0.0
    for kind, meaning in chart.legend:
        needed = 26 + _LETTER * len(meaning) + 14
        if x and x + needed > width:
            x, y = 0.0, y + _LINE
        place = f"translate({x:g},{y:g})"
        group.append(element("g", *sample(kind), transform=place))
        group.append(element("text", meaning, x=x + 26, y=y + 12))
        x += needed
    return group, y + _LINE if chart.legend else 0.0


@cache
def _style() -> str:
    """Return the rules of the page's style for drawings, with the colours of white paper.

    Programs that draw SVG for print know no variables of CSS.
    """
    text = _STYLE.read_text("utf-8")
    colours = dict(re.findall(r"(--[\w-]+): ([^;]+);", text[: text.index("@media")]))
    start = text.index("svg text {")
    rules = text[start : text.index("@media", start)].replace(
        "font-family: inherit", f"font-family: {_FONT}"
    )
    return re.sub(r"var\((--[\w-]+)\)", lambda match: colours[match[1]], rules)
