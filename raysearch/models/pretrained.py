"""Pretrained encoders as values: configuration, weights and tokenizer, read once on the driver."""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import logging

from .. import __version__
from ..errors import InputError, Problem
from ..recipes import Hyperparameters
from ..study.model_names import scratch_shape
from ..tasks import Task
from . import scratch
from .folder_inspection import check_sizes, inspect_model_folder
from .heads import HEADS, head_config
from .input_limits import (
    InputLimits,
    find_input_limits,
    fit_tokenizer,
    task_problems,
    tokenizer_problems,
)
from .label_order import own_labels, same_order
from .model_folder import staged_model_folder
from .training_record import FIELD, TrainingRecord, decode_record, head_choices

# What few vocabularies have: a tokenizer that fails at unknown characters fails here.
_PROBE = "a \u0bf5 \U0001f9ff \ufffd"


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
        task: the task's name.
        notes: what was assumed or left of a folder that has been fine-tuned before.
    """

    name: str
    head: str
    config: dict[str, Any]
    weights: dict[str, np.ndarray]
    tokenizer: dict[str, bytes]
    digest: str
    task: str = ""
    notes: tuple[str, ...] = ()

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
        tokenizer = scratch.train_tokenizer(name, texts)
        config = scratch.scratch_config(name, tokenizer)
    else:
        config = _from_hub(AutoConfig.from_pretrained, name)
        tokenizer = _from_hub(AutoTokenizer.from_pretrained, name)
        with _reading(name, "tokenizer"):
            tokenizer(_PROBE, truncation=True, max_length=8)
            if not set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens):
                raise ValueError(
                    "it has no vocabulary; the files of the model's tokenizer would do"
                )
        tokenizer.init_kwargs.pop("trust_remote_code", None)  # it would be saved with the tokenizer
    if not (tokenizer.is_fast or getattr(tokenizer, "gives_offsets", False)):
        text = f"'{name}' has no fast tokenizer; a tokenizer.json would do"
        raise InputError("model", [Problem(location="model", text=text)])
    inputs = _inputs(name, config)
    if problems := tokenizer_problems(name, tokenizer, config, inputs):
        raise InputError("model", problems)
    fit_tokenizer(tokenizer, inputs)
    return tokenizer


def _inputs(name: str, config: Any) -> InputLimits:
    """Return what a model reads. Raises InputError where its configuration builds none."""
    try:
        return find_input_limits(config)
    except InputError:
        raise
    except Exception as error:  # foreign values: every architecture has its own kind of error
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        text = f"'{name}': its config.json builds no encoder: {first}"
        raise InputError("model", [Problem(location="model", text=text)]) from error


def read_pretrained(
    name: str, task: Task, tokenizer: Any, hyper: Hyperparameters | None = None
) -> Pretrained:
    """Read an encoder and give it the task's head. Raises InputError where it cannot be read.

    Args:
        hyper: tells which of a task's heads.
    """
    hyper = hyper or Hyperparameters()
    if scratch_shape(name):
        config, keeps_head, why = scratch.scratch_config(name, tokenizer), False, ""
    else:
        config = _from_hub(AutoConfig.from_pretrained, name)
    if problems := task_problems(name, tokenizer, config, _inputs(name, config), task, hyper):
        raise InputError("model", problems)
    if not scratch_shape(name):
        keeps_head, why = _fits(config, task, hyper, name)
    if tokenizer.pad_token_id is not None:
        config.pad_token_id = tokenizer.pad_token_id  # where a head looks for a row's last token
    config.num_labels = task.outputs
    config.raysearch = head_config(task.head, hyper) or None
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
        task=task.name,
        notes=(f"'{name}': {why}",) if why else (),
    )


def save_model(
    folder: Path,
    pretrained: Pretrained,
    weights: dict[str, np.ndarray],
    hyper: Hyperparameters | None = None,
    trial: Mapping[str, Any] | None = None,
) -> None:
    """Write a transformers folder, whole or not at all.

    Args:
        hyper: the configuration that the weights were trained with; it may shape the model, and is
            recorded in the folder together with its task. None records nothing.
        trial: what else is recorded of the training, see TrainingRecord.
    """
    shape = {**pretrained.config, **(hyper or Hyperparameters()).config_overrides()}
    shape.pop("auto_map", None)  # of a hub's model: no code of its own was run to train it
    config = AutoConfig.for_model(**{**shape, "dtype": "float32"})  # as the weights are, always
    config.architectures = [HEADS[pretrained.head]._model_mapping[type(config)].__name__]
    files = pretrained.tokenizer
    if hyper is not None and pretrained.task:
        files, limit = _limited(files, hyper.max_length)
        record = TrainingRecord(
            version=__version__, task=pretrained.task, model=pretrained.name, hyper=hyper,
            tokenizer_limit=limit, trial=trial or {},
        )  # fmt: skip
        config.raysearch = record.encode()
        files = {**files, "README.md": record.card().encode()}
    with staged_model_folder(folder, config, weights, replace=True) as new:
        for name, content in files.items():
            (new / name).write_bytes(content)


def _limited(files: dict[str, bytes], length: int) -> tuple[dict[str, bytes], int | None]:
    """Return a tokenizer's files with the length of the training, and the length they had."""
    name = "tokenizer_config.json"
    settings = json.loads(files.get(name, b"{}"))
    limit = settings.get("model_max_length")
    limit = limit if isinstance(limit, int) else None
    if limit is not None and limit > length:
        settings["model_max_length"] = length
    elif not settings.pop("auto_map", None):
        return files, limit
    settings.pop("auto_map", None)
    text = json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return {**files, name: text.encode()}, limit


