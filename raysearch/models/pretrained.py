"""Pretrained encoders as values: configuration, weights and tokenizer.

They are read once, on the driver; any process can hold them without reading a model folder again.
"""

import hashlib
import json
import logging
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel
from transformers.utils import logging as transformers_logging

from ..errors import InputError, Problem, first_line
from ..heads import HEADS
from ..recipes import Hyperparameters
from ..study.model_names import hub_cure, plain_name, scratch_shape
from ..tasks import Head, Task
from . import scratch
from .auto_models import ARCHITECTURES
from .folder_checks import check_sizes, inspect_model_folder
from .input_limits import (
    InputLimits,
    find_input_limits,
    fit_tokenizer,
    task_problems,
    tokenizer_problems,
)
from .label_order import own_labels, same_order
from .training_record import FIELD, decode_record, head_choices

# Characters that few vocabularies have: a tokenizer that fails at unknown characters fails here.
_PROBE = "a \u0bf5 \U0001f9ff \ufffd"


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """An encoder with a task's head, as plain values that any process can hold.

    Attributes:
        name: the model's name in the study.
        head: the task's head.
        config: transformers' configuration as a dict, with the task's labels.
        weights: parameter or buffer name -> float32 array. Each trial draws the ones that are
            absent.
        tokenizer: file name -> content.
        digest: sha256 of configuration, weights and tokenizer.
        task: the task's name.
        definition: of a user's own task, see `Task`.
        notes: what was assumed about a folder that was fine-tuned before, or not used of it.
    """

    name: str
    head: Head
    config: dict[str, Any]
    weights: dict[str, np.ndarray]
    tokenizer: dict[str, bytes]
    digest: str
    task: str = ""
    definition: str = ""
    notes: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Return the size of the weights in bytes."""
        return sum(array.nbytes for array in self.weights.values())


def read_tokenizer(name: str, texts: Iterable[str]) -> Any:
    """Return a model's tokenizer, set to give what the model reads.

    It gives token types if the model tells them apart, and no more tokens than the model has
    positions for.

    Args:
        name: a folder, a hub name, or `scratch` with its variants.
        texts: what the tokenizer of a `scratch` model is trained on; not read for other models.

    Raises:
        InputError: the tokenizer cannot be read, cannot tell the offsets of its tokens, or gives
            something that the model cannot read (all problems of this last kind are listed).
    """
    transformers_logging.set_verbosity(logging.ERROR)
    if scratch_shape(name):
        tokenizer = scratch.train_tokenizer(name, texts)
        config = scratch.scratch_config(name, tokenizer)
    else:
        config = from_hub(AutoConfig.from_pretrained, name)
        tokenizer = open_tokenizer(name)
    limits = input_limits_of(name, config)
    if problems := tokenizer_problems(name, tokenizer, config, limits):
        raise InputError("model", problems)
    fit_tokenizer(tokenizer, limits)
    return tokenizer


def open_tokenizer(name: str) -> Any:
    """Return the tokenizer of a folder or a hub name, as its files set it.

    Raises:
        InputError: it cannot be read, has no vocabulary, or cannot tell the offsets of its tokens.
    """
    tokenizer = from_hub(AutoTokenizer.from_pretrained, name)
    with _reading(name, "tokenizer"):
        tokenizer(_PROBE, truncation=True, max_length=8)
        if not set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens):
            raise ValueError("it has no vocabulary; the files of the model's tokenizer would do")
    tokenizer.init_kwargs.pop("trust_remote_code", None)  # it would be saved with the tokenizer
    if not (tokenizer.is_fast or getattr(tokenizer, "gives_offsets", False)):
        text = f"'{name}' has no fast tokenizer; a tokenizer.json would do"
        raise InputError("model", [Problem(location="model", text=text)])
    return tokenizer


def input_limits_of(name: str, config: Any) -> InputLimits:
    """Return the input limits of a model.

    Args:
        name: the model's name in the study, for messages.
        config: its transformers configuration.

    Raises:
        InputError: no encoder can be built from the configuration.
    """
    try:
        return find_input_limits(config)
    except InputError:
        raise
    except Exception as error:  # foreign values: every architecture raises its own kind of error
        text = f"'{name}': its config.json builds no encoder: {first_line(error)}"
        raise InputError("model", [Problem(location="model", text=text)]) from error


def read_pretrained(
    name: str, task: Task, tokenizer: Any, hyper: Hyperparameters | None = None
) -> Pretrained:
    """Read an encoder and give it the task's head.

    Args:
        name: a folder, a hub name, or `scratch` with its variants.
        task: sets the head and its labels.
        tokenizer: the model's tokenizer, from `read_tokenizer`.
        hyper: selects among the heads of a task; None selects the default head.

    Raises:
        InputError: the model cannot be read, or cannot be trained on the task.
    """
    hyper = hyper or Hyperparameters()
    keeps_head, why_drawn = False, ""
    if scratch_shape(name):
        config = scratch.scratch_config(name, tokenizer)
    else:
        config = from_hub(AutoConfig.from_pretrained, name)
    limits = input_limits_of(name, config)
    if problems := task_problems(name, tokenizer, config, limits, task, hyper):
        raise InputError("model", problems)
    if not scratch_shape(name):
        keeps_head, why_drawn = _keeps_head(config, task, hyper, name)
    if tokenizer.pad_token_id is not None:
        config.pad_token_id = tokenizer.pad_token_id  # heads find a row's last token by it
    config.num_labels = task.outputs
    config.raysearch = HEADS[task.head].variant(hyper) or None
    if task.labels:
        config.id2label = dict(enumerate(task.labels))
        config.label2id = {label: index for index, label in enumerate(task.labels)}
    weights = {} if scratch_shape(name) else _read_weights(name, task, config, keeps_head)
    config.problem_type = "regression" if task.facts.numeric_labels else None
    files = tokenizer_files(tokenizer)
    settings = config.to_dict()
    for incidental in ("_name_or_path", "transformers_version"):  # the digest is of content alone
        settings.pop(incidental, None)
    return Pretrained(
        name=name,
        head=task.head,
        config=settings,
        weights=weights,
        tokenizer=files,
        digest=_digest(settings, weights, files),
        task=task.name,
        definition=task.definition,
        notes=(f"'{name}': {why_drawn}",) if why_drawn else (),
    )


def from_hub(reader: Callable[..., Any], name: str, **options: Any) -> Any:
    """Read a model folder or a hub's model with transformers, running no code but transformers'.

    A folder is read without the network.

    Args:
        reader: a `from_pretrained`.
        name: a folder or a hub name.
        options: further arguments of the reader.

    Raises:
        InputError: it cannot be read; the text names the model and the files.
    """
    local = Path(name).is_dir()
    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # not typed
    if local:
        inspect_model_folder(Path(name))
    parts = {AutoConfig.from_pretrained: "config.json", AutoTokenizer.from_pretrained: "tokenizer"}
    source = plain_name(name)
    hint = "" if local else f"no folder of that name; {hub_cure(source)}"
    with _reading(name, parts.get(reader, "weights"), hint):
        return reader(source, local_files_only=local, trust_remote_code=False, **options)


@contextmanager
def _reading(name: str, part: str, hint: str = "") -> Iterator[None]:
    """Turn any error of reading foreign files into an InputError that names the model and `part`.

    A `hint` becomes a further line of the message.
    """
    try:
        yield
    except (InputError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # each reader has its own; a panic of Rust is no Exception
        text = f"cannot read '{name}', {part}: {first_line(error)}" + (f"\n{hint}" if hint else "")
        raise InputError("model", [Problem(location="model", text=text)]) from error


def empty_model(name: str, config: Any, head: Head) -> PreTrainedModel:
    """Return the model of a configuration on the meta device: shapes without values or memory."""
    with _reading(name, "config.json"), torch.device("meta"):
        return ARCHITECTURES[head].from_config(config, dtype=torch.float32, trust_remote_code=False)


def _keeps_head(config: Any, task: Task, hyper: Hyperparameters, name: str) -> tuple[bool, str]:
    """Return whether a checkpoint's head is used for the task, and a note if one is discarded.

    A head is discarded if its classes are in another order, its labels had other units, or it was
    trained with another choice of head: its first predictions would be wrong.
    """
    drawn = "; the head is drawn anew"
    record = decode_record(getattr(config, FIELD, None), name)
    if task.facts.numeric_labels:
        if config.problem_type != "regression" or config.num_labels != task.outputs:
            return False, ""
        if record and record.hyper.label_scale != hyper.label_scale:
            scales = f"{record.hyper.label_scale:g}, not {hyper.label_scale:g}"
            return False, f"its labels were divided by {scales}{drawn}"
        return True, ""
    choices, stored = HEADS[task.head].variant(hyper), head_choices(config, name)
    if differing := {n: value for n, value in stored.items() if choices.get(n, value) != value}:
        return False, f"its head was trained with {differing}, not {choices}{drawn}"
    if HEADS[task.head].has_own_modules(stored):  # transformers cannot read them
        return False, f"its conditional head is not trained further{drawn}"
    if not task.labels:
        architecture = ARCHITECTURES[task.head][type(config)].__name__
        return architecture in (config.architectures or ()), ""
    if same_order(config, task):
        return True, ""
    labels = sorted(label.casefold() for label in own_labels(config))
    if labels == sorted(label.casefold() for label in task.labels):
        return False, f"its classes stand in another order: {', '.join(own_labels(config))}{drawn}"
    return False, ""


def _read_weights(name: str, task: Task, config: Any, keeps_head: bool) -> dict[str, np.ndarray]:
    """Return the pretrained float32 arrays under the parameter names of the model with its head."""
    if Path(name).is_dir():
        empty = empty_model(name, config, task.head)
        shapes = {n: tuple(x.shape) for n, x in empty.state_dict().items()}
        prefix = empty.base_model_prefix + "."
        check_sizes(Path(name), shapes, prefix, lambda n: not (keeps_head or n.startswith(prefix)))
    model, info = from_hub(
        ARCHITECTURES[task.head].from_pretrained,
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
    if keeps_head and (unfit := sorted(head & mismatched)):
        raise _refusal(
            f"'{name}': its head has tensors of another shape than its labels: {unfit[0]}"
        )
    # A complete head belongs to another task. Part of one is pretrained (ModernBERT's first layer).
    if not keeps_head and not head & missing:
        missing |= head
    lacking = sorted(key for key in (missing | mismatched) - head if "pooler" not in key)
    if lacking:
        text = f"lacks {len(lacking)} tensors of a {type(model).__name__}: {lacking[0]}, .."
        raise _refusal(f"'{name}' {text}")
    if layers := _extra_layers(info["unexpected_keys"], weights, prefix):
        raise _refusal(f"'{name}' has more layers than its config.json tells: {layers[0]}, ..")
    if names := not_finite(weights):
        text = f"{len(names):,} tensors hold NaN or infinity: {', '.join(names[:5])}"
        raise _refusal(f"'{name}': {text}")
    if HEADS[task.head].has_own_modules(getattr(config, "raysearch", None) or {}):
        missing |= head  # transformers' head is replaced by one that is drawn
    known = {n: x for n, x in weights.items() if n not in missing | mismatched}
    return {n: x.numpy().copy() for n, x in known.items()}


def _refusal(text: str) -> InputError:
    return InputError("model", [Problem(location="model", text=text)])


def _extra_layers(unexpected: Iterable[str], known: Iterable[str], prefix: str) -> list[str]:
    """Return the unexpected tensors that belong to further layers of a kind that the model has.

    Tensors of pre-training heads are not among them; no fine-tuning reads those.
    """
    kinds = {re.sub(r"\.\d+\.", ".N.", name.removeprefix(prefix)) for name in known}
    names = (name.removeprefix(prefix) for name in sorted(unexpected))
    numbered = ((name, re.sub(r"\.\d+\.", ".N.", name)) for name in names)
    return [name for name, kind in numbered if kind != name and kind in kinds]


def not_finite(weights: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the names of the tensors that hold NaN or infinity."""
    return [n for n, x in weights.items() if x.is_floating_point() and not x.isfinite().all()]


def tokenizer_files(tokenizer: Any) -> dict[str, bytes]:
    """Return the files that a tokenizer is saved as: file name -> content."""
    if tokenizer.is_fast:  # truncation and padding were set by its last call
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        files = [path for path in sorted(Path(folder).iterdir()) if path.is_file()]
        # Chat templates are no part of an encoder, and may be links to any file.
        return {f.name: f.read_bytes() for f in files if not f.name.startswith("chat_template")}


def _digest(config: dict[str, Any], weights: dict[str, np.ndarray], files: dict[str, bytes]) -> str:
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for name, array in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(array).data)
    for name, content in sorted(files.items()):
        digest.update(name.encode())
        digest.update(content)
    return digest.hexdigest()
