"""The table of what a study cost, per task, and of what it did not have to spend.

It is apart because it adds up trials, whatever they scored.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

from ..run_folder import Record, Records
from ..run_folder.outcomes import OUTCOMES
from ..study import Study
from . import formatting
from .table_rows import Cell, Row, Table


def cost_table(study: Study, records: Records) -> Table:
    """Return trials by how they ended and device hours, one column per task and their sum.

    Teachers have rows of their own if the study has any.
    """
    groups = [records.of(name) for name in study.tasks]
    columns = [formatting.column_title(study.task(name)) for name in study.tasks]
    if len(groups) > 1:
        columns.append("all")
        groups.append([record for group in groups for record in group])

    def count_row(name: str, count: Callable[[Sequence[Record]], int]) -> Row:
        counts = [count(group) for group in groups]
        return Row(name=name, cells=tuple(Cell(str(number), number) for number in counts))

    def hours_row(name: str, hours: Callable[[Sequence[Record]], float]) -> Row:
        sums = [hours(group) for group in groups]
        return Row(name=name, cells=tuple(Cell(_format_hours(total), total) for total in sums))

    trials = [r for r in records.trials.values() if r.task in study.tasks]
    present = {(_kind(record), record.status) for record in trials}
    kinds: list[tuple[str, str]] = [("trials", end) for end in OUTCOMES]
    kinds += sorted(present - set(kinds), reverse=True)  # running trials, then teachers
    rows = [
        count_row(f"{kind} {status}", partial(_count, kind=kind, status=status))
        for kind, status in kinds
    ]
    if any(record.reused_from for record in trials):
        rows += [
            count_row("taken from other runs", lambda group: sum(map(_is_reused, group))),
            hours_row("device hours saved by that", lambda group: sum(map(reused_hours, group))),
        ]
    rows += [
        count_row("repeats answered from the record", lambda group: sum(r.repeats for r in group)),
        hours_row("device hours", lambda group: sum(r.device_hours for r in group)),
        hours_row(
            "device hours saved by stopping early", lambda group: sum(map(saved_hours, group))
        ),
        hours_row(
            "device hours saved by repeats",
            lambda group: sum(r.repeats * r.device_hours for r in group),
        ),
    ]
    if any(record.phase == "teach" or record.teacher for record in trials):
        rows.append(hours_row("device hours saved by sharing teachers", shared_teacher_hours))
    return Table(title="Cost", columns=tuple(columns), rows=tuple(rows))


def saved_hours(record: Record) -> float:
    """Return the device hours that a stopped trial's remaining steps would have taken.

    The estimate uses the trial's own seconds per step; other trials saved 0.0. So did one of
    another run that was not stopped there: all that it took there is saved already.
    """
    if record.status != "stopped" or not record.reports or record.reused_from:
        return 0.0
    report = record.reports[-1]
    left, seconds = report.steps - report.step, report.seconds or 0.0
    return left * seconds / max(1, report.step) * record.devices / 3600


def reused_hours(record: Record) -> float:
    """Return the device hours that a trial of another run has cost there; it costs none here."""
    return record.reused_seconds / 3600


def shared_teacher_hours(records: Sequence[Record]) -> float:
    """Return the device hours that shared teachers saved.

    It is the time that would have been needed if every taught trial had trained its own teacher,
    minus the time that the teachers took.
    """
    needed: defaultdict[str, float] = defaultdict(float)
    for record in records:
        if record.teacher:
            needed[record.teacher] += record.teacher_seconds / 3600
    spent = {r.id: r.device_hours for r in records if r.phase == "teach"}
    return sum(max(0.0, hours - spent.get(teacher, 0.0)) for teacher, hours in needed.items())


def _is_reused(record: Record) -> bool:
    return bool(record.reused_from)


def _count(group: Sequence[Record], *, kind: str, status: str) -> int:
    return sum((_kind(record), record.status) == (kind, status) for record in group)


def _kind(record: Record) -> str:
    return "teachers" if record.phase == "teach" else "trials"


def _format_hours(hours: float) -> str:
    return f"{hours:.2f}" if hours >= 0.1 else f"{hours:.4f}" if hours else "0"
