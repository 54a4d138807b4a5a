"""Adapters as files in the format of the library peft, and the whole models that they become.

While a run searches, a trial with adapters keeps these files alone, without the encoder. They are
merged into it when the trial has won.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..errors import InputError, Problem
from ..recipes import Hyperparameters
from ..storage import read_json
from .adapter_weights import is_adapter

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."  # of peft's names
_BASE = "raysearch_base"  # in the metadata of the weights: the digest of what they belong to


def write_adapter(
    folder: Path,
    model: str,
    digest: str,
    trained: Mapping[str, np.ndarray],
    hyper: Hyperparameters,
) -> None:
    """Write adapters and the head that was trained with them.

    Args:
        folder: an existing folder.
        model: name of the pretrained model.
        digest: of the pretrained model, see `Pretrained`.
        trained: name -> float32 array.
        hyper: of the training.
    """
    layers = sorted(name.removesuffix(".lora_A") for name in trained if name.endswith(".lora_A"))
    settings = {
        "peft_type": "LORA",
        "base_model_name_or_path": model,
        "task_type": None,
        "inference_mode": True,
        "r": hyper.lora_rank,
        "lora_alpha": hyper.lora_alpha,
        "lora_dropout": hyper.lora_dropout,
        "target_modules": layers,
        "modules_to_save": sorted({_trained_module(n) for n in trained if not is_adapter(n)}),
        "bias": "none",
    }
    (folder / CONFIG).write_text(json.dumps(settings, indent=2) + "\n")
    arrays = {f"{_PREFIX}{_peft_name(n)}": np.ascontiguousarray(x) for n, x in trained.items()}
    save_file(arrays, folder / WEIGHTS, metadata={"format": "pt", _BASE: digest})
    (folder / WEIGHTS).chmod((folder / CONFIG).stat().st_mode)


def read_adapter(folder: Path) -> tuple[dict[str, np.ndarray], str]:
    """Return what `write_adapter` wrote: arrays by name, and the digest of the pretrained model.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with safe_open(folder / WEIGHTS, framework="np") as file:
            digest = (file.metadata() or {})[_BASE]
            names: list[str] = list(file.keys())
            arrays = {_own_name(name): file.get_tensor(name) for name in names}
    except (OSError, SafetensorError, KeyError) as error:
        raise _refusal(folder / WEIGHTS, f"cannot be read: {error}") from error
    return arrays, digest


def read_trial(folder: Path) -> Any:
    """Return the value of config.json's field about the training of a folder's adapters.

    Raises:
        InputError: config.json is damaged.
    """
    value = read_json(folder / "config.json")
    if not isinstance(value, dict):
        raise _refusal(folder / "config.json", "an object is needed")
    return value.get("raysearch")


def _peft_name(name: str) -> str:
    return f"{name}.weight" if is_adapter(name) else name


def _own_name(name: str) -> str:
    own = name.removeprefix(_PREFIX)
    shorter = own.removesuffix(".weight")
    return shorter if is_adapter(shorter) else own


def _trained_module(name: str) -> str:
    """Return the module that a weight of the head belongs to: a child of the model, or a pooler."""
    parts = name.split(".")
    end = parts.index("pooler") + 1 if "pooler" in parts else 1
    return ".".join(parts[:end])


def _refusal(path: Path, text: str) -> InputError:
    return InputError(str(path), [Problem(location=path.name, text=text)])
