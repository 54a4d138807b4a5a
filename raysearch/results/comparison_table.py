"""The comparison of two runs as a table.

It is apart from the comparison because that has numbers, and this the words for them.
"""

from ..statistics.intervals import Difference
from . import formatting
from .comparison import ComparedScore, Comparison
from .score_cells import format_interval
from .table_rows import UNKNOWN, Cell, Row, Table

COLUMNS = ("A", "B", "B - A", "95 %", "verdict", "p")
ADJUSTED = "p (Holm)"


def comparison_table(comparison: Comparison) -> Table:
    """Return a row for each score of a comparison, in percent."""
    tested = [score for score in comparison.scores if score.p is not None]
    columns = (*COLUMNS, ADJUSTED) if len(tested) > 1 else COLUMNS
    scores = [*comparison.scores, *([comparison.average] if comparison.average else [])]
    return Table(
        title="; ".join(
            f"{letter}: {folder} ({study.model}, {study.recipe})"
            for letter, folder, study in zip(
                "AB", comparison.folders, comparison.studies, strict=True
            )
        ),
        columns=columns,
        rows=tuple(_row(comparison, score, len(columns)) for score in scores),
        notes=tuple(_notes(comparison, tested)),
    )


def verdict(difference: Difference) -> str:
    """Return in words what an interval says of which run is better."""
    if difference.low > 0:
        return "B better"
    if difference.high < 0:
        return "A better"
    if difference.error == 0:
        return "the same"
    return f"cannot tell (sees {formatting.format_percent(difference.visible)})"


def _row(comparison: Comparison, score: ComparedScore, columns: int) -> Row:
    difference, percent = score.difference, formatting.format_percent
    cells = (
        Cell(percent(score.first), score.first),
        Cell(percent(score.second), score.second),
        Cell(percent(difference.value, sign=True), difference.value),
        Cell(format_interval(difference), [difference.low, difference.high]),
        Cell(verdict(difference), verdict(difference).partition(" (")[0]),
        _p_cell(score.p),
        _p_cell(score.adjusted),
    )
    return Row(name=_name(comparison, score), cells=cells[:columns])


def _name(comparison: Comparison, score: ComparedScore) -> str:
    if not score.task:
        return score.name
    return f"{_title(comparison, score)} {score.name}"


def _title(comparison: Comparison, score: ComparedScore) -> str:
    return formatting.column_title(comparison.studies[0].task(score.task))


def _p_cell(p: float | None) -> Cell:
    if p is None:
        return UNKNOWN
    return Cell("below 0.001" if p < 0.001 else f"{p:.3f}", p)


def _notes(comparison: Comparison, tested: list[ComparedScore]) -> list[str]:
    """Return what the columns mean, and what was not compared."""
    count, untested = len(comparison.scores), [s for s in comparison.scores if s.p is None]
    report = f"{comparison.studies[0].confirm.report} over seeds"
    over = "seeds and examples together"
    differences = [score.difference for score in comparison.scores]
    if all(one.seeds == one.other_seeds == 1 for one in differences):
        report, over = "of one seed", "examples alone"
    notes = [
        f"B - A: dev, {report}, percent. 95 %: over {over}, the same examples for A and B."
        " A or B better if it excludes 0; else cannot tell, with the smallest difference that is"
        " seen with 80 % power.",
        f"Seeds: {_seeds(comparison)}.",
    ]
    if tested:
        notes.append(
            "p: paired test on the examples, of these trained models and not of other seeds:"
            " McNemar's exact test of a seed each where examples are right or wrong, else sign"
            " flips of their means over seeds, all of them for up to 16 examples that differ and"
            " 10,000 random ones for more."
        )
    if untested:
        names = ", ".join(_name(comparison, score) for score in untested)
        notes.append(
            f"{names}: no mean over examples, so that the test does not apply; the interval does."
        )
    if count > 1:
        holm = f" {ADJUSTED} is adjusted for the {len(tested)} tests." if len(tested) > 1 else ""
        notes.append(
            f"{count} comparisons were made: of equal runs, one interval in 20 would exclude 0 by"
            f" chance.{holm}"
        )
    notes += [f"{name}: not compared, {why}." for name, why in comparison.left_out.items()]
    return [*notes, *comparison.notes]


def _seeds(comparison: Comparison) -> str:
    """Return how many seeds the scores rest on, and whether they are paired, in words."""
    groups: dict[str, list[str]] = {}
    for score in comparison.scores:
        difference = score.difference
        text = f"{difference.seeds} of A, {difference.other_seeds} of B"
        if difference.paired:
            text += ", the same ones, in pairs"
        if min(difference.seeds, difference.other_seeds) == 1:
            text += "; of a single seed the interval covers the examples alone"
        columns = groups.setdefault(text, [])
        if (title := _title(comparison, score)) not in columns:
            columns.append(title)
    if len(groups) == 1:
        return next(iter(groups))
    return "; ".join(f"{', '.join(columns)}: {text}" for text, columns in groups.items())
