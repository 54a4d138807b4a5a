"""Writes a trained model as a folder that transformers reads, or its adapters alone.

It is apart from `pretrained`, which reads such folders, because nothing that reads needs it.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoConfig

from .. import __version__
from ..errors import InputError, Problem
from ..recipes import Hyperparameters
from ..run_folder.opening import ADAPTER
from ..storage import mark, staged_folder
from .adapter_folder import read_adapter, read_trial, write_adapter
from .adapter_weights import is_adapter, merge_adapters
from .auto_models import ARCHITECTURES
from .folder_writing import staged_model_folder
from .pretrained import Pretrained, read_pretrained, read_tokenizer
from .training_record import TrainingRecord, decode_record


def save_model(
    folder: Path,
    pretrained: Pretrained,
    weights: dict[str, np.ndarray],
    hyper: Hyperparameters | None = None,
    trial: Mapping[str, Any] | None = None,
    run: str | None = None,
) -> None:
    """Write a transformers folder atomically, replacing one that exists.

    Of a model with adapters only these and the head are written, with the configuration, until
    `merge_model` makes a whole model of them.

    Args:
        folder: where to write.
        pretrained: what the training began from; gives configuration and tokenizer.
        weights: parameter or buffer name -> float32 array, of all that was trained.
        hyper: the hyperparameters of the training. They may shape the model, and are recorded in
            the folder together with the task. None: nothing is recorded.
        trial: further facts of the training to record, see TrainingRecord.
        run: id of the run that the folder belongs to, see `storage.mark`; None for no run.
    """
    config, files = _describe(pretrained, hyper, trial)
    if hyper is not None and any(map(is_adapter, weights)):
        with staged_folder(folder, replace=True) as staged:
            config.save_pretrained(staged)
            write_adapter(staged, pretrained.name, pretrained.digest, weights, hyper)
            if run is not None:
                mark(staged, run)
        return
    with staged_model_folder(folder, config, weights, replace=True) as staged:
        _complete(staged, files, run)


def merge_model(
    source: Path, folder: Path, shared: Hyperparameters, run: str, base: Path | None = None
) -> None:
    """Write the whole model of a trial with adapters, and them beside it in a folder of their own.

    The pretrained model is read again, as no trial keeps a copy of it.

    Args:
        source: what `save_model` wrote of the trial.
        folder: where to write; replaced atomically.
        shared: the hyperparameters that all trials of the task share.
        run: id of the run that the folder belongs to.
        base: where the model is that the trial started from, if it is not the one that it names.

    Raises:
        InputError: the adapters are damaged, or the pretrained model is not there any more or
            another one than they were trained on.
    """
    trained, digest = read_adapter(source)
    record = decode_record(read_trial(source), str(source))
    if record is None:
        raise _refusal(f"'{source}': config.json does not tell what its adapters belong to")
    model = record.model if base is None else str(base)
    tokenizer = read_tokenizer(model, ())
    pretrained = read_pretrained(model, record.row, tokenizer, shared)
    pretrained = replace(pretrained, name=record.model)
    if pretrained.digest != digest:
        text = f"'{record.model}' is not the model any more that its adapters were trained on"
        raise _refusal(f"{text}: put that one in its place again, and resume the run")
    weights = merge_adapters(pretrained.weights, trained, record.hyper)
    config, files = _describe(pretrained, record.hyper, record.trial)
    with staged_model_folder(folder, config, weights, replace=True) as staged:
        (staged / ADAPTER).mkdir()
        write_adapter(staged / ADAPTER, record.model, digest, trained, record.hyper)
        _complete(staged, files, run)


def _complete(staged: Path, files: Mapping[str, bytes], run: str | None) -> None:
    """Write further files of a folder, and mark it as a run's."""
    for name, content in files.items():
        (staged / name).write_bytes(content)
    if run is not None:
        mark(staged, run)


def _describe(
    pretrained: Pretrained, hyper: Hyperparameters | None, trial: Mapping[str, Any] | None
) -> tuple[Any, Mapping[str, bytes]]:
    """Return the configuration of a trained model, and the files beside its weights."""
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
    return config, files


def _refusal(text: str) -> InputError:
    return InputError("model", [Problem(location="model", text=text)])


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
