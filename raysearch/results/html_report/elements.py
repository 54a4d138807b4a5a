"""Elements of the page: every text is escaped when the tree is written, not where it is made.

They are apart because everything that draws or writes builds the same trees.
"""

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, tostring

from ...errors import printable

Child = Element | str | None


def element(tag: str, *children: Child, **attributes: object) -> Element:
    """Return an element.

    Args:
        tag: its name.
        children: elements and texts in order; None is left out.
        attributes: `class_` stands for class, and `_` for a dash; None is left out.
    """
    node = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            name = name.rstrip("_").replace("_", "-")
            node.set(name, f"{value:.1f}" if isinstance(value, float) else printable(value))
    last: Element | None = None
    for child in children:
        if isinstance(child, Element):
            node.append(child)
            last = child
        elif child is not None:
            text = printable(child, lines=True)
            if last is None:
                node.text = (node.text or "") + text
            else:
                last.tail = (last.tail or "") + text
    return node


def data_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str, row_heads: bool = True
) -> Element:
    """Return a table that scrolls by itself where it is wider than the page.

    Args:
        columns: titles of the columns.
        rows: the texts of the cells.
        caption: what it holds, for a screen reader and above the table.
        row_heads: whether the first cell of each row is its heading.
    """
    head = element("tr", *(element("th", title, scope="col") for title in columns))
    body = []
    for row in rows:
        cells = [
            element("th", text, scope="row") if row_heads and not index else element("td", text)
            for index, text in enumerate(row)
        ]
        body.append(element("tr", *cells))
    table = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *body),
    )
    # A scroll area can be reached by keyboard only if it takes the focus.
    return element("div", table, class_="scroll", tabindex=0, role="region", aria_label=caption)


def write_elements(parts: Iterable[Element]) -> str:
    """Return parts of a page as HTML, one after another."""
    return "\n".join(tostring(part, encoding="unicode", method="html") for part in parts)


def write_page(root: Element) -> str:
    """Return the page as HTML."""
    return "<!doctype html>\n" + tostring(root, encoding="unicode", method="html") + "\n"
