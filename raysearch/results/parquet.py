"""A task's trials and reports as tables and as parquet files, one row each.

It is apart from the tables because it needs pyarrow, and because a column has the same type in
every run.
"""

import io
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from ..run_folder import Record
from ..study import TaskStudy
from ..tasks import Task
from . import formatting
from .leaderboard import counted_score
from .paper_table import PAPER_SETTINGS, hyperparameter_values

TIME = pa.timestamp("us", tz="UTC")

Columns = dict[str, tuple[pa.DataType, list[Any]]]


def trials_parquet(task: TaskStudy, records: Sequence[Record]) -> bytes:
    """Return the trials of a task as a parquet file; see `trials_table`."""
    return _parquet_bytes(trials_table(task, records))


def reports_parquet(task: Task, records: Sequence[Record]) -> bytes:
    """Return the reports of a task's trials as a parquet file; see `reports_table`."""
    return _parquet_bytes(reports_table(task, records))


def trials_table(task: TaskStudy, records: Sequence[Record]) -> pa.Table:
    """Return the trials of a task, one row each.

    Configurations are in `hp.<name>`. A setting that may be a number or {steps: N} has its numbers
    there and its counts in `hp.<name>.steps`. Scores are fractions. `score` is the one by which
    trials are compared, with `hold_out` not the printed one: the worst for a trial that diverged,
    null for one that failed. `start` is there if the task starts from the winner of another, and
    `reused_from` if other runs answered some of its trials.

    Args:
        task: the task of the study.
        records: the task's trials.
    """

    def column(kind: pa.DataType, values: Iterable[Any]) -> tuple[pa.DataType, list[Any]]:
        return kind, list(values)

    text, integer, real = pa.string(), pa.int64(), pa.float64()
    reused = [record.reused_from or None for record in records]
    columns: Columns = {
        "id": column(text, (r.id for r in records)),
        "task": column(text, (r.task for r in records)),
        "phase": column(text, (r.phase for r in records)),
        "number": column(integer, (r.number for r in records)),
        "status": column(text, (r.status for r in records)),
        "seed": column(integer, (r.seed for r in records)),
        **_setting_columns(task, records),
        "score": column(real, (counted_score(task, r) for r in records)),
    }
    for which in ("best", "last"):
        scores_by_trial = [getattr(record, which) for record in records]
        for name in _score_names(task.row, scores_by_trial):
            title = f"{which}.{name.removeprefix('dev.')}"
            columns[title] = column(real, (scores.get(name) for scores in scores_by_trial))
    columns |= {
        "step": column(integer, (r.reports[-1].step if r.reports else 0 for r in records)),
        "steps": column(integer, (r.plan.steps if r.plan else None for r in records)),
        "seconds": column(real, (r.seconds for r in records)),
        "host": column(text, (r.starts[-1].host if r.starts else None for r in records)),
        "device": column(text, (r.starts[-1].device if r.starts else None for r in records)),
        "devices": column(integer, (r.devices for r in records)),
        "device_hours": column(real, (r.device_hours for r in records)),
        **({"start": column(text, (r.start for r in records))} if task.start else {}),
        **({"reused_from": column(text, reused)} if any(reused) else {}),
        "teacher": column(text, (r.teacher or None for r in records)),
        "attempts": column(integer, (r.attempts for r in records)),
        "repeats": column(integer, (r.repeats for r in records)),
        "began": column(TIME, (_microseconds(r.began or None) for r in records)),
        "ended": column(TIME, (_microseconds(r.ended) for r in records)),
        "error": column(text, (r.error for r in records)),
    }
    return _table(columns)


def reports_table(task: Task, records: Sequence[Record]) -> pa.Table:
    """Return the reports of a task's trials, one row each.

    Args:
        task: the task.
        records: the task's trials; the reports of each stay in their order.
    """
    pairs = [(record, report) for record in records for report in record.reports]
    text, integer, real = pa.string(), pa.int64(), pa.float64()
    columns: Columns = {
        "trial": (text, [record.id for record, _ in pairs]),
        "phase": (text, [record.phase for record, _ in pairs]),
        "number": (integer, [record.number for record, _ in pairs]),
    }
    kinds = {
        "attempt": integer,
        "stage": text,
        "step": integer,
        "steps": integer,
        "status": text,
        "loss": real,
        "rate": real,
        "seconds": real,
        "tokens": integer,
        "micro_batches": integer,
        "switched": real,
    }
    columns |= {name: (kind, [getattr(r, name) for _, r in pairs]) for name, kind in kinds.items()}
    for name in dict.fromkeys(name for _, r in pairs for name in r.terms):
        columns[f"loss.{name}"] = (real, [r.terms.get(name) for _, r in pairs])
    columns["at"] = (TIME, [_microseconds(report.at) for _, report in pairs])
    for name in _score_names(task, [report.scores for _, report in pairs]):
        columns[name] = (real, [report.scores.get(name) for _, report in pairs])
    return _table(columns)


def read_errors(content: bytes) -> list[str]:
    """Return the errors in a file of trials; none of one that is damaged or has no such column."""
    try:
        table = parquet.read_table(pa.BufferReader(content), columns=["error"])
        errors = table["error"].to_pylist()
    except (OSError, KeyError, pa.ArrowException, UnicodeDecodeError):
        return []
    return [error for error in errors if isinstance(error, str)]


def _setting_columns(task: TaskStudy, records: Sequence[Record]) -> Columns:
    """Return columns of the papers' four settings and of all that the study searches or fixes."""
    names = dict.fromkeys((*PAPER_SETTINGS, *task.space, *task.fixed))
    hypers = [hyperparameter_values(task, record) for record in records]
    fields = task.recipe.hyper.model_fields
    columns: Columns = {}
    for name in names:
        values = [hyper.get(name) for hyper in hypers]
        simple = [None if isinstance(value, Mapping) else value for value in values]
        columns[f"hp.{name}"] = (_column_type(fields[name].annotation, simple), simple)
        keys = sorted({key for value in values if isinstance(value, Mapping) for key in value})
        for key in keys:
            parts = [value[key] if isinstance(value, Mapping) else None for value in values]
            columns[f"hp.{name}.{key}"] = (pa.int64(), parts)
    return columns


def _column_type(annotation: Any, values: Sequence[Any]) -> pa.DataType:
    """Return a setting's type according to its field; the values of one run may not show it."""
    leaves = set(_leaf_types(annotation))
    order = ((float, pa.float64()), (bool, pa.bool_()), (int, pa.int64()))
    kind = next((arrow_type for leaf, arrow_type in order if leaf in leaves), pa.string())
    return pa.list_(kind) if any(isinstance(value, list) for value in values) else kind


def _leaf_types(annotation: Any) -> Iterable[type]:
    """Yield the classes that an annotation consists of, and the types of its literals."""
    parts = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        yield from (type(part) for part in parts)
    elif parts:
        for part in parts:
            yield from _leaf_types(part)
    elif isinstance(annotation, type):
        yield annotation


def _score_names(task: Task, scores: Iterable[Mapping[str, float]]) -> list[str]:
    """Return the task's scores in their order, then any others that were reported."""
    known = [f"dev.{n}" for metric in task.metrics for n in formatting.dev_names(task, metric)]
    return list(dict.fromkeys((*known, *(reported for row in scores for reported in row))))


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e6)


def _table(columns: Columns) -> pa.Table:
    return pa.table({name: pa.array(values, kind) for name, (kind, values) in columns.items()})


def _parquet_bytes(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(table, stream)
    return stream.getvalue()
