"""The rows of a published setting that was trained too, and of what the search gained over it.

It is apart from the published rows because these scores are our own: same model, data and seeds.
"""

from collections.abc import Mapping

from ..run_folder import Records
from ..study import Study, TaskStudy
from . import formatting
from .confirmation import configuration_key
from .leaderboard import RankedConfiguration, is_complete, published_setting
from .score_cells import interval_cell, result_cell, result_scores, values_cell
from .score_intervals import Differences, Intervals
from .table_rows import UNKNOWN, Cell, Row

PUBLISHED = "published setting"
GAIN = "winner minus published setting"
WINNER = "the winner"  # in a cell where the published setting has won


def published_setting_rows(
    study: Study,
    records: Records,
    leaders: Mapping[str, RankedConfiguration | None],
    intervals: Intervals,
    differences: Differences,
) -> list[Row]:
    """Return the rows of the published setting, of the winner's gain over it, and their intervals.

    Args:
        study: the study; without `confirm.published` there are no rows.
        records: its trials.
        leaders: task -> its winner, or None.
        intervals: returns the interval of a score.
        differences: returns the interval of a paired difference.
    """
    if not study.confirm.published:
        return []
    columns: list[list[Cell]] = []
    for name, leader in leaders.items():
        task = study.resolve(name)
        theirs = published_setting(task, records) if is_complete(task, records) else None
        columns.append(_cells(task, leader, theirs, intervals, differences))
    names = (PUBLISHED, f"{PUBLISHED}, 95 %", GAIN, f"{GAIN}, 95 %")
    rows = [
        Row(name=name, cells=tuple(cells[index] for cells in columns))
        for index, name in enumerate(names)
    ]
    # As with the winner's own interval, there is no row where no predictions were kept.
    return [row for row in rows if "95 %" not in row.name or any(c.value for c in row.cells)]


def published_setting_notes(study: Study) -> list[str]:
    """Return the note that says whose setting was trained for each task."""
    if not study.confirm.published:
        return []
    columns_by_row: dict[str, list[str]] = {}
    for name in study.tasks:
        if setting := study.resolve(name).published_setting:
            columns = columns_by_row.setdefault(setting.row, [])
            columns.append(formatting.column_title(study.task(name)))
    rows = "; ".join(f"{row} ({', '.join(names)})" for row, names in columns_by_row.items())
    return [
        f"Published setting: trained here with the winner's seeds, the settings of {rows}."
        " It competes with the winner only where it is among the best"
        f" {study.confirm.top} of the search."
    ]


def _cells(
    task: TaskStudy,
    leader: RankedConfiguration | None,
    theirs: RankedConfiguration | None,
    intervals: Intervals,
    differences: Differences,
) -> list[Cell]:
    """Return the cells of one task, one for each row."""
    if theirs is None:
        return [UNKNOWN] * 4
    names = result_scores(task)
    score = result_cell(task, theirs.scores)
    interval = interval_cell([intervals(task, theirs, name) for name in names])
    if leader is None:
        return [score, interval, UNKNOWN, UNKNOWN]
    if configuration_key(leader.configuration) == configuration_key(theirs.configuration):
        return [Cell(f"{score.text} ({WINNER})", score.value), interval, UNKNOWN, UNKNOWN]
    pairs = [(leader.scores.get(name), theirs.scores.get(name)) for name in names]
    gains = [None if a is None or b is None else a - b for a, b in pairs]
    paired = interval_cell([differences(task, theirs, leader, name) for name in names])
    return [score, interval, values_cell(gains, sign=True), paired]
