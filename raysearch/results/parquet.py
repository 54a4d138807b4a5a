"""A task's trials and reports as parquet: one row each, typed alike in every run."""

import io
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from .. import tasks
from ..recipes import RECIPES
from ..run_folder import Record
from ..study import Study
from . import formatting
from .leaderboard import counted_score
from .paper_table import PAPERS, values_of

TIME = pa.timestamp("us", tz="UTC")

Columns = dict[str, tuple[pa.DataType, list[Any]]]


def trials_columns(study: Study, task: str, records: Sequence[Record]) -> bytes:
    """The trials of a task, one row each.

    Configurations stand in `hp.<name>`; a setting that may be a number or {steps: N} has its
    numbers there and its counts in `hp.<name>.steps`. Scores are fractions; `score` is what the
    table counts: the worst of a trial that diverged, none of one that failed.
    """

    def each(kind: pa.DataType, values: Iterable[Any]) -> tuple[pa.DataType, list[Any]]:
        return kind, list(values)

    text, whole, real = pa.string(), pa.int64(), pa.float64()
    columns: Columns = {
        "id": each(text, (r.id for r in records)),
        "task": each(text, (r.task for r in records)),
        "phase": each(text, (r.phase for r in records)),
        "number": each(whole, (r.number for r in records)),
        "status": each(text, (r.status for r in records)),
        "seed": each(whole, (r.seed for r in records)),
        **_settings(study, task, records),
        "score": each(real, (counted_score(study, r) for r in records)),
    }
    for which in ("best", "last"):
        found = [getattr(record, which) for record in records]
        for name in _score_names(task, found):
            short = f"{which}.{name.removeprefix('dev.')}"
            columns[short] = each(real, (scores.get(name) for scores in found))
    columns |= {
        "step": each(whole, (r.reports[-1]["step"] if r.reports else 0 for r in records)),
        "steps": each(whole, (r.plan.get("steps") for r in records)),
        "seconds": each(real, (r.seconds for r in records)),
        "devices": each(whole, (r.devices for r in records)),
        "device_hours": each(real, (r.device_hours for r in records)),
        "teacher": each(text, (r.teacher or None for r in records)),
        "attempts": each(whole, (r.attempts for r in records)),
        "repeats": each(whole, (r.repeats for r in records)),
        "began": each(TIME, (_time(r.began or None) for r in records)),
        "ended": each(TIME, (_time(r.ended) for r in records)),
        "error": each(text, (r.error for r in records)),
    }
    return _bytes(columns)


def reports_columns(task: str, records: Sequence[Record]) -> bytes:
    """The reports of a task's trials, one row each, those of a trial in their order."""
    pairs = [(record, report) for record in records for report in record.reports]
    text, whole, real = pa.string(), pa.int64(), pa.float64()
    columns: Columns = {
        "trial": (text, [record.id for record, _ in pairs]),
        "phase": (text, [record.phase for record, _ in pairs]),
        "number": (whole, [record.number for record, _ in pairs]),
    }
    kinds = {"attempt": whole, "stage": text, "step": whole, "steps": whole, "status": text,
             "loss": real, "rate": real, "seconds": real, "tokens": whole,
             "micro_batches": whole, "switched": real}  # fmt: skip
    columns |= {name: (kind, [r.get(name) for _, r in pairs]) for name, kind in kinds.items()}
    for name in dict.fromkeys(name for _, r in pairs for name in r.get("terms", ())):
        columns[f"loss.{name}"] = (real, [r.get("terms", {}).get(name) for _, r in pairs])
    columns["at"] = (TIME, [_time(report["at"]) for _, report in pairs])
    for name in _score_names(task, [report["scores"] for _, report in pairs]):
        columns[name] = (real, [report["scores"].get(name) for _, report in pairs])
    return _bytes(columns)


def _settings(study: Study, task: str, records: Sequence[Record]) -> Columns:
    """Columns of the papers' four and of all that the study searches or fixes."""
    names = dict.fromkeys((*PAPERS, *study.space_of(task), *study.fixed_of(task)))
    hypers = [values_of(study, record) for record in records]
    fields, columns = RECIPES[study.recipe].hyper.model_fields, {}
    for name in names:
        values = [hyper.get(name) for hyper in hypers]
        plain = [None if isinstance(value, Mapping) else value for value in values]
        columns[f"hp.{name}"] = (_kind(fields[name].annotation, plain), plain)
        keys = sorted({key for value in values if isinstance(value, Mapping) for key in value})
        for key in keys:
            parts = [value[key] if isinstance(value, Mapping) else None for value in values]
            columns[f"hp.{name}.{key}"] = (pa.int64(), parts)
    return columns


def _kind(annotation: Any, values: Sequence[Any]) -> pa.DataType:
    """A setting's type, from its field: the values of one run may not show it."""
    leaves = set(_leaves(annotation))
    order = ((float, pa.float64()), (bool, pa.bool_()), (int, pa.int64()))
    kind = next((found for leaf, found in order if leaf in leaves), pa.string())
    return pa.list_(kind) if any(isinstance(value, list) for value in values) else kind


def _leaves(annotation: Any) -> Iterable[type]:
    parts = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        yield from (type(part) for part in parts)
    elif parts:
        for part in parts:
            yield from _leaves(part)
    elif isinstance(annotation, type):
        yield annotation


def _score_names(task: str, found: Iterable[Mapping[str, float]]) -> list[str]:
    """The task's own scores in their order, then any others that were reported."""
    row = tasks.get(task)
    own = [f"dev.{name}" for metric in row.metrics for name in formatting.dev_names(row, metric)]
    return list(dict.fromkeys((*own, *(name for scores in found for name in scores))))


def _time(at: float | None) -> int | None:
    return None if at is None else round(at * 1e6)


def _bytes(columns: Columns) -> bytes:
    arrays = {name: pa.array(values, kind) for name, (kind, values) in columns.items()}
    out = io.BytesIO()
    parquet.write_table(pa.table(arrays), out)
    return out.getvalue()
