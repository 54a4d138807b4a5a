"""Pretrained encoders as values: configuration, weights and tokenizer, read once on the driver."""

import hashlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import logging

from ..errors import InputError, Problem
from ..recipes import Hyper
from ..study.names import scratch_shape
from ..tasks import Task
from . import scratch
from .folders import staged
from .heads import HEADS, choices
from .inputs import Inputs, fit, inputs_of, task_problems, tokenizer_problems


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """An encoder with a task's head, as plain values that any process can hold.

    Attributes:
        name: what the study calls it.
        head: the task's head.
        config: transformers' configuration as a dict, with the task's labels.
        weights: parameter and buffer name -> float32 array; what is absent is drawn per trial.
        tokenizer: file name -> content.
        digest: sha256 over all of it.
    """

    name: str
    head: str
    config: dict[str, Any]
    weights: dict[str, np.ndarray]
    tokenizer: dict[str, bytes]
    digest: str

    @property
    def bytes(self) -> int:
        """Size of the weights."""
        return sum(array.nbytes for array in self.weights.values())


def read_tokenizer(name: str, texts: Iterable[str]) -> Any:
    """Return the model's tokenizer, giving what the model reads: token types where it tells them
    apart, and no more tokens than it has positions for. For `scratch` it is trained on texts.

    Raises:
        InputError: it cannot be read, cannot tell where its tokens stand in a text, or gives what
            the model cannot read; every problem of the last kind.
    """
    logging.set_verbosity_error()
    if scratch_shape(name):
        tokenizer = scratch.tokenizer(name, texts)
        config = scratch.config(name, tokenizer)
    else:
        config = _from_hub(AutoConfig.from_pretrained, name)
        tokenizer = _from_hub(AutoTokenizer.from_pretrained, name)
    if not (tokenizer.is_fast or getattr(tokenizer, "gives_offsets", False)):
        text = f"'{name}' has no fast tokenizer; a tokenizer.json would do"
        raise InputError("model", [Problem(place="model", text=text)])
    inputs = _inputs(name, config)
    if problems := tokenizer_problems(name, tokenizer, config, inputs):
        raise InputError("model", problems)
    fit(tokenizer, inputs)
    return tokenizer


def _inputs(name: str, config: Any) -> Inputs:
    """Return what a model reads. Raises InputError where its configuration builds none."""
    try:
        return inputs_of(config)
    except InputError:
        raise
    except Exception as error:  # foreign values: every architecture has its own kind of error
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        text = f"'{name}': its config.json builds no encoder: {first}"
        raise InputError("model", [Problem(place="model", text=text)]) from error


def read(name: str, task: Task, tokenizer: Any, hyper: Hyper | None = None) -> Pretrained:
    """Read an encoder and give it the task's head. Raises InputError where it cannot be read.

    Args:
        hyper: tells which of a task's heads.
    """
    if scratch_shape(name):
        config = scratch.config(name, tokenizer)
    else:
        config = _from_hub(AutoConfig.from_pretrained, name)
    if problems := task_problems(name, tokenizer, config, _inputs(name, config), task, hyper):
        raise InputError("model", problems)
    keeps_head = not scratch_shape(name) and _fits(config, task)
    if tokenizer.pad_token_id is not None:
        config.pad_token_id = tokenizer.pad_token_id  # where a head looks for a row's last token
    config.num_labels = task.outputs
    config.raysearch = choices(task.head, hyper or Hyper()) or None
    if task.labels:
        config.id2label = dict(enumerate(task.labels))
        config.label2id = {label: at for at, label in enumerate(task.labels)}
    weights = {} if scratch_shape(name) else _weights(name, task, config, keeps_head)
    config.problem_type = "regression" if task.head == "regress" else None
    files = _files(tokenizer)
    plain = config.to_dict()
    for incidental in ("_name_or_path", "transformers_version"):  # identity is content
        plain.pop(incidental, None)
    return Pretrained(
        name=name,
        head=task.head,
        config=plain,
        weights=weights,
        tokenizer=files,
        digest=_digest(plain, weights, files),
    )


def save(
    folder: Path,
    pretrained: Pretrained,
    weights: dict[str, np.ndarray],
    hyper: Hyper | None = None,
) -> None:
    """Write a transformers folder, whole or not at all.

    Args:
        hyper: the configuration that the weights were trained with; it may shape the model.
    """
    config = AutoConfig.for_model(**{**pretrained.config, **(hyper or Hyper()).shapes()})
    config.architectures = [HEADS[pretrained.head]._model_mapping[type(config)].__name__]
    with staged(folder, config, weights, replace=True) as new:
        for name, content in pretrained.tokenizer.items():
            (new / name).write_bytes(content)


def _from_hub(reader: Any, name: str, **options: Any) -> Any:
    """Read with transformers; a folder never asks the network, a failure names the model."""
    local = Path(name).is_dir()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        return reader(name, local_files_only=local, **options)
    except InputError:
        raise
    except Exception as error:  # foreign files: every reader below has its own kind of error
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        text = f"cannot read '{name}': {first}"
        if not local:
            text += "\nno folder of that name; as a hub name it needs a network or a filled cache"
        raise InputError("model", [Problem(place="model", text=text)]) from error


def _fits(config: Any, task: Task) -> bool:
    """Whether a checkpoint's own head, if it has one, is this task's."""
    if task.head == "regress":
        return config.problem_type == "regression" and config.num_labels == task.outputs
    if not task.labels:
        name = HEADS[task.head]._model_mapping[type(config)].__name__
        return name in (config.architectures or ())
    own = [str(label).lower() for _, label in sorted((config.id2label or {}).items())]
    return own == [label.lower() for label in task.labels]


def _weights(name: str, task: Task, config: Any, keeps_head: bool) -> dict[str, np.ndarray]:
    """The pretrained arrays in the names of the model with a head, float32."""
    model, info = _from_hub(
        HEADS[task.head].from_pretrained,
        name,
        config=config,
        dtype=torch.float32,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    missing = set(info["missing_keys"])
    mismatched = {key[0] if isinstance(key, tuple) else key for key in info["mismatched_keys"]}
    weights, prefix = model.state_dict(), model.base_model_prefix + "."
    head = {key for key in weights if not key.startswith(prefix)}
    # A whole head is another task's. A part of one is pretrained: ModernBERT's, before its output.
    if not keeps_head and not head & missing:
        missing |= head
    lacking = sorted(key for key in (missing | mismatched) - head if "pooler" not in key)
    if lacking:
        text = (
            f"'{name}' lacks {len(lacking)} tensors of a {type(model).__name__}: {lacking[0]}, .."
        )
        raise InputError("model", [Problem(place="model", text=text)])
    if (getattr(config, "raysearch", None) or {}).get("span_head") == "conditional":
        missing |= head  # what stands in its place is drawn anew
    known = {n: x for n, x in weights.items() if n not in missing | mismatched}
    return {n: x.numpy().copy() for n, x in known.items()}


def _files(tokenizer: Any) -> dict[str, bytes]:
    if tokenizer.is_fast:  # what the last call left set is no part of the tokenizer
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def _digest(config: dict, weights: dict[str, np.ndarray], files: dict[str, bytes]) -> str:
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for name, array in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(array).data)
    for name, content in sorted(files.items()):
        digest.update(name.encode())
        digest.update(content)
    return digest.hexdigest()
