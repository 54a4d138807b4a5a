"""Print tables and lines of text to the terminal, whose width they use.

It is apart because lists and plans look the same.
"""

from rich.console import Console
from rich.table import Table

from ..errors import printable

LOG_WIDTH = 160  # columns of a table that is not printed to a terminal


def make_table(*columns: str) -> Table:
    """Return an empty table with these columns."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def add_row(table: Table, *cells: str) -> None:
    """Add a row to a table; text from files is escaped."""
    table.add_row(*map(printable, cells))


def print_wrapped(line: str) -> None:
    """Print a line, which may have text from files, in as many lines as the width needs."""
    make_console().print(printable(line))


def make_console() -> Console:
    """Return a console of standard output."""
    # Without markup, as names may contain brackets and colons.
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    return console
