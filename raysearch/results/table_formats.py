"""A table as text: Markdown, LaTeX, CSV and JSON."""

import csv
import io
import json
import re
from typing import Any

from ..errors import printable
from .table_rows import Row, Table

# What a spreadsheet takes for a formula, and what looks like one and is a number: "-0.5", "+1/-2".
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
    """The table as GitHub reads it, its notes and costs beneath."""
    lines = [f"**{_inline(table.title)}**", "", *_markdown_rows(table)]
    if table.notes:
        lines += ["", *(f"* {_inline(note)}" for note in table.notes)]
    if table.cost:
        lines += ["", f"**{_inline(table.cost.title)}**", "", *_markdown_rows(table.cost)]
    return "\n".join(lines) + "\n"


def to_latex(table: Table) -> str:
    r"""The table for \input, with booktabs; notes and costs beneath."""
    lines = ["% needs \\usepackage{booktabs}", *_latex_table(table)]
    if table.cost:
        lines += ["", *_latex_table(table.cost)]
    return "\n".join(lines) + "\n"


def to_csv(table: Table) -> str:
    """The rows as printed, without notes and costs; a text that a spreadsheet would take for a
    formula has an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    grouped = any(row.system for row in table.rows)
    columns = [_neutral(text) for text in table.columns]
    writer.writerow([*(["system"] if grouped else []), "row", *columns])
    for row in table.rows:
        texts = [cell.text for cell in row.cells]
        cells = [*([row.system] if grouped else []), row.name, *texts]
        writer.writerow([_neutral(text) for text in cells])
    return out.getvalue()


def to_json(table: Table) -> str:
    """Everything, each cell as printed and with the value behind it."""
    text = json.dumps(_plain(table), indent=2, ensure_ascii=False)
    if printable(text, lines=True) != text:  # what a terminal obeys stands as JSON's own \uXXXX
        text = json.dumps(_plain(table), indent=2).replace("\x7f", "\\u007f")
    return text + "\n"


def _markdown_rows(table: Table) -> list[str]:
    lines = [_line(["", *table.columns]), _line(["---"] * (len(table.columns) + 1))]
    system = ""
    for row in table.rows:
        if row.system != system:
            system = row.system
            lines.append(_line([f"**{system}**", *[""] * len(table.columns)]))
        lines.append(_line([row.name, *(cell.text for cell in row.cells)]))
    return lines


def _line(texts: list[str]) -> str:
    cells = [_inline(text).replace("|", "\\|") for text in texts]
    return f"| {' | '.join(cells)} |"


def _latex_table(table: Table) -> list[str]:
    width = len(table.columns) + 1
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escaped(table.title)}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        _latex_line(["", *table.columns]),
        r"\midrule",
    ]
    before: Row | None = None
    for row in table.rows:
        if before is not None and _parted(before, row):
            lines.append(r"\midrule")
        if row.system and (before is None or before.system != row.system):
            lines.append(rf"\multicolumn{{{width}}}{{l}}{{{_escaped(row.system)}}} \\")
        lines.append(_latex_line([row.name, *(cell.text for cell in row.cells)]))
        before = row
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\footnotesize {_escaped(note)}" for note in table.notes]
    return [*lines, r"\end{table}"]


def _parted(before: Row, row: Row) -> bool:
    """Whether a rule stands between two rows: systems apart, results under their settings."""
    return row.system != before.system or row.name == "Result" or row.name.endswith("(published)")


def _latex_line(texts: list[str]) -> str:
    return f"{' & '.join(_escaped(text) for text in texts)} \\\\"


def _escaped(text: str) -> str:
    return _visible(text).translate(_LATEX)


def _inline(text: str) -> str:
    """A text in a line of Markdown: no tags and no images, which a viewer would load."""
    return _visible(text).replace("<", "&lt;").replace("![", "!\\[")


def _neutral(text: str) -> str:
    """A text as a cell that no spreadsheet evaluates."""
    text = _visible(text)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBERS.fullmatch(text) else text


def _visible(text: str) -> str:
    """A text in one line, its control characters as escapes: a table is printed to terminals."""
    return printable(" ".join(text.split("\n")))


def _plain(table: Table) -> dict[str, Any]:
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
    plain = {"title": table.title, "columns": list(table.columns), "rows": rows}
    if table.notes:
        plain["notes"] = list(table.notes)
    if table.cost:
        plain["cost"] = _plain(table.cost)
    return plain
