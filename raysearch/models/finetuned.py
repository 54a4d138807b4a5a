"""Fine-tuned models from their transformers folders, for prediction."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoConfig

from ..errors import InputError, Problem
from ..recipes import Hyperparameters
from ..tasks import Task
from .folder_inspection import check_sizes
from .heads import HEADS, attach_head, head_config
from .label_order import order_of, reorder
from .pretrained import _from_hub, empty_model, not_finite
from .training_record import TrainingRecord, decode_record, head_choices, of_other_task

Note = Callable[[str], None]
# Buffers that older versions of transformers saved with the weights, and poolers that a head does
# not read: they change nothing of what a model says.
_IDLE = re.compile(r"(^|\.)(position_ids|token_type_ids|num_batches_tracked)$|(^|\.)pooler\.")


def read_record(folder: Path) -> TrainingRecord | None:
    """Return what a folder says of its training; None where it says nothing.

    Raises:
        InputError: it is no model folder, or its record is none.
    """
    config = _from_hub(AutoConfig.from_pretrained, str(folder))
    return decode_record(getattr(config, "raysearch", None), str(folder))


def read_choices(folder: Path) -> dict[str, str]:
    """Return which of a task's heads a folder says that it holds."""
    return head_choices(_from_hub(AutoConfig.from_pretrained, str(folder)), str(folder))


def load_finetuned(
    folder: Path, task: Task, device: torch.device, note: Note = lambda text: None
) -> torch.nn.Module:
    """Return a model that predicts the task, its classes in the task's order.

    Args:
        note: called with what was assumed or mapped.

    Raises:
        InputError: its head is of another task or has other classes; tensors that are missing, of
            another shape, of no use to it, or not finite.
    """
    source = str(folder)
    config = _from_hub(AutoConfig.from_pretrained, source)
    known = head_config(task.head, Hyperparameters())
    own = {name: one for name, one in head_choices(config, source).items() if name in known}
    record = decode_record(getattr(config, "raysearch", None), source)
    if record and (text := of_other_task(record, task)):
        note(text)
    config.raysearch = own or None  # what `put` reads
    empty = empty_model(source, config, task.head)
    shapes = {name: tuple(x.shape) for name, x in empty.state_dict().items()}
    check_sizes(folder, shapes, f"{empty.base_model_prefix}.", lambda name: False)
    model, info = _from_hub(
        HEADS[task.head].from_pretrained, source, config=config, dtype=torch.float32,
        output_loading_info=True, ignore_mismatched_sizes=True,
    )  # fmt: skip
    attach_head(model, task.head)
    _refuse_unfit(model, info, task, source)
    order, text = order_of(model.config, task, source)
    if text:
        note(text)
    if _put_in(own):
        _fill(model, folder)
    if wrong := not_finite(model.state_dict()):
        raise _refused(source, f"{len(wrong):,} tensors hold NaN or infinity: {_some(wrong)}")
    if order is not None:
        reorder(model, order)
    return model.to(device).eval()


def _put_in(own: Mapping[str, str]) -> bool:
    """Whether a folder holds a head that transformers does not have."""
    return own.get("span_head") == "conditional"


def _refuse_unfit(model: Any, info: Mapping[str, Any], task: Task, source: str) -> None:
    """Raise InputError where weights are not those of this task's model.

    Args:
        info: what transformers says of the tensors that it read.
    """
    body, names = f"{model.base_model_prefix}.", set(model.state_dict())
    own = getattr(model.config, "raysearch", None) or {}
    missing = {name for name in info["missing_keys"] if name in names}
    if _put_in(own):  # transformers looks for its own head instead; `_fill` reads what is there
        missing = {name for name in missing if name.startswith(body)}
    unexpected = {n for n in info["unexpected_keys"] if n not in names and not _IDLE.search(n)}
    if task.head == "thought":  # embeddings, which no head reads
        unexpected = {name for name in unexpected if name.startswith(body)}
    lacking = sorted(name for name in missing if not name.startswith(body))
    if task.head != "thought":
        if lacking:
            text = f"no trained head in it: {', '.join(lacking)}; a run's best/ has one"
            raise _refused(source, text, of_folder=False)
        if (outputs := model.config.num_labels) != task.outputs:
            text = f"its head has {outputs} outputs, {task.name} has {task.outputs}"
            raise _refused(source, text, of_folder=False)
    problems = []
    missing -= set(lacking)
    if missing:
        problems.append(f"{len(missing):,} tensors are missing: {_some(missing)}")
    if unexpected:
        text = f"{len(unexpected):,} tensors are of no use to a {type(model).__name__}: "
        problems.append(f"{text}{_some(unexpected)}\nit is the folder of another model")
    if info["mismatched_keys"]:
        differing = [key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]]
        problems.append(f"{len(differing):,} tensors of another shape: {_some(differing)}")
    if problems:
        told = [Problem(location="model", text=f"'{source}': {text}") for text in problems]
        raise InputError(source, told)


def _fill(model: torch.nn.Module, folder: Path) -> None:
    """Read a head that was put in, and all else, from the folder's weights."""
    weights = folder / "model.safetensors"
    try:
        if not weights.is_file():
            raise FileNotFoundError("no model.safetensors, in which a run writes such a head")
        model.load_state_dict(load_file(weights))
    except Exception as error:  # foreign files: missing, unexpected, other shapes, other formats
        text = "; ".join(line.strip() for line in str(error).splitlines()[:4])
        raise _refused(str(folder), f"model.safetensors: {text}") from error


def _some(names: Iterable[str]) -> str:
    """Return the first few names, sorted."""
    ordered = sorted(names)
    return ", ".join(ordered[:5]) + (", ..." if len(ordered) > 5 else "")


def _refused(source: str, text: str, *, of_folder: bool = True) -> InputError:
    text = f"'{source}': {text}" if of_folder else text
    return InputError(source, [Problem(location="model", text=text)])
