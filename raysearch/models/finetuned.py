"""Fine-tuned models from their transformers folders, for prediction.

They are apart from `pretrained` because a model that predicts must be complete: no tensor of its
head may be missing or drawn at random.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, PreTrainedModel

from ..errors import InputError, Problem
from ..heads import HEADS
from ..tasks import Task
from .auto_models import ARCHITECTURES, attach_head
from .first_token_only import keep_first_token_only
from .folder_checks import check_sizes
from .label_order import output_order, reorder
from .pretrained import empty_model, from_hub, not_finite
from .training_record import TrainingRecord, decode_record, head_choices, other_task_note

Note = Callable[[str], None]
# Tensors that do not change the outputs: buffers that older versions of transformers saved with the
# weights, and poolers that a head does not read.
_IDLE = re.compile(r"(^|\.)(position_ids|token_type_ids|num_batches_tracked)$|(^|\.)pooler\.")


def read_record(folder: Path) -> TrainingRecord | None:
    """Return the record of a folder's training; None if it has none.

    Raises:
        InputError: the folder holds no model, or its record is invalid.
    """
    config = from_hub(AutoConfig.from_pretrained, str(folder))
    return decode_record(getattr(config, "raysearch", None), str(folder))


def division_note(folder: Path, task: Task) -> str:
    """Return a note if a folder's trials were compared on a part of the task's dev, else ""."""
    record = read_record(folder)
    own = record is not None and record.task in (task.name, task.predicted_by)
    return record.division_note if record and own else ""


def read_choices(folder: Path) -> dict[str, str]:
    """Return the variant of a task's head that a folder holds: hyperparameter -> value."""
    return head_choices(from_hub(AutoConfig.from_pretrained, str(folder)), str(folder))


def load_finetuned(
    folder: Path, task: Task, device: torch.device, note: Note = lambda text: None
) -> PreTrainedModel:
    """Return a model that predicts the task, its classes in the task's order, in evaluation mode.

    Args:
        folder: a transformers folder with a fine-tuned model.
        task: what to predict.
        device: where to put the model.
        note: called with each thing that was assumed or mapped.

    Raises:
        InputError: the head is of another task or has other classes; or tensors are missing, have
            another shape, are of no use to the model, or are not finite.
    """
    source = str(folder)
    config = from_hub(AutoConfig.from_pretrained, source)
    known = task.facts.variant_fields
    choices = {name: value for name, value in head_choices(config, source).items() if name in known}
    record = decode_record(getattr(config, "raysearch", None), source)
    if record and (text := other_task_note(record, task)):
        note(text)
    config.raysearch = choices or None  # what `attach_head` reads
    empty = empty_model(source, config, task.head)
    shapes = {name: tuple(x.shape) for name, x in empty.state_dict().items()}
    check_sizes(folder, shapes, f"{empty.base_model_prefix}.", lambda name: False)
    model: PreTrainedModel
    model, info = from_hub(
        ARCHITECTURES[task.head].from_pretrained,
        source,
        config=config,
        dtype=torch.float32,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    attach_head(model, task.head)
    _refuse_unfit(model, info, task, source)
    order, text = output_order(model.config, task, source)
    if text:
        note(text)
    if HEADS[task.head].has_own_modules(choices):
        _load_weights(model, folder)
    if names := not_finite(model.state_dict()):
        raise _refusal(source, f"{len(names):,} tensors hold NaN or infinity: {_shorten(names)}")
    if order is not None:
        reorder(model, order)
    model.to(device)  # type: ignore[arg-type]  # transformers decorates `to` as a function
    model.train(False)
    if task.facts.reads_first_token:  # as in training, so that outputs are equal bit by bit
        keep_first_token_only(model)
    _align(model)
    return model


def _align(model: PreTrainedModel) -> None:
    """Move a model's weights to where torch would put them, in place.

    In a file they begin anywhere, and stay there while they are mapped into memory. The last bits
    of a matrix product depend on that, so that scores would not be those of the training run.
    """
    for weight in (*model.parameters(), *model.buffers()):
        weight.data = weight.data.clone()


def _refuse_unfit(model: PreTrainedModel, info: Mapping[str, Any], task: Task, source: str) -> None:
    """Raise InputError if a folder's weights are not those of the task's model.

    `info` is what transformers reports about the tensors that it read.
    """
    body, names = f"{model.base_model_prefix}.", set(model.state_dict())
    missing = {name for name in info["missing_keys"] if name in names}
    if HEADS[task.head].has_own_modules(getattr(model.config, "raysearch", None) or {}):
        # transformers looks for its own head; `_load_weights` reads the other one.
        missing = {name for name in missing if name.startswith(body)}
    unexpected = {n for n in info["unexpected_keys"] if n not in names and not _IDLE.search(n)}
    if task.facts.writes_embeddings:  # no head reads them
        unexpected = {name for name in unexpected if name.startswith(body)}
    missing_head = sorted(name for name in missing if not name.startswith(body))
    if not task.facts.writes_embeddings:
        if missing_head:
            text = f"no trained head in it: {', '.join(missing_head)}; a run's best/ has one"
            raise _refusal(source, text, with_source=False)
        # Transformers' head of several options has one output, whatever num_labels says.
        own = task.facts.groups_options and type(model).__name__.endswith(
            task.facts.model_classes[0]
        )
        if not own and (outputs := model.config.num_labels) != task.outputs:
            text = f"its head has {outputs} outputs, {task.name} has {task.outputs}"
            raise _refusal(source, text, with_source=False)
    texts = []
    missing -= set(missing_head)
    if missing:
        texts.append(f"{len(missing):,} tensors are missing: {_shorten(missing)}")
    if unexpected:
        text = f"{len(unexpected):,} tensors are of no use to a {type(model).__name__}: "
        texts.append(f"{text}{_shorten(unexpected)}\nit is the folder of another model")
    if info["mismatched_keys"]:
        differing = [key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]]
        texts.append(f"{len(differing):,} tensors of another shape: {_shorten(differing)}")
    if texts:
        problems = [Problem(location="model", text=f"'{source}': {text}") for text in texts]
        raise InputError(source, problems)


def _load_weights(model: torch.nn.Module, folder: Path) -> None:
    """Load all weights of a folder, including a head that transformers does not have."""
    weights = folder / "model.safetensors"
    try:
        if not weights.is_file():
            raise FileNotFoundError("no model.safetensors, in which a run writes such a head")
        model.load_state_dict(load_file(weights))
    except Exception as error:  # foreign files: missing, unexpected, other shapes, other formats
        text = "; ".join(line.strip() for line in str(error).splitlines()[:4])
        raise _refusal(str(folder), f"model.safetensors: {text}") from error


def _shorten(names: Iterable[str]) -> str:
    """Return the first few names, sorted."""
    ordered = sorted(names)
    return ", ".join(ordered[:5]) + (", ..." if len(ordered) > 5 else "")


def _refusal(source: str, text: str, *, with_source: bool = True) -> InputError:
    text = f"'{source}': {text}" if with_source else text
    return InputError(source, [Problem(location="model", text=text)])
