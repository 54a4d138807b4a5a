"""Predictions of test splits with a run's winners or any transformers folder.

It is apart from a run because it needs no Ray. The module and its function have different names, so
that `raysearch.predict` is always the function.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data import encoding_cache, readers
from ..data.dataset import EncodedDataset
from ..errors import InputError, Problem
from ..heads import HEADS
from ..models import finetuned
from ..models.pretrained import read_tokenizer
from ..tasks import Split
from ..training import predict_outputs
from .prediction_checks import find_problems, submitted_splits
from .prediction_jobs import PredictionJob, RunFacts, find_models, make_job, predicted_tasks

_PROGRESS_INTERVAL = 10.0  # seconds
_log = logging.getLogger("raysearch")


def predict(
    source: str | Path,
    *,
    to: str | Path,
    data: str | Path | None = None,
    names: Sequence[str] | None = None,
    note: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write the benchmark's submission files.

    The settings that shape data and decoding are those that the weights were trained with. The
    weights' folder records them, so a run and its best/ folder predict the same.

    Args:
        source: a run folder, where the best/ folder of every task predicts; or a transformers
            folder.
        to: the folder for the files.
        data: the folder that holds the benchmark's folders; by default that of the run.
        names: only these tasks; required for a transformers folder.
        note: called with lines of progress and with assumptions; None writes the assumptions to
            the logger "raysearch" as warnings.

    Returns:
        The files, one for each test split that the data folder has; answers may have several.

    Raises:
        InputError: with all unknown tasks, missing weights or data, and reasons why the output
            folder cannot be written; or a folder holds no model, or a model of another task.
    """
    source, to = Path(source), Path(to)
    root, folders, searched = find_models(source, data, names)
    models = [
        (task, folder) for name, folder in folders.items() for task in predicted_tasks(name, names)
    ]
    problems = find_problems(models, root, to, names or ())
    facts = RunFacts(source, searched)
    jobs = []
    for task, folder in [] if problems else models:
        try:
            jobs.append(make_job(task, folder, facts))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(str(source), dict.fromkeys(problems))
    return [path for job in jobs for path in _write_files(job, root, to, note)]


def _write_files(
    job: PredictionJob, root: Path, to: Path, note: Callable[[str], None] | None
) -> Iterator[Path]:
    """Write the submission files of one model, and yield their paths."""
    task, folder, head = job.task, job.folder, HEADS[job.task.head]
    present = readers.present_splits(task, root)
    splits = [split for split in submitted_splits(task) if split.name in present]
    if not splits:
        return
    report, warn = note or (lambda line: None), note or _log.warning
    for text in job.notes:
        warn(f"{task.name}: {text}")
    tokenizer = read_tokenizer(str(folder), ())
    model = finetuned.load_finetuned(
        folder, task, _device(), lambda text: warn(f"{task.name}: {text}")
    )
    for split in splits:
        prepared = _prepare(job, split, root, tokenizer)
        examples = EncodedDataset(prepared.table, prepared.padding)
        outputs = _predict_outputs(job, model, split, examples, report)
        predictions = head.decode(outputs, examples, job.hyper)
        report(f"{task.name} {split.name}: {len(examples):,} examples predicted")
        yield from head.write(to, task, split, examples.ids(), predictions, job.hyper)


def _prepare(
    job: PredictionJob, split: Split, root: Path, tokenizer: Any
) -> encoding_cache.Prepared:
    """Return the token ids of a split.

    Raises:
        InputError: the folder's tokenizer fails.
    """
    try:
        encoder = HEADS[job.task.head].encoder
        return encoding_cache.prepare(encoder, job.task, split, root, tokenizer, job.hyper)
    except (InputError, OSError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a foreign tokenizer: a panic in Rust is no Exception
        raise _failure(job, split, "its tokenizer fails on a text", error) from error


def _failure(job: PredictionJob, split: Split, reason: str, error: BaseException) -> InputError:
    """Return the error for a tokenizer or a model that fails on a split."""
    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    text = f"'{job.folder}' cannot read {job.task.name} {split.name}: {first_line}\n{reason}"
    return InputError(str(job.folder), [Problem(location="model", text=text)])


def _predict_outputs(
    job: PredictionJob,
    model: torch.nn.Module,
    split: Split,
    examples: EncodedDataset,
    report: Callable[[str], None],
) -> np.ndarray:
    """Return a model's outputs for every example of a split, see `training.predict_outputs`.

    Raises:
        InputError: the model fails, because its configuration does not describe it, or its outputs
            are not finite.
    """
    task, head = job.task, HEADS[job.task.head]
    try:
        outputs = predict_outputs(
            model,
            examples,
            task,
            job.hyper,
            autocast=nullcontext,
            forward=head.forward_to_write,
            on_batch=_progress(f"{task.name} {split.name}", len(examples), report),
        )
    except Exception as error:  # a model of foreign files: any of its layers may fail in any way
        reason = "its config.json does not describe its weights, or memory is short"
        raise _failure(job, split, reason, error) from error
    if not head.are_finite(outputs):
        text = f"'{job.folder}' predicts NaN or infinity for {task.name} {split.name}"
        raise InputError(str(job.folder), [Problem(location="model", text=text)])
    return outputs


def _progress(name: str, examples: int, report: Callable[[str], None]) -> Callable[[int], None]:
    """Return a function that reports the number of finished examples at intervals."""
    reported = time.monotonic()

    def on_batch(done: int) -> None:
        nonlocal reported
        if time.monotonic() - reported > _PROGRESS_INTERVAL:
            reported = time.monotonic()
            report(f"{name}: {done:,} of {examples:,} examples")

    return on_batch


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