def _from_hub(reader: Any, name: str, **options: Any) -> Any:
    """Read with transformers, whose code alone is run; a folder never asks the network.

    Raises:
        InputError: it cannot be read; the text names the model and the files.
    """
    local = Path(name).is_dir()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if local:
        inspect_model_folder(Path(name))
    kinds = {AutoConfig.from_pretrained: "config.json", AutoTokenizer.from_pretrained: "tokenizer"}
    hint = "no folder of that name; as a hub name it needs a network or a filled cache"
    with _reading(name, kinds.get(reader, "weights"), "" if local else hint):
        return reader(name, local_files_only=local, trust_remote_code=False, **options)


@contextmanager
def _reading(name: str, part: str, hint: str = "") -> Iterator[None]:
    """Turn whatever goes wrong with foreign files into an InputError that names the model.

    Args:
        part: the file or files that are read.
        hint: a further line.
    """
    try:
        yield
    except (InputError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # each reader has its own; a panic of Rust is no Exception
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        text = f"cannot read '{name}', {part}: {first}" + (f"\n{hint}" if hint else "")
        raise InputError("model", [Problem(location="model", text=text)]) from error


def empty_model(name: str, config: Any, head: str) -> Any:
    """Return the model of a configuration without values: its shapes alone take no memory."""
    with _reading(name, "config.json"), torch.device("meta"):
        return HEADS[head].from_config(config, dtype=torch.float32, trust_remote_code=False)


def _fits(config: Any, task: Task, hyper: Hyperparameters, name: str) -> tuple[bool, str]:
    """Return whether a checkpoint's own head, if it has one, is this task's; and what to tell.

    A head whose classes stand in another order, or that was trained with other units or another
    reading of words, is drawn anew: it would begin with the wrong answers.
    """
    anew = "; the head is drawn anew"
    record = decode_record(getattr(config, FIELD, None), name)
    if task.head == "regress":
        if config.problem_type != "regression" or config.num_labels != task.outputs:
            return False, ""
        if record and record.hyper.label_scale != hyper.label_scale:
            scale = f"{record.hyper.label_scale:g}, not {hyper.label_scale:g}"
            return False, f"its labels were divided by {scale}{anew}"
        return True, ""
    wanted = head_config(task.head, hyper)
    other = {n: x for n, x in head_choices(config, name).items() if wanted.get(n, x) != x}
    if other:
        return False, f"its head was trained with {other}, not {wanted}{anew}"
    if not task.labels:
        architecture = HEADS[task.head]._model_mapping[type(config)].__name__
        return architecture in (config.architectures or ()), ""
    if same_order(config, task):
        return True, ""
    labels = sorted(label.casefold() for label in own_labels(config))
    if labels == sorted(label.casefold() for label in task.labels):
        return False, f"its classes stand in another order: {', '.join(own_labels(config))}{anew}"
    return False, ""


def _weights(name: str, task: Task, config: Any, keeps_head: bool) -> dict[str, np.ndarray]:
    """The pretrained arrays in the names of the model with a head, float32."""
    if Path(name).is_dir():
        empty = empty_model(name, config, task.head)
        shapes = {n: tuple(x.shape) for n, x in empty.state_dict().items()}
        prefix = empty.base_model_prefix + "."
        check_sizes(Path(name), shapes, prefix, lambda n: not (keeps_head or n.startswith(prefix)))
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
    if keeps_head and (other := sorted(head & mismatched)):
        text = f"'{name}': its head has tensors of another shape than its labels: {other[0]}"
        raise InputError("model", [Problem(location="model", text=text)])
    # A whole head is another task's. A part of one is pretrained: ModernBERT's, before its output.
    if not keeps_head and not head & missing:
        missing |= head
    lacking = sorted(key for key in (missing | mismatched) - head if "pooler" not in key)
    if lacking:
        text = (
            f"'{name}' lacks {len(lacking)} tensors of a {type(model).__name__}: {lacking[0]}, .."
        )
        raise InputError("model", [Problem(location="model", text=text)])
    if layers := _more_layers(info["unexpected_keys"], weights, prefix):
        text = f"'{name}' has more layers than its config.json tells: {layers[0]}, .."
        raise InputError("model", [Problem(location="model", text=text)])
    if wrong := not_finite(weights):
        text = f"'{name}': {len(wrong):,} tensors hold NaN or infinity: {', '.join(wrong[:5])}"
        raise InputError("model", [Problem(location="model", text=text)])
    if (getattr(config, "raysearch", None) or {}).get("span_head") == "conditional":
        missing |= head  # what stands in its place is drawn anew
    known = {n: x for n, x in weights.items() if n not in missing | mismatched}
    return {n: x.numpy().copy() for n, x in known.items()}


def _more_layers(unexpected: Iterable[str], known: Iterable[str], prefix: str) -> list[str]:
    """Return the tensors of layers that a model does not have, beside others of the same kind.

    Heads of a pre-training, which no fine-tuning reads, are none of them.
    """
    kinds = {re.sub(r"\.\d+\.", ".N.", name.removeprefix(prefix)) for name in known}
    beside = (name.removeprefix(prefix) for name in sorted(unexpected))
    numbered = ((name, re.sub(r"\.\d+\.", ".N.", name)) for name in beside)
    return [name for name, kind in numbered if kind != name and kind in kinds]


def not_finite(weights: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the names of the tensors that hold NaN or infinity."""
    return [n for n, x in weights.items() if x.is_floating_point() and not x.isfinite().all()]


def _files(tokenizer: Any) -> dict[str, bytes]:
    if tokenizer.is_fast:  # what the last call left set is no part of the tokenizer
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        files = [path for path in sorted(Path(folder).iterdir()) if path.is_file()]
        # Templates of chats are no part of an encoder, and may be links to any file.
        return {f.name: f.read_bytes() for f in files if not f.name.startswith("chat_template")}


def _digest(config: dict, weights: dict[str, np.ndarray], files: dict[str, bytes]) -> str:
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for name, array in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(array).data)
    for name, content in sorted(files.items()):
        digest.update(name.encode())
        digest.update(content)
    return digest.hexdigest()
