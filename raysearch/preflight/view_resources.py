"""Checks of what views need besides data and a model: dictionaries, translations and teachers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import tasks
from ..errors import Problem, shorten
from ..recipes import Hyperparameters
from ..storage.uris import is_remote
from ..study import TaskStudy
from ..study.model_names import model_problems, resolve_model_folder, scratch_shape
from .file_problems import task_problems, unreadable_problem
from .model_files import model_fingerprint

# Fields of config.json that a teacher and its student must have in common.
_COMMON_FIELDS = ("model_type", "vocab_size", "hidden_size", "num_hidden_layers")


def resource_problems(task: TaskStudy, root: Path | None) -> tuple[list[Problem], list[str]]:
    """Check what the views of a task are made from, and the folder of its teacher.

    Args:
        task: the task of a study.
        root: the folder of the data; None: only models are checked.

    Returns:
        The problems, and notes on the languages that have resources.
    """
    row, kinds, leave_out = task.row, task.shared.view_kinds(), task.study.leave_out
    problems = _teacher_problems(_teacher(task.shared), row, task.model)
    if "subwords" in kinds:
        problems += _tokenizer_problems(task.model)
    if not kinds or root is None:
        return problems, []
    from ..data.augmentation import resources

    try:
        available = resources.find_resources(row, root, kinds, leave_out)
        for error in resources.resource_problems(row, root, available, leave_out):
            problems += task_problems(row, error)
    except OSError as error:
        return [*problems, unreadable_problem(row.name, error)], []
    return [*problems, *available.missing], list(available.notes)


def _teacher(hyper: Hyperparameters) -> str | None:
    """Return the folder of the teacher that a trial names, if any."""
    teacher: str | None = getattr(hyper, "teacher", None)
    return teacher and resolve_model_folder(teacher)


def _teacher_problems(teacher: str | None, task: tasks.Task, model: str) -> list[Problem]:
    """Return the problems of a teacher that its files show before its weights are read."""
    if teacher is None or is_remote(teacher):  # a run fetches it first
        return []
    if not Path(teacher).is_dir():
        text = f"no folder '{shorten(teacher)}'; a fine-tuned transformers folder or a run would"
        return [Problem(location="teacher", text=f"{text} do")]
    if problems := model_problems(teacher):
        return [replace(problem, location="teacher") for problem in problems]
    if mismatch := _mismatch(_read_config(teacher), task, model):
        text = f"'{teacher}' {mismatch}\na winner of stage 1 of the same task and model would do"
        return [Problem(location="teacher", text=text)]
    return []


def _mismatch(config: dict[str, Any], task: tasks.Task, model: str) -> str:
    """Return why a model with this config.json cannot be a teacher; "" if nothing is wrong."""
    architectures = config.get("architectures")
    outputs = len(config.get("id2label") or ()) or config.get("num_labels") or 2
    ends = task.facts.model_classes
    if architectures and not any(end in name for name in architectures for end in ends):
        return f"is {', '.join(architectures)}, without a head for {task.name}"
    if outputs != task.outputs:
        return f"has a head with {outputs} outputs, {task.name} has {task.outputs}"
    student_config = _read_config(model)
    for name in _COMMON_FIELDS:
        of_teacher, of_student = config.get(name), student_config.get(name)
        if None not in (of_teacher, of_student) and of_teacher != of_student:
            return f"has {name} {of_teacher}, '{model}' has {of_student}"
    return ""


def _read_config(folder: str) -> dict[str, Any]:
    """Return a folder's config.json; empty if it is unreadable, which reading the model reports."""
    try:
        config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _tokenizer_problems(model: str) -> list[Problem]:
    """Return a problem if a model's tokenizer files show that it cannot sample subwords."""
    from ..data.augmentation import unigram_vocabulary

    kind = "no Unigram model" if scratch_shape(model) else unigram_vocabulary.kind(model)
    if kind is None or kind == unigram_vocabulary.KIND:
        return []
    problem = unigram_vocabulary.refusal(kind)
    return [replace(problem, text=f"of '{model}' {problem.text}")]


def view_fingerprint(task: tasks.Task, data: Path, hyper: Hyperparameters) -> str:
    """Return a hash of the dictionaries, translations and teacher that trials of a task need.

    It is empty if they need none. The task's own data is not part of it.
    """
    from ..data.augmentation import resources

    teacher = _teacher(hyper)
    parts = [
        resources.fingerprint(task, data, hyper.view_kinds()),
        model_fingerprint(teacher) if teacher else "",
    ]
    return "-".join(filter(None, parts))
