"""Files of one prediction for each example, in the formats that benchmarks take.

They are apart from the heads because several heads write them, and because they need no model.
"""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError, Problem
from ..storage import write_atomically
from ..tasks import Split, Task
from ..tasks.example_ids import id_parts

_MAX_PROBLEMS = 10


def write_submission(
    folder: Path,
    task: Task,
    split: Split,
    ids: Sequence[str | int],
    predictions: Sequence[float] | np.ndarray,
    text: Callable[[float, Task], str],
) -> Path:
    """Write classes, options or numbers under the name that the benchmark expects.

    Args:
        folder: the folder for the file.
        task: the task.
        split: one of the task's splits with a submission file.
        ids: the ids of the examples, in the order of the test file.
        predictions: class ids, indices of options, or numbers of a regression; [examples].
        text: returns a prediction as the benchmark spells it.

    Returns:
        The file.

    Raises:
        InputError: the benchmark takes no predictions of the split, or they cannot be written.
    """
    problems = _problems(task, split, ids, predictions)
    if problems:
        raise InputError(f"{task.name} {split.name}", problems)
    lines = [text(prediction, task) for prediction in predictions]
    if task.layout == "jsonl":
        lines = [json_line(str(i), _number(line)) for i, line in zip(ids, lines, strict=True)]
    elif task.layout == "nested_jsonl":
        lines = _nested_lines([*map(str, ids)], lines)
    elif task.layout != "lines":
        lines = [f"{i}\t{line}" for i, line in zip(ids, lines, strict=True)]
    if task.layout == "glue":
        lines = ["index\tprediction", *lines]
    path = submission_path(folder, split)
    write_atomically(path, "\n".join(lines) + "\n")
    return path


def json_line(identity: str, label: int | str) -> str:
    """Return the line of a prediction in SuperGLUE's format: `idx`, the last part of its id."""
    line = {"idx": _number(id_parts(identity)[-1]), "label": label}
    return json.dumps(line, ensure_ascii=False)


def _nested_lines(ids: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Return the lines of MultiRC's format: an object for each passage.

    Args:
        ids: of answers: passage, question and answer.
        labels: of the answers.
    """
    passages: dict[str, dict[str, list[dict[str, int | str]]]] = {}
    for identity, label in zip(ids, labels, strict=True):
        passage, question, answer = id_parts(identity)
        answers = passages.setdefault(passage, {}).setdefault(question, [])
        answers.append({"idx": _number(answer), "label": _number(label)})
    return [
        json.dumps(
            {
                "idx": _number(passage),
                "passage": {
                    "questions": [
                        {"idx": _number(name), "answers": answers}
                        for name, answers in questions.items()
                    ]
                },
            }
        )
        for passage, questions in passages.items()
    ]


def _number(text: str) -> int | str:
    """Return a whole number as such, and any other text as it is."""
    return int(text) if text.isdecimal() and text.isascii() else text


def submission_path(folder: Path, split: Split) -> Path:
    """Return the file of a split's predictions, under the name that the benchmark expects."""
    assert split.submission is not None, f"a split that is not submitted: {split.name}"
    return folder / split.submission


def _problems(
    task: Task,
    split: Split,
    ids: Sequence[str | int],
    predictions: Sequence[float] | np.ndarray,
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
