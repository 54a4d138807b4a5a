"""The model of an earlier stage, read from a folder as weights that any process can hold.

It is apart because it checks that a teacher is the same model as its student; how a teacher is used
in training is not known here.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import InputError, Problem
from ..heads import HEADS
from ..recipes import Hyperparameters
from ..study.model_names import resolve_model_folder
from ..tasks import Task
from .finetuned import load_finetuned, read_record
from .pretrained import Pretrained, read_tokenizer
from .reusable import build_trial_model, export_weights
from .training_record import TrainingRecord

# Hyperparameters of the data that a teacher and its student should share.
_DATA_SETTINGS = (
    "max_length",
    "doc_stride",
    "stride_as",
    "query_length",
    "qa_length",
    "segments",
)


def read_teacher(
    name: str,
    task: Task,
    student: Pretrained,
    tokenizer: Any,
    hyper: Hyperparameters,
    note: Callable[[str], None] = lambda text: None,
) -> dict[str, np.ndarray]:
    """Return the weights of a teacher: parameter or buffer name -> float32 array.

    Args:
        name: a fine-tuned transformers folder, or a run.
        task: what it was trained for.
        student: the model that it teaches.
        tokenizer: the student's tokenizer.
        hyper: the student's hyperparameters.
        note: called with each assumption about the teacher, and each harmless difference.

    Raises:
        InputError: it cannot be read, was trained for another task, or is another model than the
            student's.
    """
    folder = resolve_model_folder(name)
    report = partial(_report, note, name)
    try:
        model = load_finetuned(Path(folder), task, torch.device("cpu"), report)
        record = read_record(Path(folder))
    except InputError as error:
        problems = [
            replace(problem, location="teacher", text=f"'{name}': {problem.text}")
            for problem in error.problems
        ]
        raise InputError("teacher", problems) from None
    weights = export_weights(model)
    difference = _difference(model.config, weights, record, task, student, hyper)
    if not difference and read_tokenizer(folder, ()).get_vocab() != tokenizer.get_vocab():
        difference = "with another vocabulary"
    if difference:
        text = f"'{name}' is no model of '{student.name}', it is {difference}"
        text += "\na winner of stage 1 that started from the same model would do"
        raise InputError("teacher", [Problem(location="teacher", text=text)])
    if record and (settings := _differing_settings(record.hyper, hyper, task)):
        report(f"it was trained with {settings}")
    return weights


def _difference(
    config: Any,
    weights: Mapping[str, np.ndarray],
    record: TrainingRecord | None,
    task: Task,
    student: Pretrained,
    hyper: Hyperparameters,
) -> str:
    """Return how a teacher's model differs from its student's, "" if it does not.

    `config`, `weights` and `record` are the teacher's, `hyper` are the student's hyperparameters.
    """
    with torch.device("meta"):
        expected = build_trial_model(student, hyper.config_overrides(), hyper).state_dict()
    for name, tensor in expected.items():
        if name not in weights or tensor.shape != weights[name].shape:
            return f"of another shape: {name}"
    defaults = HEADS[task.head].variant(Hyperparameters())
    choices = getattr(config, "raysearch", None) or {}
    if defaults | choices != HEADS[task.head].variant(hyper):
        return f"with another head: {choices or defaults}"
    labels, own_labels = [label.lower() for label in task.labels], _labels(config)
    if task.labels and own_labels != labels and sorted(own_labels) == sorted(labels):
        return f"with its labels in another order: {', '.join(own_labels)}"
    if record and task.facts.numeric_labels and record.hyper.label_scale != hyper.label_scale:
        scales = f"{record.hyper.label_scale:g}, not by {hyper.label_scale:g}"
        return f"with labels that were divided by {scales}"
    return ""


def _report(note: Callable[[str], None], name: str, text: str) -> None:
    note(f"teacher '{name}': {text}")


def _differing_settings(teacher: Hyperparameters, student: Hyperparameters, task: Task) -> str:
    """Return the data settings of a teacher that differ from its student's, as text."""
    texts, read_by = [], Hyperparameters.read_by_heads()
    for name in _DATA_SETTINGS:
        if task.head in read_by.get(name, (task.head,)):
            teacher_value, student_value = getattr(teacher, name), getattr(student, name)
            if teacher_value != student_value:
                texts.append(f"{name} {teacher_value}, not {student_value}")
    return ", ".join(texts)


def _labels(config: Any) -> list[str]:
    """Return the class names of a configuration in the order of their ids, in lower case."""
    return [str(label).lower() for _, label in sorted(config.id2label.items())]
