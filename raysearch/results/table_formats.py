"""Tables as text: Markdown, LaTeX, CSV and JSON.

It is apart from the tables because escaping is the same for every table, and each format has its
own rules for texts of foreign files.
"""

import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

from ..errors import printable
from .table_rows import Row, Table

# Texts that a spreadsheet reads as a formula, and texts that look like one but are numbers, such as
# "-0.5" and "+1/-2".
_FORMULA = re.compile(r"\s*[=+\-@\t\r]")
_NUMBERS = re.compile(r"[-+]?[\d.]*(?:e[-+]?\d+)?(?:/[-+]?[\d.]*(?:e[-+]?\d+)?)*")

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "\n": " ",
        **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    }
)


def to_markdown(table: Table) -> str:
    """Return a table in GitHub's Markdown, with notes and further tables below it."""
    parts = []
    for each in (table, *table.further):
        lines = [f"**{escape_markdown(each.title)}**", "", *_markdown_lines(each)]
        if each.notes:
            lines += ["", *(f"* {escape_markdown(note)}" for note in each.notes)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def to_latex(table: Table) -> str:
    r"""Return a table for \input that needs booktabs, with notes and further tables below it."""
    lines = ["% needs \\usepackage{booktabs}", *_latex_table(table)]
    for further in table.further:
        lines += ["", *_latex_table(further)]
    return "\n".join(lines) + "\n"


def to_csv(table: Table) -> str:
    """Return the rows as printed, without notes and further tables.

    A text that a spreadsheet would read as a formula has an apostrophe before it.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    grouped = any(row.system for row in table.rows)
    columns = [_disarm_formula(text) for text in table.columns]
    writer.writerow([*(["system"] if grouped else []), "row", *columns])
    for row in table.rows:
        texts = [cell.text for cell in row.cells]
        cells = [*([row.system] if grouped else []), row.name, *texts]
        writer.writerow([_disarm_formula(text) for text in cells])
    return stream.getvalue()


def to_json(table: Table) -> str:
    """Return the whole table; each cell has the printed text and the value it stands for."""
    text = json.dumps(_plain_values(table), indent=2, ensure_ascii=False)
    if printable(text, lines=True) != text:  # JSON escapes control characters as \uXXXX
        text = json.dumps(_plain_values(table), indent=2).replace("\x7f", "\\u007f")
    return text + "\n"


# The end of a file's name -> how a table is written to it.
LAYOUTS: dict[str, Callable[[Table], str]] = {
    "md": to_markdown,
    "tex": to_latex,
    "csv": to_csv,
    "json": to_json,
}


def _markdown_lines(table: Table) -> list[str]:
    lines = [_markdown_row(["", *table.columns]), _markdown_row(["---"] * (len(table.columns) + 1))]
    system = ""
    for row in table.rows:
        if row.system != system:
            system = row.system
            lines.append(_markdown_row([f"**{system}**", *[""] * len(table.columns)]))
        lines.append(_markdown_row([row.name, *(cell.text for cell in row.cells)]))
    return lines


def _markdown_row(texts: list[str]) -> str:
    cells = [escape_markdown(text).replace("|", "\\|") for text in texts]
    return f"| {' | '.join(cells)} |"


def _latex_table(table: Table) -> list[str]:
    width = len(table.columns) + 1
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(table.title)}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        _latex_row(["", *table.columns]),
        r"\midrule",
    ]
    previous: Row | None = None
    for row in table.rows:
        if previous is not None and _has_rule_between(previous, row):
            lines.append(r"\midrule")
        if row.system and (previous is None or previous.system != row.system):
            lines.append(rf"\multicolumn{{{width}}}{{l}}{{{escape_latex(row.system)}}} \\")
        lines.append(_latex_row([row.name, *(cell.text for cell in row.cells)]))
        previous = row
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\footnotesize {escape_latex(note)}" for note in table.notes]
    return [*lines, r"\end{table}"]


def _has_rule_between(previous: Row, row: Row) -> bool:
    """Return whether a rule separates two rows: between systems, and above results."""
    return row.system != previous.system or row.name == "Result" or row.name.endswith("(published)")


def _latex_row(texts: list[str]) -> str:
    return f"{' & '.join(escape_latex(text) for text in texts)} \\\\"


def escape_latex(text: str) -> str:
    """Return a text for LaTeX, in one line."""
    return _one_line(text).translate(_LATEX)


def escape_markdown(text: str) -> str:
    """Return a text for Markdown without tags and images, which a viewer would load."""
    return _one_line(text).replace("<", "&lt;").replace("![", "!\\[")


def _disarm_formula(text: str) -> str:
    """Return a text as a cell that no spreadsheet evaluates."""
    text = _one_line(text)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBERS.fullmatch(text) else text


def _one_line(text: str) -> str:
    """Return a text as one line with control characters escaped, safe to print to a terminal."""
    return printable(" ".join(text.split("\n")))


def _plain_values(table: Table) -> dict[str, Any]:
    """Return a table as values that JSON can hold."""
    rows = []
    for row in table.rows:
        cells = list(zip(table.columns, row.cells, strict=True))
        rows.append(
            {
                "row": row.name,
                **({"system": row.system} if row.system else {}),
                "text": {column: cell.text for column, cell in cells},
                "value": {column: cell.value for column, cell in cells},
            }
        )
    values: dict[str, Any] = {"title": table.title, "columns": list(table.columns), "rows": rows}
    if table.notes:
        values["notes"] = list(table.notes)
    if table.fronts:
        values["fronts"] = [_plain_values(front) for front in table.fronts]
    if table.cost:
        values["cost"] = _plain_values(table.cost)
    return values
