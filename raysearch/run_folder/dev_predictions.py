"""The dev predictions of a trial, one parquet file in the run folder: written, read and measured.

A file holds what scores the predictions as well, so that intervals need neither the data nor the
model: the gold labels, or of answers to questions what each one earns. It is apart from the
benchmark's own formats, which hold predictions alone.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute, parquet

from .. import metrics, tasks
from ..errors import InputError, Problem
from ..metrics.bootstrap_metrics import (
    AnswerPoints,
    Floats,
    Measure,
    answer_measure,
    classification_measure,
    earned_points,
    masked_lm_measure,
    tag_measure,
)
from ..statistics.intervals import Sample, ScoreSample
from ..storage import file_inside, folder_inside, write_atomically
from ..tasks import Task
from ..tasks.example_ids import group_of, id_parts
from .opening import PREDICTIONS
from .parquet_files import read_table
from .trial_records import Record

# The columns of each kind of prediction, besides `split` and `id`.
_NAMED = {"split": pa.string(), "id": pa.string()}
_CLASSES = {"prediction": pa.float64(), "gold": pa.float64()}
_TAGS = dict.fromkeys(("tags", "gold_tags"), pa.list_(pa.int16()))
_ANSWERS = {
    "answer": pa.string(), "null": pa.float64(), "exact": pa.float64(), "f1": pa.float64(),
    "answerable": pa.bool_(), "group": pa.int64(),
}  # fmt: skip
_TOKENS = dict.fromkeys(("likelihood", "hits", "tokens"), pa.float64())
_KINDS = (_CLASSES, _TAGS, _ANSWERS, _TOKENS)

# Of these the columns that follow from the examples, whatever is predicted.
GOLD = ("gold", "gold_tags", "answerable", "tokens")

Columns = Mapping[str, Sequence[Any] | NDArray[Any]]
KeptSplit = tuple[Sequence[str], Columns]  # ids of the examples, and their columns


def class_columns(predictions: NDArray[Any], gold: NDArray[Any]) -> Columns:
    """Return the columns of class ids, options or numbers, [examples]."""
    return {"prediction": predictions, "gold": gold}


def tag_columns(predictions: Iterable[Sequence[int]], gold: Iterable[Sequence[int]]) -> Columns:
    """Return the columns of the tags of each sentence's words."""
    return {"tags": [*map(list, predictions)], "gold_tags": [*map(list, gold)]}


def answer_columns(answers: Sequence[str], points: AnswerPoints, groups: Sequence[int]) -> Columns:
    """Return the columns of answers to questions.

    Args:
        answers: the best answer to each question, [questions].
        points: what they earn.
        groups: a number for the context of each question, [questions].
    """
    null = points.null if points.null is not None else np.full(len(answers), np.nan)
    return {
        "answer": answers, "null": null, "exact": points.exact, "f1": points.f1,
        "answerable": points.answerable, "group": groups,
    }  # fmt: skip


def masked_columns(sums: NDArray[np.floating]) -> Columns:
    """Return the columns of the sums of each block, [blocks, 3], see `metrics.masked_lm.score`."""
    return dict(zip(_TOKENS, sums.T, strict=True))


def to_table(split: str, kept: KeptSplit) -> pa.Table:
    """Return the table of a dev split.

    Args:
        split: its name.
        kept: the ids of its examples and the columns of their predictions.
    """
    ids, columns = kept
    kind = next(kind for kind in _KINDS if set(kind) == set(columns))
    values = {"split": [split] * len(ids), "id": ids, **columns}
    types = {**_NAMED, **kind}
    return pa.table({name: pa.array(values[name], types[name]) for name in types})


def to_parquet(splits: Mapping[str, KeptSplit]) -> bytes:
    """Return the file of a trial's predictions.

    Args:
        splits: dev split -> see `to_table`.
    """
    tables = [to_table(split, kept) for split, kept in splits.items()]
    stream = io.BytesIO()
    parquet.write_table(pa.concat_tables(tables), stream, compression="zstd")
    return stream.getvalue()


