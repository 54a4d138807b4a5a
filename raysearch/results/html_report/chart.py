"""Chart: one drawing with its title, its description in words, its legend and its data.

It is apart from the drawings so that the page treats all of them in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from ..formatting import counted
from .elements import data_table, element

_MANY, _CROWD = 40, 500  # rows of data above which marks and lines are thin, and very thin
WIDTH = 460.0  # of a drawing in its own units; the page scales it
_TALL = 600.0  # height from which a chart stands beside two others

# Shape of a mark, by how a trial ended: colours alone would not be told apart by everyone.
_SHAPES = {
    "finished": "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0",
    "running": "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0",
    "stopped": "M-4.5,-4h9l-4.5,8z",
    "degenerate": "M0,-5l5,5l-5,5l-5,-5z",
    "diverged": "M-4,-4h8v8h-8z",
    "failed": "M-4,-4l8,8M-4,4l8,-8",
    "published": "M0,-6l6,6l-6,6l-6,-6z",
    "result": "M0,-9v18",
    "single": "M-2.5,0a2.5,2.5 0 1,0 5,0a2.5,2.5 0 1,0 -5,0",
    "front": "M0,-6l6,10h-12z",
    "dot": "M-2.5,0a2.5,2.5 0 1,0 5,0a2.5,2.5 0 1,0 -5,0",
}


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart of the page.

    Attributes:
        key: its id in the page.
        title: what it shows.
        summary: its content in words.
        drawing: the SVG.
        columns: titles of the columns of its data.
        rows: its data, as texts.
        legend: kind of a mark or a line, and its meaning.
        wide: whether it takes the page's whole width.
    """

    key: str
    title: str
    summary: str
    drawing: Element
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    legend: Sequence[tuple[str, str]] = ()
    wide: bool = False


def svg(width: float, height: float, *children: Element) -> Element:
    """Return a drawing that is as wide as its place in the page."""
    box = f"0 0 {width:g} {height:g}"
    size = f"--width:{width:g}px;aspect-ratio:{width:g}/{height:g}"
    return element("svg", *children, viewBox=box, style=size)


def mark(kind: str, x: float, y: float, tip: str) -> Element:
    """Return a small shape at a position, with the text that is shown when it is pointed at."""
    place = f"translate({x:.1f},{y:.1f})"
    return element(
        "path", element("title", tip), d=_SHAPES[kind], transform=place, class_=f"mark {kind}"
    )


def line(points: Sequence[tuple[float, float]], kind: str, tip: str | None = None) -> Element:
    """Return a line through positions."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    title = None if tip is None else element("title", tip)
    return element("polyline", title, points=path, class_=f"line {kind}")


def bar(x: float, y: float, width: float, height: float, kind: str, tip: str) -> Element:
    """Return a rectangle."""
    title = element("title", tip)
    return element(
        "rect", title, x=x, y=y, width=max(1.0, width), height=height, class_=f"bar {kind}"
    )


def density(chart: Chart) -> str | None:
    """Return the class of a drawing whose marks and lines are thin, as they are many."""
    count = len(chart.rows)
    return "many crowd" if count > _CROWD else "many" if count > _MANY else None


def figure(chart: Chart) -> Element:
    """Return a chart as a part of the page."""
    drawing = chart.drawing
    if (classes := density(chart)) is not None:
        drawing.set("class", classes)
    for name, value in {
        "role": "img",
        "aria-label": chart.title,
        "aria-describedby": f"{chart.key}-words",
        "tabindex": "0",
    }.items():
        drawing.set(name, value)
    entries = [element("li", sample(kind), meaning) for kind, meaning in chart.legend]
    data = data_table(chart.columns, chart.rows, caption=f"Data of: {chart.title}")
    height = float(drawing.attrib["viewBox"].split()[3])
    form = "wide" if chart.wide else "tall" if height > _TALL else None
    return element(
        "figure",
        element("figcaption", element("h3", chart.title)),
        element("p", chart.summary, id=f"{chart.key}-words"),
        element("ul", *entries, class_="legend") if entries else None,
        element("div", drawing, class_="drawing"),
        element("details", element("summary", f"Data ({counted(len(chart.rows), 'row')})"), data),
        id=chart.key,
        class_=form,
    )


def sample(kind: str) -> Element:
    """Return the shape that stands before an entry of a legend, 20 wide and 16 high, in an SVG."""
    name, _, form = kind.partition(":")
    if form == "bar":
        shape = element("rect", x=1, y=2, width=18, height=12, class_=f"bar {name}")
    elif form == "line":
        shape = element("polyline", points="0,8 20,8", class_=f"line {name}")
    else:
        shape = element("path", d=_SHAPES[name], transform="translate(10,8)", class_=f"mark {name}")
    return element("svg", shape, viewBox="0 0 20 16", width=20, height=16, aria_hidden="true")
