"""Table, Row and Cell: a table as plain values.

They are apart so that tables are made without a file format, and written in every format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .formatting import UNKNOWN_TEXT


class Cell(NamedTuple):
    """A printed text and the value that it stands for.

    Attributes:
        text: the text.
        value: scores as fractions, settings as in the study; a list if the text shows several.
    """

    text: str
    value: object = None


BLANK = Cell("")
UNKNOWN = Cell(UNKNOWN_TEXT)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table.

    Attributes:
        name: what the cells show, such as "LR" or "Result".
        cells: one for each of the table's columns.
        system: the published system that the row belongs to, if the table shows several.
    """

    name: str
    cells: tuple[Cell, ...]
    system: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table and the lines below it.

    Attributes:
        title: its caption.
        columns: the title of each column: the tasks, and an average or a sum last.
        rows: in order.
        notes: lines below the table: what was measured, where published numbers come from.
        fronts: of a search with two objectives: a table for each task.
        cost: a small table at the end.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    fronts: tuple[Table, ...] = ()
    cost: Table | None = None

    @property
    def further(self) -> tuple[Table, ...]:
        """The tables below it, in order."""
        return (*self.fronts, *((self.cost,) if self.cost else ()))

    def row(self, name: str, system: str = "") -> Row:
        """Return the first row with this name and system.

        Raises:
            KeyError: there is none.
        """
        for row in self.rows:
            if (row.name, row.system) == (name, system):
                return row
        raise KeyError(name)
