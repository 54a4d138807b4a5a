"""Whether the model of each task can take the settings of a study, before anything is trained.

A model is built from its configuration, without weights, and asked. What cannot be read here is
left to the reader of the model, which says why."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from transformers import AutoConfig, PreTrainedModel
from transformers.utils import logging

from .. import tasks
from ..errors import InputError, Problem
from ..recipes import Hyperparameters
from ..study import Study
from ..study.model_names import scratch_shape
from . import scratch
from .dropouts import FIELDS, DropoutReach, find_dropout_reach
from .heads import build_model, head_config
from .layer_depths import depths_of

_WORDS = range(1000)  # stands for the tokenizer of a model from scratch

# Settings that shape how a model is built or trained -> whether a value asks for anything.
_ASKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(FIELDS, lambda rate: rate is not None),
    "layerwise_decay": lambda rate: rate not in (None, 1),
    "gradient_checkpointing": bool,
    "pooling": lambda pooling: pooling == "sum",
    "span_head": lambda head: head == "conditional",
}
_RATES = (*FIELDS, "layerwise_decay")
_OF_HEAD = {"pooling": "tag", "span_head": "span"}


def setting_problems(
    study: Study, names: Iterable[str] | None = None, *, download: bool = False
) -> list[Problem]:
    """Return the settings of a study that change nothing in the model of a task, each by its place.

    Args:
        names: of tasks; none: all of the study.
        download: ask a hub for a configuration that is not here.
    """
    known: dict[tuple[Any, ...], Mapping[str, str]] = {}
    texts: dict[tuple[str, str], list[str]] = {}
    for name in study.tasks if names is None else names:
        hyper, asked = study.hyperparameters(name, {}), _asked(study, name)
        if not asked:
            continue
        model, head = study.model_of(name), tasks.get(name).head
        fixed = {field for field in asked if field not in study.space_of(name)}
        set_here = tuple((field, getattr(hyper, field), field in fixed) for field in sorted(asked))
        key = (model, head, repr(sorted(hyper.config_overrides().items())), set_here)
        if key not in known:
            config = _configuration(model, download)
            known[key] = {} if config is None else _lacks(config, head, hyper, asked, fixed)
        for field, text in known[key].items():
            texts.setdefault((_place(study, name, field), f"{model}: {text}"), []).append(name)
    return [
        Problem(
            location=place, text=f"for {', '.join(names)} with {text}{_hint(study, names, place)}"
        )
        for (place, text), names in texts.items()
    ]


def _hint(study: Study, names: Sequence[str], place: str) -> str:
    """Return how to spare some of a study's tasks a rate that the others can take."""
    if len(names) == len(study.tasks) or place.rpartition(".")[2] not in _RATES:
        return ""
    return f"\nor spare it the task by none under per_task.{names[0]}.fixed"


def _asked(study: Study, name: str) -> set[str]:
    """Return the settings that a task's trials ask for, fixed or searched."""
    space, hyper, head = study.space_of(name), study.hyperparameters(name, {}), tasks.get(name).head
    asked = set()
    for field, asks in _ASKS.items():
        values = space[field].ends if field in space else (getattr(hyper, field),)
        if _OF_HEAD.get(field, head) == head and any(asks(value) for value in values):
            asked.add(field)
    return asked


def _place(study: Study, name: str, field: str) -> str:
    """Return where a file sets a hyperparameter for a task."""
    if name in study.per_task:
        own = study.per_task[name]
        for part in ("fixed", "space"):
            if field in getattr(own, part):
                return f"per_task.{name}.{part}.{field}"
    return f"{'space' if field in study.space_of(name) else 'fixed'}.{field}"


def _configuration(model: str, download: bool) -> dict[str, Any] | None:
    """Return a model's configuration; None where it is not at hand or cannot be read."""
    logging.set_verbosity_error()
    try:
        if scratch_shape(model):
            return scratch.scratch_config(model, _WORDS).to_dict()
        shape = AutoConfig.from_pretrained(
            model, local_files_only=not download, trust_remote_code=False
        )
    except Exception:  # foreign files: reading the model will tell
        return None
    return shape.to_dict()


def _lacks(
    config: dict[str, Any], head: str, hyper: Hyperparameters, asked: set[str], fixed: set[str]
) -> dict[str, str]:
    """Return why settings change nothing in a model: hyperparameter -> text."""
    config = {**config, **hyper.config_overrides(), "raysearch": head_config(head, hyper) or None}
    try:
        with torch.device("meta"):
            model = build_model(config, head)
        reach = find_dropout_reach(config, head) if asked & set(FIELDS) else None
    except InputError as error:  # of a head that cannot be put in
        return {problem.location: problem.text for problem in error.problems}
    except Exception:  # no such head, or a shape that cannot be: reading the model will tell
        return {}
    texts = _unreached(reach, hyper, asked, fixed) if reach else {}
    if "gradient_checkpointing" in asked and not model.supports_gradient_checkpointing:
        texts["gradient_checkpointing"] = f"{type(model).__name__} supports none: leave it out"
    if "layerwise_decay" in asked and (text := _layerless(model)):
        texts["layerwise_decay"] = text
    return texts


def _unreached(
    reach: DropoutReach, hyper: Hyperparameters, asked: set[str], fixed: set[str]
) -> dict[str, str]:
    """Return why dropouts change nothing: fixed ones by their values, searched ones by any."""
    texts = {field: text for field, text in reach.unreached(hyper).items() if field in fixed}
    searched = (field for field in FIELDS if field in asked and field not in fixed)
    return texts | {field: text for field in searched if (text := reach.lack(field))}


def _layerless(model: PreTrainedModel) -> str:
    """Return why a model's layers cannot be told; "" where they can."""
    try:
        depths_of(model)
    except InputError as error:
        return error.problems[0].text
    return ""
