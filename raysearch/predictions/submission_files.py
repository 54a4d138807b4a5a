"""Predictions in the layout in which a benchmark takes them."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, Problem
from ..storage import write_atomically
from ..tasks import Split, Task


def write_submission(
    folder: Path,
    task: Task,
    split: Split,
    ids: Sequence[str | int],
    predictions: Sequence[int] | Sequence[float],
) -> Path:
    """Write classes, options or numbers under the name that the benchmark expects; gives its path.

    Args:
        folder: where it goes.
        split: one of the task's test splits.
        ids: the examples', in the order of the test file.
        predictions: class ids, or numbers of a regression, which are clipped to its bounds and
            have three decimals.

    Raises:
        InputError: no file name for this split, or predictions that no file can hold.
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
    path = folder / split.submission
    write_atomically(path, "\n".join(lines) + "\n")
    return path


def write_tags(folder: Path, task: Task, split: Split, found: Mapping[str, Sequence[int]]) -> Path:
    """Write tags as XTREME takes them: one a line, an empty line between sentences."""
    path = folder / split.submission
    blocks = ("".join(f"{task.labels[tag]}\n" for tag in tags) for tags in found.values())
    write_atomically(path, "\n".join(blocks))
    return path


def write_embeddings(folder: Path, split: Split, ids: Sequence[str], found: Any) -> Path:
    """Write sentence embeddings as parquet: `id`, and `embedding`, so many float32.

    Args:
        found: [lines, numbers].
    """
    import pyarrow as pa
    from pyarrow import parquet

    numbers = pa.FixedSizeListArray.from_arrays(pa.array(found.ravel()), found.shape[1])
    whole = pa.BufferOutputStream()
    parquet.write_table(pa.table({"id": list(ids), "embedding": numbers}), whole)
    path = folder / split.submission
    write_atomically(path, whole.getvalue().to_pybytes())
    return path


def write_answers(folder: Path, split: Split, files: Mapping[str, Any]) -> list[Path]:
    """Write answers as JSON under the split's name, and what SQuAD's script leaves beside them.

    Args:
        files: name -> content; "predictions" are the answers themselves.
    """
    path = folder / split.submission
    beside = files if path.stem == "predictions" else {"predictions": files["predictions"]}
    paths = []
    for name, content in beside.items():
        paths.append(path if name == "predictions" else path.with_name(f"{name}.json"))
        write_atomically(paths[-1], json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    return paths


def _problems(
    task: Task,
    split: Split,
    ids: Sequence[str | int],
    predictions: Sequence[int] | Sequence[float],
) -> list[Problem]:
    found: list[tuple[str, str]] = []
    if split.submission is None:
        names = ", ".join(s.name for s in task.test if s.submission) or "none"
        found.append(("split", f"the benchmark takes no predictions of it, but of: {names}"))
    if len(ids) != len(predictions):
        found.append(("predictions", f"{len(predictions)} for {len(ids)} examples"))
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if list(ids).count(i) > 1)
        found.append(("ids", f"each stands once, got {twice!r} again"))
    for at, prediction in enumerate(predictions):
        if task.labels and prediction not in range(len(task.labels)):
            known = f"0 to {len(task.labels) - 1}"
            found.append((f"predictions[{at}]", f"classes are {known}, got {prediction!r}"))
        elif not math.isfinite(prediction):
            found.append((f"predictions[{at}]", f"a finite number is needed, got {prediction!r}"))
    return [Problem(location=place, text=text) for place, text in found[:10]]
