"""The model of an earlier stage from a folder, as weights that any process can hold. Knows that it
has to be the student's own model, and nothing of what it teaches."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import InputError, Problem
from ..recipes import Hyperparameters
from ..study.model_names import resolve_model_folder
from ..tasks import Task
from .finetuned import load_finetuned, read_record
from .heads import head_config
from .pretrained import Pretrained, read_tokenizer
from .reusable import _build, export_weights


def read_teacher(
    name: str, task: Task, student: Pretrained, tokenizer: Any, hyper: Hyperparameters,
    note: Callable[[str], None] = lambda text: None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Parameter and buffer name -> float32 array.

    Args:
        name: a fine-tuned transformers folder, or a run.
        student, tokenizer, hyper: what the trials start from that it teaches.
        note: called with what was assumed of it, or differs and does no harm.

    Raises:
        InputError: it cannot be read, was trained for another task, or is another model than the
            student's.
    """
    folder = resolve_model_folder(name)
    try:
        tell = partial(_tell, note, name)
        model = load_finetuned(Path(folder), task, torch.device("cpu"), tell)
        record = read_record(Path(folder))
    except InputError as error:
        told = [replace(p, location="teacher", text=f"'{name}': {p.text}") for p in error.problems]
        raise InputError("teacher", told) from None
    weights = export_weights(model)
    with torch.device("meta"):
        wanted = _build(student, hyper.config_overrides(), hyper).state_dict()
    usual, own = head_config(task.head, Hyperparameters()), getattr(model.config, "raysearch", None)
    differs = ""
    if other := [n for n, x in wanted.items() if n not in weights or x.shape != weights[n].shape]:
        differs = f"of another shape: {other[0]}"
    elif usual | (own or {}) != head_config(task.head, hyper):
        differs = f"with another head: {own or usual}"
    elif task.labels and _reordered(model.config, task.labels):
        differs = f"with its labels in another order: {', '.join(_labels(model.config))}"
    elif record and task.head == "regress" and record.hyper.label_scale != hyper.label_scale:
        scales = f"{record.hyper.label_scale:g}, not by {hyper.label_scale:g}"
        differs = f"with labels that were divided by {scales}"
    elif read_tokenizer(folder, ()).get_vocab() != tokenizer.get_vocab():
        differs = "with another vocabulary"
    if differs:
        text = f"'{name}' is no model of '{student.name}', it is {differs}"
        text += "\na winner of stage 1 that started from the same model would do"
        raise InputError("teacher", [Problem(location="teacher", text=text)])
    if record and (other := _other_lengths(record.hyper, hyper, task)):
        tell(f"it was trained with {other}")
    return weights


def _tell(note: Callable[[str], None], name: str, text: str) -> None:
    note(f"teacher '{name}': {text}")


def _other_lengths(own: Hyperparameters, hyper: Hyperparameters, task: Task) -> str:
    """Return what of the data a teacher was trained with otherwise than the trials it teaches."""
    names = [n for n in _LENGTHS if task.head in Hyperparameters.READ_BY_HEADS.get(n, (task.head,))]
    pairs = ((name, getattr(own, name), getattr(hyper, name)) for name in names)
    return ", ".join(f"{name} {one}, not {other}" for name, one, other in pairs if one != other)


_LENGTHS = ("max_length", "doc_stride", "stride_as", "query_length", "qa_length", "segments")


def _labels(config: Any) -> list[str]:
    return [str(label).lower() for _, label in sorted(config.id2label.items())]


def _reordered(config: Any, labels: Sequence[str]) -> bool:
    """Whether a model knows these labels by other numbers."""
    wanted, own = [label.lower() for label in labels], _labels(config)
    return own != wanted and sorted(own) == sorted(wanted)
