"""The Pareto front of a search with two objectives: the score, and device hours.

It is apart from the leaderboard because that orders trials by their score alone.
"""

from ..run_folder import Record, Records
from ..study import Study, TaskStudy
from . import formatting
from .leaderboard import counted_score
from .table_rows import UNKNOWN, Cell, Row, Table


def pareto_front(task: TaskStudy, records: Records) -> list[Record]:
    """Return the finished trials of a search that no other one beats, the best score first.

    A trial beats another if its score is at least as high and it took at most as many device hours,
    and one of the two is better.
    """
    finished = [r for r in records.of(task.name, "search") if r.status == "finished"]
    scored = [(counted_score(task, record) or 0.0, record) for record in finished]
    scored.sort(key=lambda pair: (-pair[0], pair[1].training_hours, pair[1].number))
    front: list[tuple[float, Record]] = []
    for score, record in scored:
        if not front or record.training_hours < front[-1][1].training_hours:
            front.append((score, record))
    return [record for _, record in front]


def front_tables(study: Study, records: Records) -> tuple[Table, ...]:
    """Return a table for each task, with a row for each trial of its front.

    None if the study has one objective, or if no trial has finished yet.
    """
    if study.search.minimize is None:
        return ()
    tasks = [study.resolve(name) for name in study.tasks]
    tables = (_table(task, pareto_front(task, records)) for task in tasks)
    return tuple(table for table in tables if table.rows)


def _table(task: TaskStudy, front: list[Record]) -> Table:
    column = formatting.column_title(task.row)
    rows = []
    for record in front:
        score, hours = counted_score(task, record), record.training_hours
        cells = [
            Cell("" if score is None else formatting.format_percent(score, 2), score),
            Cell(f"{hours:.3g}", hours),
        ]
        point = record.configuration
        cells += [
            Cell(formatting.format_setting(point[name]), point[name]) if name in point else UNKNOWN
            for name in task.space
        ]
        rows.append(Row(name=f"trial {record.number}", cells=tuple(cells)))
    return Table(
        title=f"{column}: no trial of the search has a higher score in fewer device hours",
        columns=(task.row.metric, "device hours", *task.space),
        rows=tuple(rows),
        notes=(
            f"Of one seed, {task.study.search.seed}; the result above is of the highest score.",
        ),
    )
