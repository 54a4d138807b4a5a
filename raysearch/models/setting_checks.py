"""Check that the model of each task can take a study's settings, before anything is trained.

A model is built from its configuration, without weights, and inspected. A configuration that cannot
be read is skipped: the reader of the model reports why.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import ne
from typing import Any

import torch
from transformers import AutoConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from ..errors import InputError, Problem
from ..heads import HEADS
from ..recipes import Hyperparameters
from ..study import Study, TaskStudy
from ..study.model_names import plain_name, scratch_shape
from ..tasks import HEAD_FACTS, Head
from . import scratch
from .auto_models import build_model
from .dropouts import FIELDS, DropoutReach, find_dropout_reach
from .layer_depths import depths_of
from .lora import adapter_problems

_VOCABULARY = range(1000)  # in place of the tokenizer of a model from scratch

# Settings that shape how a model is built or trained -> whether a value has any effect. The
# default variant of a head is transformers' own.
_HAS_EFFECT: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(FIELDS, lambda rate: rate is not None),
    "layerwise_decay": lambda rate: rate not in (None, 1),
    "gradient_checkpointing": bool,
    "lora_rank": lambda rank: rank is not None,
    **{
        field: partial(ne, getattr(Hyperparameters(), field))
        for facts in HEAD_FACTS.values()
        for field in facts.variant_fields
    },
}
_RATES = (*FIELDS, "layerwise_decay")
_VARIANT_FIELDS = {field for facts in HEAD_FACTS.values() for field in facts.variant_fields}


def setting_problems(
    study: Study, names: Iterable[str] | None = None, *, download: bool = False
) -> list[Problem]:
    """Return the settings of a study that have no effect on the model of a task.

    Args:
        study: gives the settings and the models.
        names: of tasks; None: all tasks of the study.
        download: load configurations from a hub that are not in its local cache.
    """
    known: dict[tuple[Any, ...], Mapping[str, str]] = {}
    affected: dict[tuple[str, str], list[str]] = {}  # location and text -> tasks
    for name in study.tasks if names is None else names:
        task = study.resolve(name)
        hyper, fields = task.shared, _effective_fields(task)
        if not fields:
            continue
        model, head = task.model, task.row.head
        fixed, ranks = {field for field in fields if field not in task.space}, _ranks(task)
        values = tuple((field, getattr(hyper, field), field in fixed) for field in sorted(fields))
        overrides = repr(sorted(hyper.config_overrides().items()))
        key = (model, head, overrides, values, ranks, hyper.lora_targets)
        if key not in known:
            config = _read_config(model, download)
            reasons = {} if config is None else _reasons(config, head, hyper, fields, fixed)
            known[key] = reasons | _adapter_reasons(config, head, hyper, ranks)
        for field, reason in known[key].items():
            location = task.location_of(field) or f"fixed.{field}"
            affected.setdefault((location, f"{model}: {reason}"), []).append(name)
    return [
        Problem(
            location=location,
            text=f"for {', '.join(names)} with {text}{_hint(study, names, location)}",
        )
        for (location, text), names in affected.items()
    ]


def _hint(study: Study, names: Sequence[str], location: str) -> str:
    """Return how to exempt some tasks from a rate that the study's other tasks can take."""
    if len(names) == len(study.tasks) or location.rpartition(".")[2] not in _RATES:
        return ""
    return f"\nor set it to none for this task, under per_task.{names[0]}.fixed"


def _effective_fields(task: TaskStudy) -> set[str]:
    """Return the settings that a task's trials fix or search with a value that has an effect."""
    space, hyper = task.space, task.shared
    of_other_heads = _VARIANT_FIELDS - set(task.row.facts.variant_fields)
    fields = set()
    for field, has_effect in _HAS_EFFECT.items():
        values = space[field].ends if field in space else (getattr(hyper, field),)
        if field not in of_other_heads and any(map(has_effect, values)):
            fields.add(field)
    return fields


def _ranks(task: TaskStudy) -> tuple[int, ...]:
    """Return the ranks of adapters that a task's trials fix or search; none without adapters."""
    name = "lora_rank"
    values = task.space[name].ends if name in task.space else (task.shared.lora_rank,)
    return tuple(sorted(rank for rank in values if isinstance(rank, int)))


def _read_config(model: str, download: bool) -> dict[str, Any] | None:
    """Return a model's configuration as a dict; None if it is not available or cannot be read."""
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        if scratch_shape(model):
            config = scratch.scratch_config(model, _VOCABULARY)
        else:
            config = AutoConfig.from_pretrained(
                plain_name(model), local_files_only=not download, trust_remote_code=False
            )
        settings: dict[str, Any] = config.to_dict()
    except Exception:  # foreign files: the reader of the model reports the error
        return None
    return settings


def _reasons(
    config: dict[str, Any],
    head: Head,
    hyper: Hyperparameters,
    fields: set[str],
    fixed: set[str],
) -> dict[str, str]:
    """Return why settings have no effect on a model: hyperparameter -> text.

    Args:
        config: transformers' configuration as a dict.
        head: the task's head.
        hyper: the values of the settings.
        fields: the settings to check.
        fixed: the ones among them that are not searched.
    """
    config = {**config, **hyper.config_overrides(), "raysearch": HEADS[head].variant(hyper) or None}
    try:
        with torch.device("meta"):
            model = build_model(config, head)
        reach = find_dropout_reach(config, head) if fields & set(FIELDS) else None
    except InputError as error:  # the head's variant does not fit the model
        return {problem.location: problem.text for problem in error.problems}
    except Exception:  # no such head, or impossible sizes: the reader of the model reports them
        return {}
    texts = _dropout_reasons(reach, hyper, fields, fixed) if reach else {}
    if "gradient_checkpointing" in fields and not model.supports_gradient_checkpointing:
        texts["gradient_checkpointing"] = f"{type(model).__name__} supports none: leave it out"
    if "layerwise_decay" in fields and (text := _layers_problem(model)):
        texts["layerwise_decay"] = text
    return texts


def _adapter_reasons(
    config: dict[str, Any] | None, head: Head, hyper: Hyperparameters, ranks: tuple[int, ...]
) -> dict[str, str]:
    """Return why a model can take no adapters of these ranks: hyperparameter -> text."""
    if not ranks or config is None:
        return {}
    try:
        with torch.device("meta"):
            built = build_model({**config, **hyper.config_overrides()}, head)
    except Exception:  # the reader of the model reports why it cannot be built
        return {}
    return adapter_problems(built, hyper, ranks)


def _dropout_reasons(
    reach: DropoutReach, hyper: Hyperparameters, fields: set[str], fixed: set[str]
) -> dict[str, str]:
    """Return why dropouts have no effect: fixed ones with their values, searched ones with any."""
    texts = {field: text for field, text in reach.unreached(hyper).items() if field in fixed}
    searched = (field for field in FIELDS if field in fields and field not in fixed)
    return texts | {field: text for field in searched if (text := reach.lack(field))}


def _layers_problem(model: PreTrainedModel) -> str:
    """Return why the layers of a model's parameters cannot be determined; "" if they can."""
    try:
        depths_of(model)
    except InputError as error:
        return error.problems[0].text
    return ""
