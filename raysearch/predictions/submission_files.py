"""Writes predictions in the formats that benchmarks take.

It is apart from prediction because it needs no model.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, Problem
from ..storage import write_atomically
from ..tasks import Split, Task

_MAX_PROBLEMS = 10


def write_submission(
    folder: Path,
    task: Task,
    split: Split,
    ids: Sequence[str | int],
    predictions: Sequence[int] | Sequence[float],
) -> Path:
    """Write classes, options or numbers under the name that the benchmark expects.

    Args:
        folder: the folder for the file.
        task: the task.
        split: one of the task's splits with a submission file.
        ids: the ids of the examples, in the order of the test file.
        predictions: class ids, or numbers of a regression, which are clipped to its bounds and
            written with three decimals; [examples].

    Returns:
        The file.

    Raises:
        InputError: the benchmark takes no predictions of the split, or they cannot be written.
    """
    problems = _problems(task, split, ids, predictions)
    if problems:
        raise InputError(f"{task.name} {split.name}", problems)
    if task.head == "choose":
        texts = [str(int(option)) for option in predictions]
    elif task.labels:
        texts = [task.labels[int(label)] for label in predictions]
    else:
        low, high = task.bounds or (-math.inf, math.inf)
        texts = [f"{min(max(float(number), low), high):.3f}" for number in predictions]
    lines = texts
    if task.layout != "lines":
        lines = [f"{i}\t{text}" for i, text in zip(ids, texts, strict=True)]
    if task.layout == "glue":
        lines = ["index\tprediction", *lines]
    path = _submission_path(folder, split)
    write_atomically(path, "\n".join(lines) + "\n")
    return path


def write_tags(folder: Path, task: Task, split: Split, tags: Mapping[str, Sequence[int]]) -> Path:
    """Write tags as XTREME takes them: one per line, with an empty line between sentences.

    Args:
        folder: the folder for the file.
        task: the task.
        split: the split.
        tags: sentence -> the tag id of each word.

    Returns:
        The file.
    """
    path = _submission_path(folder, split)
    blocks = ("".join(f"{task.labels[tag]}\n" for tag in sentence) for sentence in tags.values())
    write_atomically(path, "\n".join(blocks))
    return path


def write_embeddings(
    folder: Path, split: Split, ids: Sequence[str], embeddings: NDArray[np.float32]
) -> Path:
    """Write sentence embeddings as parquet with the columns `id` and `embedding`.

    Args:
        folder: the folder for the file.
        split: the split.
        ids: the ids of the lines.
        embeddings: [lines, size].

    Returns:
        The file.
    """
    import pyarrow as pa
    from pyarrow import parquet

    column = pa.FixedSizeListArray.from_arrays(pa.array(embeddings.ravel()), embeddings.shape[1])
    stream = pa.BufferOutputStream()
    parquet.write_table(pa.table({"id": list(ids), "embedding": column}), stream)
    path = _submission_path(folder, split)
    write_atomically(path, stream.getvalue().to_pybytes())
    return path


def write_answers(folder: Path, split: Split, files: Mapping[str, Any]) -> list[Path]:
    """Write answers as JSON under the split's name, and the further files of SQuAD's script.

    Args:
        folder: the folder for the files.
        split: the split.
        files: name -> content; "predictions" are the answers. The others are written only if the
            benchmark's own file is called predictions too.

    Returns:
        The files.
    """
    path = _submission_path(folder, split)
    written = files if path.stem == "predictions" else {"predictions": files["predictions"]}
    paths = []
    for name, content in written.items():
        paths.append(path if name == "predictions" else path.with_name(f"{name}.json"))
        write_atomically(paths[-1], json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    return paths


def _submission_path(folder: Path, split: Split) -> Path:
    assert split.submission is not None, f"a split that is not submitted: {split.name}"
    return folder / split.submission


def _problems(
    task: Task,
    split: Split,
    ids: Sequence[str | int],
    predictions: Sequence[int] | Sequence[float],
) -> list[Problem]:
    """Return why predictions cannot be written."""
    problems: list[tuple[str, str]] = []
    if split.submission is None:
        names = ", ".join(s.name for s in task.test if s.submission) or "none"
        problems.append(("split", f"the benchmark takes no predictions of it, but of: {names}"))
    if len(ids) != len(predictions):
        problems.append(("predictions", f"{len(predictions)} for {len(ids)} examples"))
    if len(set(ids)) < len(ids):
        repeated = next(i for i in ids if list(ids).count(i) > 1)
        problems.append(("ids", f"each occurs once, got {repeated!r} again"))
    for index, prediction in enumerate(predictions):
        location = f"predictions[{index}]"
        if task.labels and prediction not in range(len(task.labels)):
            classes = f"0 to {len(task.labels) - 1}"
            problems.append((location, f"classes are {classes}, got {prediction!r}"))
        elif not math.isfinite(prediction):
            problems.append((location, f"a finite number is needed, got {prediction!r}"))
    return [Problem(location=location, text=text) for location, text in problems[:_MAX_PROBLEMS]]
