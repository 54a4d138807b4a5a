"""What a study cost, per task, and what it did not have to spend."""

from collections import Counter
from collections.abc import Callable, Sequence

from .. import tasks
from ..run_folder import Record, Records
from ..study import Study
from . import formatting
from .table_rows import Cell, Row, Table

ENDS = ("finished", "stopped", "diverged", "degenerate", "failed")


def cost_table(study: Study, records: Records) -> Table:
    """Trials by how they ended and device hours, one column per task and their sum.

    Teachers have rows of their own, in studies that have some.
    """
    groups = [records.of(name) for name in study.tasks]
    columns = [formatting.column_title(tasks.get(name)) for name in study.tasks]
    if len(groups) > 1:
        columns.append("all")
        groups.append([record for group in groups for record in group])

    def count(name: str, of: Callable[[Sequence[Record]], int]) -> Row:
        return Row(name=name, cells=tuple(Cell(str(of(g)), of(g)) for g in groups))

    def hours(name: str, of: Callable[[Sequence[Record]], float]) -> Row:
        sums = [of(group) for group in groups]
        return Row(name=name, cells=tuple(Cell(_hours(total), total) for total in sums))

    everyone = [r for r in records.trials.values() if r.task in study.tasks]
    found = {(_kind(record), record.status) for record in everyone}
    shown = [("trials", end) for end in ENDS]
    shown += sorted(found - set(shown), reverse=True)  # trials that run, then teachers
    rows = [
        count(f"{kind} {end}", lambda g, of=(kind, end): sum((_kind(r), r.status) == of for r in g))
        for kind, end in shown
    ]
    rows += [
        count("repeats answered from the record", lambda group: sum(r.repeats for r in group)),
        hours("device hours", lambda group: sum(r.device_hours for r in group)),
        hours("device hours saved by stopping early", lambda group: sum(map(saved_hours, group))),
        hours(
            "device hours saved by repeats",
            lambda group: sum(r.repeats * r.device_hours for r in group),
        ),
    ]
    if any(record.phase == "teach" or record.teacher for record in everyone):
        rows.append(hours("device hours saved by sharing teachers", shared_teacher_hours))
    return Table(title="Cost", columns=tuple(columns), rows=tuple(rows))


def saved_hours(record: Record) -> float:
    """Device hours that a stopped trial's remaining steps would have taken, at its own pace."""
    if record.status != "stopped" or not record.reports:
        return 0.0
    latest = record.reports[-1]
    step, steps = latest["step"], latest["steps"]
    return (steps - step) * latest["seconds"] / max(1, step) * record.devices / 3600


def shared_teacher_hours(records: Sequence[Record]) -> float:
    """Device hours that teachers would have taken beyond what they did, had every trial that one
    taught trained its own."""
    alone = Counter()
    for record in records:
        if record.teacher:
            alone[record.teacher] += record.teacher_seconds / 3600
    spent = {r.id: r.device_hours for r in records if r.phase == "teach"}
    return sum(max(0.0, hours - spent.get(teacher, 0.0)) for teacher, hours in alone.items())


def _kind(record: Record) -> str:
    return "teachers" if record.phase == "teach" else "trials"


def _hours(hours: float) -> str:
    return f"{hours:.2f}" if hours >= 0.1 else f"{hours:.4f}" if hours else "0"
