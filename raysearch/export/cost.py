"""What a study cost, per task, and what it did not have to spend."""

from collections.abc import Callable, Sequence

from .. import tasks
from ..journal import Record, Records
from ..study import Study
from . import spelling
from .rows import Cell, Row, Table

ENDS = ("finished", "stopped", "diverged", "degenerate", "failed")


def cost(study: Study, records: Records) -> Table:
    """Trials by how they ended and device hours, one column per task and their sum."""
    groups = [records.of(name) for name in study.tasks]
    columns = [spelling.column(tasks.get(name)) for name in study.tasks]
    if len(groups) > 1:
        columns.append("all")
        groups.append([record for group in groups for record in group])

    def count(name: str, of: Callable[[Sequence[Record]], int]) -> Row:
        return Row(name=name, cells=tuple(Cell(str(of(g)), of(g)) for g in groups))

    def hours(name: str, of: Callable[[Record], float]) -> Row:
        sums = [sum(of(record) for record in group) for group in groups]
        return Row(name=name, cells=tuple(Cell(_hours(total), total) for total in sums))

    running = any(record.status == "running" for record in records.trials.values())
    rows = [
        count(f"trials {end}", lambda group, end=end: sum(r.status == end for r in group))
        for end in (*ENDS, *(["running"] if running else []))
    ]
    rows += [
        count("repeats answered from the record", lambda group: sum(r.repeats for r in group)),
        hours("device hours", lambda record: record.device_hours),
        hours("device hours saved by stopping early", unspent),
        hours("device hours saved by repeats", lambda r: r.repeats * r.device_hours),
    ]
    return Table(title="Cost", columns=tuple(columns), rows=tuple(rows))


def unspent(record: Record) -> float:
    """Device hours that a stopped trial's remaining steps would have taken, at its own pace."""
    if record.status != "stopped" or not record.reports:
        return 0.0
    latest = record.reports[-1]
    step, steps = latest["step"], latest["steps"]
    return (steps - step) * latest["seconds"] / max(1, step) * record.devices / 3600


def _hours(hours: float) -> str:
    return f"{hours:.2f}" if hours >= 0.1 else f"{hours:.4f}" if hours else "0"
