"""Checks that the numbers of a run follow from each other: journal, tables, predictions.

They need neither data nor a model.
"""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet as pq

from .. import tasks
from ..errors import InputError
from ..results import parquet
from ..results.best_study import best_study
from ..results.paper_table import INTERVAL
from ..results.run_results import read_run
from ..results.table_formats import LAYOUTS, to_json
from ..results.table_rows import Table
from ..run_folder import JOURNAL_NAME, Record, Records, dev_predictions, opening
from ..run_folder.parquet_files import read_table
from ..run_folder.report import dev_scores
from ..storage import file_inside, kind_of, open_regular, parse_json, read_json
from ..study import Study, TaskStudy
from .checks import Check, Verdict, refused

_BY_RULE = (INTERVAL, "verdict")  # rows whose rules other code may have changed
ROUNDING = 1e-9  # relative; another processor may round the last digits differently
_PREDICTION_ROUNDING = 1e-6  # of scores that were summed up in another order
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_MAX_TEXT = 2**26  # bytes


def journal_checks(study: Study, records: Records) -> Iterator[Check]:
    """Yield whether each trial's result is that of its reports."""
    for record in records.trials.values():
        if not record.is_over or record.status == "failed":
            continue
        metric = study.resolve(record.task).selection_metric
        best, last = record.evaluation("best", metric), record.evaluation("last", metric)
        for name, report, scores in (("best", best, record.best), ("last", last, record.last)):
            place = f"{JOURNAL_NAME} trial {record.id}, {name} evaluation"
            yield Check.equal("journal", place, report.scores if report else {}, scores)


def table_checks(folder: Path, study: Study, records: Records, other_code: str) -> Iterator[Check]:
    """Yield whether the tables, best.yaml and parquet files follow from the journal.

    Args:
        folder: the run folder.
        study: its study.
        records: its trials.
        other_code: which other code wrote the files, in words; empty if it was this one. Other code
            may lay out tables and judge differently, so what differs does not fail then, unless it
            is a score, a setting or a cost.
    """
    table = read_run(folder).table
    yield from _value_checks(folder, table, other_code)
    for ending, layout in LAYOUTS.items():
        if ending != "json":
            place = f"table.{ending}"
            every_row = (*table.rows, *(row for further in table.further for row in further.rows))
            rows = [row.name for row in every_row if row.name not in _BY_RULE]
            yield _text_check(folder, (place,), layout(table), other_code, rows)
    for name in study.tasks:
        task, trials, slug = study.resolve(name), records.of(name), tasks.get(name).slug
        if text := best_study(task, records):
            yield _text_check(folder, (slug, "best.yaml"), text, other_code)
        if trials:
            content = parquet.trials_parquet(task, trials)
            yield _parquet_check(folder, (slug, "trials.parquet"), content, other_code)
            content = parquet.reports_parquet(name, trials)
            yield _parquet_check(folder, (slug, "reports.parquet"), content, other_code)


def prediction_checks(folder: Path, study: Study, records: Records) -> Iterator[Check]:
    """Yield whether the kept predictions of each trial score what the journal says."""
    for record in records.trials.values():
        task = study.resolve(record.task)
        place = f"{task.row.slug}/{opening.PREDICTIONS}/{record.id}.parquet"
        try:
            splits = dev_predictions.read(folder, record)
            if splits is None:
                printed = record.phase == "confirm" and record.seed in study.confirm.seeds
                if printed and record.is_over and record.status != "failed":
                    note = "the dev predictions of this trial were not kept"
                    yield Check(what="predictions", place=place, verdict="not checked", note=note)
                continue
            kept = _kept_scores(task, record, splits)
            for name, known in record.scores_at(study.search.select).items():
                if name in kept:
                    yield _score_check(f"{place} {name}", known, kept[name])
        except InputError as error:
            checks = refused("predictions", error)
            yield Check(what="predictions", place=place, verdict="fails", note=checks[0].note)


def _kept_scores(task: TaskStudy, record: Record, splits: dict[str, pa.Table]) -> dict[str, float]:
    """Return what the kept predictions of a trial score, by the names of the journal."""
    threshold = task.hyperparameters(record.configuration).null_threshold
    scores = {n: dev_predictions.scores_of(t, task.row, threshold) for n, t in splits.items()}
    return dev_scores(scores, task.row.dev[0].name, multilingual=bool(task.row.languages))


def _score_check(place: str, known: float, kept: float) -> Check:
    if math.isclose(known, kept, rel_tol=0, abs_tol=_PREDICTION_ROUNDING):
        return Check(what="predictions", place=place, verdict="holds", expected=known, seen=kept)
    return Check(what="predictions", place=place, verdict="fails", expected=known, seen=kept)


def _value_checks(folder: Path, table: Table, other_code: str) -> Iterator[Check]:
    """Yield whether each row of table.json has the values that follow from the journal."""
    path = file_inside(folder, "table.json")
    if kind_of(path) is None:
        yield Check(what="tables", place=path.name, verdict="not checked", note="is not there")
        return
    try:
        stored = _rows(read_json(path))
    except InputError as error:
        yield from (Check(what="tables", place=path.name, verdict="fails", note=c.note)
                    for c in refused("tables", error))  # fmt: skip
        return
    computed = _rows(parse_json(to_json(table).encode()))
    for key in {**computed, **stored}:
        expected, seen = computed.get(key), stored.get(key)
        place = f"{path.name} {' '.join(filter(None, key[:2]))}"
        if _same(expected, seen):
            yield Check(what="tables", place=place, verdict="holds")
            continue
        by_rule = key[1] in _BY_RULE or not (expected and seen)
        column, expected, seen = _difference(expected, seen)
        yield _differs(place + column, expected, seen, other_code if by_rule else "")