def write(folder: Path, record: Record, content: bytes) -> Path:
    """Write the file of a trial's predictions into a run folder.

    Args:
        folder: the run folder.
        record: the trial.
        content: of `to_parquet`.

    Returns:
        The file.

    Raises:
        InputError: a link is in its place.
        OSError: it cannot be written.
    """
    names = tasks.slug_of(record.task), PREDICTIONS
    folder_inside(folder, *names)
    path = file_inside(folder, *names, f"{record.id}.parquet")
    write_atomically(path, content)
    return path


def path_of(folder: Path, record: Record) -> Path:
    """Return the file of a trial's predictions in a run folder.

    Raises:
        InputError: a link leads out of the folder.
    """
    return file_inside(folder, tasks.slug_of(record.task), PREDICTIONS, f"{record.id}.parquet")


def read(folder: Path, record: Record, task: Task) -> dict[str, pa.Table] | None:
    """Return the predictions of a trial of a task by dev split; None if they were not kept.

    Raises:
        InputError: the file is damaged, or holds something else.
    """
    path = path_of(folder, record)
    if not path.is_file():
        return None
    try:
        return read_file(path, task)
    except InputError as error:
        hint = "; remove the file, and the table does without its interval"
        problems = [Problem(location=p.location, text=p.text + hint) for p in error.problems]
        raise InputError(error.source, problems) from None


def read_file(path: Path, task: Task) -> dict[str, pa.Table]:
    """Return the predictions in a file by dev split.

    Raises:
        InputError: the file cannot be read, is damaged, or holds something else.
    """
    try:
        table = read_table(path)
        _check_columns(path, table, {**_NAMED, **_columns_of(task)})
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise _misfit(path, str(error).splitlines()[0]) from None
    splits = table.column("split").unique().to_pylist()
    return {name: table.filter(compute.equal(table.column("split"), name)) for name in splits}


def measure_of(table: pa.Table, task: Task, metric: str, threshold: float | None) -> Measure:
    """Return the measure of a metric of a split's predictions.

    Args:
        table: of `read`.
        task: the task.
        metric: one of the task's metrics.
        threshold: the null score above which there is no answer, `null_threshold`.

    Raises:
        InputError: the predictions do not fit the task.
    """
    kind = _columns_of(task)
    if kind is _TAGS:
        tags, gold = (dict(enumerate(table.column(name).to_pylist())) for name in _TAGS)
        return tag_measure(metric, tags, gold, task.labels)
    columns: dict[str, NDArray[Any]] = {name: table.column(name).to_numpy() for name in kind}
    if kind is _CLASSES:
        labels, groups = columns["gold"], _groups(table, task)
        return classification_measure(metric, columns["prediction"], labels, groups)
    if kind is _TOKENS:
        return masked_lm_measure(metric, np.stack([*columns.values()], 1))
    points = _answer_points(table, task)
    return answer_measure(metric, points, threshold=threshold, unanswerable=task.unanswerable)


def points_of(table: pa.Table, task: Task, metric: str, threshold: float | None) -> Floats | None:
    """Return what each example of a split earns, whose mean is a metric's score, [examples].

    Returns:
        None of a metric that is no mean over examples, such as a correlation. The arguments are
        those of `measure_of`.
    """
    kind = _columns_of(task)
    if kind is _CLASSES and metric == "accuracy":
        hits: Floats = np.equal(table["prediction"].to_numpy(), table["gold"].to_numpy()) * 1.0
        return hits
    if kind is _ANSWERS and metric in ("exact", "f1"):
        points = _answer_points(table, task)
        return earned_points(metric, points, threshold=threshold, unanswerable=task.unanswerable)
    return None


