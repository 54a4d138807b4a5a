"""The classes of a foreign head, matched by name with those of a task.

It is apart because both training and prediction decide by it whether a head fits.
"""

import re
from collections.abc import Sequence
from typing import Any

import torch

from ..errors import InputError, Problem
from ..tasks import Task

_GENERIC = re.compile(r"(?:label_?)?(\d+)")  # transformers' default names: LABEL_0, ...


def own_labels(config: Any) -> list[str]:
    """Return the names of a configuration's classes, in the order of their ids."""
    labels = getattr(config, "id2label", None) or {}
    return [str(label) for _, label in sorted(labels.items(), key=lambda pair: int(pair[0]))]


def same_order(config: Any, task: Task) -> bool:
    """Return whether a head has a task's classes, by the same names and in the same order."""
    return [_normalize(x) for x in own_labels(config)] == [_normalize(x) for x in task.labels]


def output_order(config: Any, task: Task, source: str) -> tuple[list[int] | None, str]:
    """Return the output of a head for each class of a task, and a note for the user.

    Args:
        config: of a head with as many outputs as the task has classes.
        task: gives the labels.
        source: the folder, for messages.

    Returns:
        The indices of the head's outputs in the order of the task's labels, None if the order is
        the same; and a note, "" if nothing was assumed or changed.

    Raises:
        InputError: the names are not those of the task.
    """
    head_labels, labels = own_labels(config), list(task.labels)
    if not labels or same_order(config, task):
        return None, ""
    names = [_normalize(label) for label in head_labels]
    if sorted(names) == sorted(map(_normalize, labels)) and len(set(names)) == len(names):
        order = [names.index(_normalize(label)) for label in labels]
        return order, f"its classes are mapped by their names: {_shorten(head_labels)}"
    matches = [_GENERIC.fullmatch(name) for name in names]
    numbers = [int(match.group(1)) if match else None for match in matches]
    if not head_labels or numbers == list(range(len(head_labels))):
        text = "its classes have no names; they are taken in the task's order: "
        return None, text + _shorten(labels)
    text = (
        f"'{source}': its classes are {_shorten(head_labels)}; "
        f"those of {task.name} are {_shorten(labels)}\n"
        "if they mean the same, give them the task's names in config.json's id2label"
    )
    raise InputError("model", [Problem(location="model", text=text)])


def reorder(model: torch.nn.Module, order: Sequence[int]) -> None:
    """Permute a model's logits; its weights and configuration stay as they are.

    Args:
        model: changed in place.
        order: for each index of the logits' last dimension, the head's output to put there.
    """
    index = list(order)

    def permute(_: torch.nn.Module, inputs: Any, output: Any) -> Any:
        output.logits = output.logits[..., index]
        return output

    model.register_forward_hook(permute)


def _normalize(label: str) -> str:
    return re.sub(r"[\s_-]+", "_", label.strip()).casefold()


def _shorten(labels: Sequence[str]) -> str:
    return ", ".join(labels[:20]) + (", ..." if len(labels) > 20 else "")