def _rows(raw: Any) -> dict[tuple[str, str, int], Any]:
    """Return the rows of a stored table by system, name and how often that name came before."""
    rows: dict[tuple[str, str, int], Any] = {}
    tables = [raw, raw.get("cost")] if isinstance(raw, dict) else []
    for table in tables:
        listed = table.get("rows") if isinstance(table, dict) else None
        for row in listed if isinstance(listed, list) else ():
            if isinstance(row, dict):
                name = str(row.get("system", "")), str(row.get("row"))
                number = sum(key[:2] == name for key in rows)
                rows[(*name, number)] = {"text": row.get("text"), "value": row.get("value")}
    return rows


def _same(expected: Any, seen: Any) -> bool:
    """Return whether two values of JSON are the same; numbers up to ROUNDING."""
    if isinstance(expected, dict) and isinstance(seen, dict):
        return expected.keys() == seen.keys() and all(
            _same(x, seen[n]) for n, x in expected.items()
        )
    if isinstance(expected, list) and isinstance(seen, list):
        return len(expected) == len(seen) and all(map(_same, expected, seen))
    numbers = (int, float)
    if isinstance(expected, numbers) and isinstance(seen, numbers):
        return math.isclose(expected, seen, rel_tol=ROUNDING, abs_tol=1e-12)
    return bool(expected == seen)


def _difference(expected: Any, seen: Any) -> tuple[str, Any, Any]:
    """Return the first column in which two rows differ, and what they have there."""
    for kind in ("text", "value"):
        old, new = ((row or {}).get(kind) for row in (expected, seen))
        if isinstance(old, dict) and isinstance(new, dict):
            for column in {**old, **new}:
                if not _same(old.get(column), new.get(column)):
                    return f", {column}", old.get(column), new.get(column)
    missing = "no such row"
    return "", expected or missing, seen or missing


def _text_check(
    folder: Path,
    names: tuple[str, ...],
    computed: str,
    other_code: str,
    rows: Sequence[str] = (),
) -> Check:
    """Return whether a text file is the one that follows from the journal.

    Args:
        folder: the run folder.
        names: the file's path in it.
        computed: the text that follows from the journal.
        other_code: see `table_checks`.
        rows: names of rows of the table whose numbers have to be the same whatever code wrote it.
    """
    path, place = file_inside(folder, *names), "/".join(names)
    if kind_of(path) is None:
        return Check(what="tables", place=place, verdict="not checked", note="is not there")
    with open_regular(path) as file:
        stored = file.read(_MAX_TEXT).decode("utf-8", "backslashreplace")
    if stored == computed:
        return Check(what="tables", place=place, verdict="holds")
    old_rows, new_rows = (_row_numbers(text, rows) for text in (computed, stored))
    if len(old_rows) == len(new_rows):
        for (name, old_row), (_, new_row) in zip(old_rows, new_rows, strict=True):
            if old_row != new_row:
                return _differs(f"{place} row {name}", old_row, new_row, "")
    old, new = computed.splitlines(), stored.splitlines()
    index = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), None)
    index = min(len(old), len(new)) if index is None else index
    expected, seen = (lines[index] if index < len(lines) else "no line" for lines in (old, new))
    return _differs(f"{place} line {index + 1}", expected, seen, other_code)


def _row_numbers(text: str, rows: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the numbers in the lines of a table's rows, as they are printed, with their names."""
    cells = ((line, re.split(r"[|&,]", line.strip().strip("|"))[0].strip())
             for line in text.splitlines())  # fmt: skip
    return [(name, _NUMBER.findall(line)) for line, name in cells if name in rows]


def _differs(place: str, expected: Any, seen: Any, other_code: str) -> Check:
    """Return a failed check of a table, or one that cannot be made because other code wrote it."""
    verdict: Verdict = "not checked" if other_code else "fails"
    return Check(
        what="tables", place=place, verdict=verdict, expected=expected, seen=seen, note=other_code
    )


def _parquet_check(folder: Path, names: tuple[str, ...], content: bytes, other_code: str) -> Check:
    """Return whether a parquet file has the values that follow from the journal."""
    path, place = file_inside(folder, *names), "/".join(names)
    if kind_of(path) is None:
        return Check(what="tables", place=place, verdict="not checked", note="is not there")
    try:
        stored = read_table(path)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        note = f"cannot be read: {str(error).splitlines()[0][:200]}"
        return Check(what="tables", place=place, verdict="fails", note=note)
    computed = pq.read_table(pa.BufferReader(content))
    for name in dict.fromkeys((*computed.column_names, *stored.column_names)):
        columns = [t.column(name) if name in t.column_names else None for t in (computed, stored)]
        old, new = (None if c is None else c.to_pylist() for c in columns)
        if old is None or new is None or len(old) != len(new):
            counts = ("no column" if c is None else f"{len(c)} rows" for c in (old, new))
            expected, seen = counts
            return _differs(f"{place} {name}", expected, seen, other_code)
        for row, (expected, seen) in enumerate(zip(old, new, strict=True)):
            if expected != seen and repr(expected) != repr(seen):  # NaN is not equal to itself
                return _differs(f"{place} row {row + 1}, {name}", expected, seen, other_code)
    return Check(what="tables", place=place, verdict="holds")
