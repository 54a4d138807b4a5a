"""What trials need besides data and a model: what views are made from, and teachers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import tasks
from ..errors import Problem, shorten
from ..recipes import Hyperparameters
from ..study import Study
from ..study.model_names import model_problems, resolve_model_folder, scratch_shape
from .file_problems import task_problems, unreadable
from .model_files import model_fingerprint

# What the names of transformers' models with these heads hold.
_HEADS = {
    "classify": "ForSequenceClassification", "tag": "ForTokenClassification",
    "span": "ForQuestionAnswering",
}  # fmt: skip
_ALIKE = ("model_type", "vocab_size", "hidden_size", "num_hidden_layers")


def resource_problems(
    study: Study, task: tasks.Task, root: Path | None
) -> tuple[list[Problem], list[str]]:
    """What is wrong with what a task's views are made from and with the folder of its teacher; the
    languages that there are. Without a data folder only models are looked at."""
    hyper, spare, model = (
        study.hyperparameters(task.name, {}),
        study.leave_out,
        study.model_of(task.name),
    )
    needs, found = hyper.view_kinds(), _teacher_problems(_teacher(hyper), task, model)
    if "subwords" in needs:
        found += _tokenizer_problems(model)
    if not needs or root is None:
        return found, []
    from ..data.augmentation import resources

    try:
        there = resources.find_resources(task, root, needs, spare)
        for error in resources.resource_problems(task, root, there, spare):
            found += task_problems(task, error)
    except OSError as error:
        return [*found, unreadable(task.name, error)], []
    return [*found, *there.missing], list(there.notes)


def _teacher(hyper: Hyperparameters) -> str | None:
    """The folder of the model that teaches, where one is named."""
    named = getattr(hyper, "teacher", None)
    return named and resolve_model_folder(named)


def _teacher_problems(teacher: str | None, task: tasks.Task, model: str) -> list[Problem]:
    """What is wrong with a teacher, as far as its files tell before weights are read."""
    if teacher is None:
        return []
    if not Path(teacher).is_dir():
        text = f"no folder '{shorten(teacher)}'; a fine-tuned transformers folder or a run would"
        return [Problem(location="teacher", text=f"{text} do")]
    if found := model_problems(teacher):
        return [replace(problem, location="teacher") for problem in found]
    if text := _unfit(_configuration(teacher), task, model):
        text = f"'{teacher}' {text}\na winner of stage 1 of the same task and model would do"
        return [Problem(location="teacher", text=text)]
    return []


def _unfit(config: dict[str, Any], task: tasks.Task, model: str) -> str:
    """Why a model with this config.json cannot teach; "" where it tells of nothing."""
    built = config.get("architectures")
    outputs = len(config.get("id2label") or ()) or config.get("num_labels") or 2
    if built and not any(_HEADS.get(task.head, "") in one for one in built):
        return f"is {', '.join(built)}, without a head for {task.name}"
    if outputs != task.outputs:
        return f"has a head with {outputs} outputs, {task.name} has {task.outputs}"
    student = _configuration(model)
    for name in _ALIKE:
        one, other = config.get(name), student.get(name)
        if None not in (one, other) and one != other:
            return f"has {name} {one}, '{model}' has {other}"
    return ""


def _configuration(folder: str) -> dict[str, Any]:
    """A folder's config.json; empty where it cannot be read: reading the model will tell."""
    try:
        found = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _tokenizer_problems(model: str) -> list[Problem]:
    """Whether a model's words can be divided anew, as far as its files tell before it is read."""
    from ..data.augmentation import unigram

    kind = "no Unigram model" if scratch_shape(model) else unigram.kind(model)
    if kind in (None, unigram.KIND):
        return []
    problem = unigram.refusal(kind)
    return [replace(problem, text=f"of '{model}' {problem.text}")]


def view_fingerprint(task: tasks.Task, data: Path, hyper: Hyperparameters) -> str:
    """Identity of the dictionaries, translations and teacher that trials of a task need besides its
    own data; empty where they need none."""
    from ..data.augmentation import resources

    teacher = _teacher(hyper)
    parts = [
        resources.fingerprint(task, data, hyper.view_kinds()),
        teacher and model_fingerprint(teacher),
    ]
    return "-".join(filter(None, parts))