def scores_of(table: pa.Table, task: Task, threshold: float | None) -> dict[str, float]:
    """Return the task's metrics of a split's predictions, to the last digit those of its training.

    The arguments and errors are those of `measure_of`.
    """
    kind = _columns_of(task)
    if kind is _TAGS:
        tags, gold = (dict(enumerate(table.column(name).to_pylist())) for name in _TAGS)
        return metrics.token_classification.score(task.metrics, tags, gold, task.labels)
    columns: dict[str, NDArray[Any]] = {name: table.column(name).to_numpy() for name in kind}
    if kind is _CLASSES:
        labels, groups = columns["gold"], _groups(table, task)
        return metrics.score(task.metrics, columns["prediction"], labels, groups)
    if kind is _TOKENS:
        return metrics.masked_lm.score(task.metrics, np.stack([*columns.values()], 1))
    earned = {name: columns[name] for name in ("exact", "f1")}
    if not task.unanswerable:
        return {name: float(np.mean(earned[name])) for name in task.metrics}
    answerable, answered = columns["answerable"], columns["answer"] != ""
    scores = metrics.squad.version_2_scores(
        earned, answerable, answered, columns["null"], threshold
    )
    return {name: scores.get(name, 0.0) for name in task.metrics}


def sample_of(table: pa.Table, task: Task) -> Sample:
    """Return how the examples of a split are resampled: questions by their contexts.

    Examples whose ids have parts are resampled by the first part, such as the passage of an answer.
    """
    if "group" in table.column_names:
        return Sample.of_groups(table.column("group").to_numpy())
    if task.id_parts:
        return Sample.of_groups([id_parts(name)[0] for name in table.column("id").to_pylist()])
    return Sample.of_size(table.num_rows)


def _groups(table: pa.Table, task: Task) -> list[str] | None:
    """Return the group of each example; None where metrics of groups make no sense."""
    return [*map(group_of, table.column("id").to_pylist())] if task.id_parts else None


def _answer_points(table: pa.Table, task: Task) -> AnswerPoints:
    """Return what the answers of a split earn."""
    columns = {name: table.column(name).to_numpy() for name in _ANSWERS}
    return AnswerPoints(
        exact=columns["exact"],
        f1=columns["f1"],
        answerable=columns["answerable"],
        answered=columns["answer"] != "",
        null=columns["null"] if task.unanswerable else None,
    )


def score_sample(
    tables: Mapping[str, pa.Table], task: Task, metric: str, threshold: float | None
) -> tuple[ScoreSample, dict[str, Sample]]:
    """Return what a model scores on some splits, whose mean counts, and their samples.

    A translated dev set has the ids of the first one, and both are resampled together.

    Args:
        tables: dev split -> its predictions.
        task: see `measure_of`, and so the others.
        metric: see `measure_of`.
        threshold: see `measure_of`.
    """
    first, *_ = tables
    measures, samples = [], {}
    for split, table in tables.items():
        sample = first if table["id"].equals(tables[first]["id"]) else split
        measures.append((sample, measure_of(table, task, metric, threshold)))
        samples[sample] = sample_of(tables[sample], task)
    return ScoreSample(measures=measures), samples


def _columns_of(task: Task) -> dict[str, pa.DataType]:
    """Return the columns of the predictions of a task, besides `split` and `id`."""
    facts = task.facts
    if facts.labels_words:
        return _TAGS
    if facts.answers_questions:
        return _ANSWERS
    return _TOKENS if facts.masks_tokens else _CLASSES


def _check_columns(path: Path, table: pa.Table, types: dict[str, pa.DataType]) -> None:
    """Refuse a table with other columns, with empty cells, or without rows."""
    columns = dict(zip(table.column_names, table.columns, strict=True))
    if {name: column.type for name, column in columns.items()} != types:
        seen_columns = ", ".join(f"{name} ({column.type})" for name, column in columns.items())
        raise _misfit(path, f"the task has other columns than {seen_columns}")
    if not table.num_rows:
        raise _misfit(path, "it has no rows")
    lists = [c.combine_chunks().flatten() for c in columns.values() if pa.types.is_list(c.type)]
    if any(column.null_count for column in (*columns.values(), *lists)):
        raise _misfit(path, "a cell is empty")


def _misfit(path: Path, text: str) -> InputError:
    return InputError(str(path), [Problem(location="predictions", text=text)])
