"""A table of results as HTML.

It is apart from the page because a notebook shows it, too.
"""

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from ..table_rows import Row, Table
from .elements import data_table, element, write_elements

_LONG = 20  # characters of a column's title that may take several lines


def result_table(columns: Sequence[str], rows: Sequence[Row], caption: str) -> Element:
    """Return a table of results; rows of systems stand below the name of the system."""
    texts: list[Sequence[str]] = []
    system = ""
    for row in rows:
        if row.system != system:
            system = row.system
            texts.append([system, *[""] * len(columns)])
        texts.append([row.name, *(cell.text for cell in row.cells)])
    node = data_table(["", *columns], texts, caption=caption)
    node.set("class", "scroll numbers")
    for title in node.iter("th"):
        if title.get("scope") == "col" and len(text := title.text or "") > _LONG:
            title.set("class", "long")
            title.text, *parts = re.split(r"(?<=[/_-])", text)
            for part in parts:
                title.append(element("wbr"))
                title[-1].tail = part
    for line in node.iter("tr"):
        if line[0].text == "Result":
            line.set("class", "result")
    return node


def table_html(table: Table) -> str:
    """Return a table with its notes and further tables as a part of a page, for a notebook."""
    parts = []
    for each in (table, *table.further):
        parts.append(result_table(each.columns, each.rows, each.title))
        if each.notes:
            parts.append(element("ul", *(element("li", note) for note in each.notes)))
    return write_elements(parts)
