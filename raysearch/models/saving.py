"""Writes a trained model as a folder that transformers reads.

It is apart from `pretrained`, which reads such folders, because nothing that reads needs it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoConfig

from .. import __version__
from ..recipes import Hyperparameters
from ..storage import mark
from .auto_models import ARCHITECTURES
from .folder_writing import staged_model_folder
from .pretrained import Pretrained
from .training_record import TrainingRecord


def save_model(
    folder: Path,
    pretrained: Pretrained,
    weights: dict[str, np.ndarray],
    hyper: Hyperparameters | None = None,
    trial: Mapping[str, Any] | None = None,
    run: str | None = None,
) -> None:
    """Write a transformers folder atomically, replacing one that exists.

    Args:
        folder: where to write.
        pretrained: what the training began from; gives configuration and tokenizer.
        weights: parameter or buffer name -> float32 array.
        hyper: the hyperparameters of the training. They may shape the model, and are recorded in
            the folder together with the task. None: nothing is recorded.
        trial: further facts of the training to record, see TrainingRecord.
        run: id of the run that the folder belongs to, see `storage.mark`; None for no run.
    """
    settings = {**pretrained.config, **(hyper or Hyperparameters()).config_overrides()}
    settings.pop("auto_map", None)  # set by models of a hub; their own code was not run in training
    config = AutoConfig.for_model(**{**settings, "dtype": "float32"})  # the dtype of the weights
    config.architectures = [ARCHITECTURES[pretrained.head][type(config)].__name__]
    files = pretrained.tokenizer
    if hyper is not None and pretrained.task:
        files, limit = _limit_length(files, hyper.max_length)
        record = TrainingRecord(
            version=__version__,
            task=pretrained.task,
            model=pretrained.name,
            hyper=hyper,
            tokenizer_limit=limit,
            trial=trial or {},
            own=json.loads(pretrained.definition) if pretrained.definition else None,
        )
        config.raysearch = record.encode()
        files = {**files, "README.md": record.card().encode()}
    with staged_model_folder(folder, config, weights, replace=True) as staged:
        for name, content in files.items():
            (staged / name).write_bytes(content)
        if run is not None:
            mark(staged, run)


def _limit_length(files: dict[str, bytes], max_length: int) -> tuple[dict[str, bytes], int | None]:
    """Return a tokenizer's files limited to `max_length` tokens, and the limit they had before."""
    name = "tokenizer_config.json"
    settings = json.loads(files.get(name, b"{}"))
    limit = settings.get("model_max_length")
    limit = limit if isinstance(limit, int) else None
    auto_map = settings.pop("auto_map", None)
    if limit is not None and limit > max_length:
        settings["model_max_length"] = max_length
    elif not auto_map:
        return files, limit
    text = json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return {**files, name: text.encode()}, limit
