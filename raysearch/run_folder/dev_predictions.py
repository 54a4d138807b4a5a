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

from .. import tasks
from ..errors import InputError, Problem
from ..metrics.bootstrap_metrics import (
    AnswerPoints,
    Measure,
    answer_measure,
    classification_measure,
    masked_lm_measure,
    tag_measure,
)
from ..statistics import Sample
from ..storage import file_inside, folder_inside, open_regular, write_atomically
from ..tasks import Task
from .trial_records import Record

FOLDER = "predictions"  # in a task's folder
_TAGS = pa.list_(pa.int16())
# The columns of each kind of prediction, besides `split` and `id`.
_KINDS: tuple[dict[str, pa.DataType], ...] = (
    {"prediction": pa.float64(), "gold": pa.float64()},
    {"tags": _TAGS, "gold_tags": _TAGS},
    {
        "answer": pa.string(), "null": pa.float64(), "exact": pa.float64(), "f1": pa.float64(),
        "answerable": pa.bool_(), "group": pa.int64(),
    },
    {"likelihood": pa.float64(), "hits": pa.float64(), "tokens": pa.float64()},
)  # fmt: skip

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
    return dict(zip(_KINDS[3], sums.T, strict=True))


def to_parquet(splits: Mapping[str, KeptSplit]) -> bytes:
    """Return the file of a trial's predictions.

    Args:
        splits: dev split -> the ids of its examples and the columns of their predictions.
    """
    tables = []
    for split, (ids, columns) in splits.items():
        kind = _kind(columns)
        fields = {name: pa.array(columns[name], type_) for name, type_ in kind.items()}
        names = pa.array([split] * len(ids), pa.string())
        tables.append(pa.table({"split": names, "id": pa.array(ids, pa.string()), **fields}))
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
    names = tasks.get(record.task).slug, FOLDER
    folder_inside(folder, *names)
    path = file_inside(folder, *names, f"{record.id}.parquet")
    write_atomically(path, content)
    return path


def read(folder: Path, record: Record) -> dict[str, pa.Table] | None:
    """Return the predictions of a trial by dev split; None if they were not kept.

    Raises:
        InputError: the file is damaged, or holds something else.
    """
    path = file_inside(folder, tasks.get(record.task).slug, FOLDER, f"{record.id}.parquet")
    if not path.is_file():
        return None
    try:
        with open_regular(path) as file:
            table = parquet.read_table(io.BytesIO(file.read()))
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, str(error).splitlines()[0]) from None
    names = set(table.column_names)
    kind = next((kind for kind in _KINDS if names == {"split", "id", *kind}), None)
    if kind is None:
        raise _damaged(path, f"holds the columns {', '.join(sorted(names))}")
    if any(table.schema.field(name).type != type_ for name, type_ in kind.items()):
        raise _damaged(path, "holds columns of other types")
    splits = table.column("split").unique().to_pylist()
    return {name: table.filter(compute.equal(table.column("split"), name)) for name in splits}


def measure_of(table: pa.Table, task: Task, metric: str, threshold: float | None) -> Measure:
    """Return the measure of a metric of a split's predictions.

    Args:
        table: of `read`.
        task: the task.
        metric: one of the task's metrics.
        threshold: the null score above which there is no answer, `null_threshold`.
    """
    names = set(table.column_names)

    def array(name: str) -> NDArray[Any]:
        values: NDArray[Any] = table.column(name).to_numpy()
        return values

    if "prediction" in names:
        return classification_measure(metric, array("prediction"), array("gold"))
    if "tags" in names:
        rows = [dict(enumerate(table.column(n).to_pylist())) for n in ("tags", "gold_tags")]
        by_sentence = [{str(i): tags for i, tags in row.items()} for row in rows]
        return tag_measure(metric, by_sentence[0], by_sentence[1], task.labels)
    if "answer" in names:
        points = AnswerPoints(
            exact=array("exact"),
            f1=array("f1"),
            answerable=array("answerable"),
            answered=np.array([bool(text) for text in table.column("answer").to_pylist()]),
            null=array("null") if task.unanswerable else None,
        )
        return answer_measure(metric, points, threshold=threshold, unanswerable=task.unanswerable)
    return masked_lm_measure(metric, np.stack([array(name) for name in _KINDS[3]], 1))


def sample_of(table: pa.Table) -> Sample:
    """Return how the examples of a split are resampled: questions by their contexts."""
    if "group" in table.column_names:
        _, clusters = np.unique(table.column("group").to_numpy(), return_inverse=True)
        return Sample(clusters=clusters)
    return Sample.of_size(table.num_rows)


def _kind(columns: Columns) -> dict[str, pa.DataType]:
    return next(kind for kind in _KINDS if set(kind) == set(columns))


def _damaged(path: Path, text: str) -> InputError:
    problem = f"{text}; remove the file, and the table does without its interval"
    return InputError(str(path), [Problem(location="predictions", text=problem)])
