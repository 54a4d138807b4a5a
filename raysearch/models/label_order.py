"""The classes of a foreign head and those of a task: which is which, by their names."""

import re
from collections.abc import Sequence
from typing import Any

import torch

from ..errors import InputError, Problem
from ..tasks import Task

_GENERIC = re.compile(r"(?:label_?)?(\d+)")


def own_labels(config: Any) -> list[str]:
    """Return the names that a configuration has for its classes, in the order of their ids."""
    labels = getattr(config, "id2label", None) or {}
    return [str(label) for _, label in sorted(labels.items(), key=lambda pair: int(pair[0]))]


def same_order(config: Any, task: Task) -> bool:
    """Whether a head has a task's classes, by the same names and in the same order."""
    return [_plain(x) for x in own_labels(config)] == [_plain(x) for x in task.labels]


def order_of(config: Any, task: Task, source: str) -> tuple[list[int] | None, str]:
    """Return the output of a head for each class of a task, and what has to be told of it.

    Args:
        config: of a head with as many outputs as the task has classes.
        source: the folder, for messages.

    Returns:
        The outputs' places in the order of the task's labels, None where they stand so already; and
        a text, "" where nothing was assumed or changed.

    Raises:
        InputError: the names are not those of the task.
    """
    own, wanted = own_labels(config), list(task.labels)
    if not wanted or same_order(config, task):
        return None, ""
    plain = [_plain(label) for label in own]
    if sorted(plain) == sorted(map(_plain, wanted)) and len(set(plain)) == len(plain):
        order = [plain.index(_plain(label)) for label in wanted]
        return order, f"its classes are mapped by their names: {_listed(own)}"
    numbers = [_GENERIC.fullmatch(label) for label in plain]
    if not own or [int(x.group(1)) if x else None for x in numbers] == list(range(len(own))):
        text = "its classes have no names; they are taken in the task's order: "
        return None, text + _listed(wanted)
    text = (
        f"'{source}': its classes are {_listed(own)}; those of {task.name} are {_listed(wanted)}\n"
        "if they mean the same, give them the task's names in config.json's id2label"
    )
    raise InputError("model", [Problem(location="model", text=text)])


def reorder(model: torch.nn.Module, order: Sequence[int]) -> None:
    """Let a model's logits stand in another order; its weights and configuration stay as they are.

    Args:
        order: the head's output for each place of the last dimension.
    """
    index = list(order)

    def permute(_: torch.nn.Module, inputs: Any, output: Any) -> Any:
        output.logits = output.logits[..., index]
        return output

    model.register_forward_hook(permute)


def _plain(label: str) -> str:
    return re.sub(r"[\s_-]+", "_", label.strip()).casefold()


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels[:20]) + (", ..." if len(labels) > 20 else "")
