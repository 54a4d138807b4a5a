"""A table as a plain value: rows of cells that hold both what is printed and what it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from .formatting import NONE


class Cell(NamedTuple):
    """What is printed, and the value behind it: scores as fractions, settings as in the study."""

    text: str
    value: Any = None


BLANK = Cell("")
UNKNOWN = Cell(NONE)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table.

    Attributes:
        name: of what stands in it.
        cells: one for each of the table's columns.
        system: the published system that it belongs to, where a table shows several.
    """

    name: str
    cells: tuple[Cell, ...]
    system: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table and what stands beneath it.

    Attributes:
        title: its caption.
        columns: one for each task, an average or a sum last.
        rows: in order.
        notes: lines beneath: what was measured, where published numbers come from.
        cost: a second, small table.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    cost: Table | None = None

    def row(self, name: str, system: str = "") -> Row:
        """The first row of that name. Raises KeyError where there is none."""
        for row in self.rows:
            if (row.name, row.system) == (name, system):
                return row
        raise KeyError(name)
