"""Pretrained encoders as values: configuration, weights and tokenizer, read once on the driver."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

from ..errors import InputError, Problem
from ..tasks import Task
from . import scratch

HEADS = {
    "classify": AutoModelForSequenceClassification,
    "regress": AutoModelForSequenceClassification,
}


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


def problems(name: str) -> list[Problem]:
    """What is wrong with a model's name, seen without reading weights or asking a hub."""
    folder = Path(name)
    if scratch.is_scratch(name):
        return []
    if folder.is_dir():
        return _folder_problems(folder)
    if folder.is_absolute() or name.startswith(".") or name.count("/") > 1:
        return [Problem(place="model", text=f"no folder '{name}'")]
    return []


def _folder_problems(folder: Path) -> list[Problem]:
    found = []
    if not (folder / "config.json").is_file():
        text = f"'{folder}' has no config.json; a transformers folder would do"
        found.append(Problem(place="model", text=text))
    elif not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
        text = f"'{folder}' has no model.safetensors or pytorch_model.bin"
        found.append(Problem(place="model", text=text))
    return found


def read_tokenizer(name: str, texts: Iterable[str]) -> Any:
    """The model's fast tokenizer; for `scratch` one trained on the texts."""
    if scratch.is_scratch(name):
        return scratch.tokenizer(texts)
    return _from_hub(AutoTokenizer.from_pretrained, name)


def read(name: str, task: Task, tokenizer: Any) -> Pretrained:
    """Read an encoder and give it the task's head. Raises InputError where it cannot be read."""
    if scratch.is_scratch(name):
        config = scratch.config(name, len(tokenizer))
        weights: dict[str, np.ndarray] = {}
    else:
        config = _from_hub(AutoConfig.from_pretrained, name)
        keeps_head = _labels(config) == [label.lower() for label in task.labels]
    config.num_labels = task.outputs
    if task.labels:
        config.id2label = dict(enumerate(task.labels))
        config.label2id = {label: at for at, label in enumerate(task.labels)}
    if not scratch.is_scratch(name):
        weights = _weights(name, task, config, keeps_head)
    config.problem_type = "regression" if task.head == "regress" else None
    files = _files(tokenizer)
    plain = config.to_dict()
    return Pretrained(
        name=name,
        head=task.head,
        config=plain,
        weights=weights,
        tokenizer=files,
        digest=_digest(plain, weights, files),
    )


def save(folder: Path, pretrained: Pretrained, weights: dict[str, np.ndarray]) -> None:
    """Write a transformers folder, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".saving-") as temporary:
        staged = Path(temporary) / folder.name
        staged.mkdir()
        config = AutoConfig.for_model(**pretrained.config)
        config.architectures = [HEADS[pretrained.head]._model_mapping[type(config)].__name__]
        config.save_pretrained(staged)
        contiguous = {name: np.ascontiguousarray(array) for name, array in weights.items()}
        save_file(contiguous, staged / "model.safetensors", metadata={"format": "pt"})
        for name, content in pretrained.tokenizer.items():
            (staged / name).write_bytes(content)
        if folder.exists():
            os.replace(folder, Path(temporary) / "old")
        os.replace(staged, folder)


def _from_hub(reader: Any, name: str, **options: Any) -> Any:
    """Read with transformers; a folder never asks the network, a failure names the model."""
    local = Path(name).is_dir()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        return reader(name, local_files_only=local, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        first = str(error).strip().splitlines()[0]
        text = f"cannot read '{name}': {first}"
        if not local:
            text += "\nno folder of that name; as a hub name it needs a network or a filled cache"
        raise InputError("model", [Problem(place="model", text=text)]) from None


def _labels(config: Any) -> list[str]:
    return [str(label).lower() for _, label in sorted((config.id2label or {}).items())]


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
    missing |= {key[0] if isinstance(key, tuple) else key for key in info["mismatched_keys"]}
    prefix = model.base_model_prefix + "."
    if not keeps_head:
        missing |= {key for key in model.state_dict() if not key.startswith(prefix)}
    parameters = {n for n, _ in model.named_parameters()}
    read = {n: x for n, x in model.state_dict().items() if n not in missing}
    if not any(n in parameters and n.startswith(prefix) for n in read):
        text = f"'{name}' holds no tensor of a {type(model).__name__}"
        raise InputError("model", [Problem(place="model", text=text)])
    return {n: x.numpy().copy() for n, x in read.items()}


def _files(tokenizer: Any) -> dict[str, bytes]:
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
