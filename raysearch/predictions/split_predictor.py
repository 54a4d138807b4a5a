"""SplitPredictor: a fine-tuned model and its tokenizer, which predict the splits of a task.

It is apart because files of predictions and the evaluation of any model's folder both need it.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data import encoding_cache
from ..data.dataset import EncodedDataset
from ..errors import InputError, Problem, first_line
from ..heads import HEADS
from ..heads.task_head import Forward
from ..models import finetuned
from ..models.pretrained import read_tokenizer
from ..tasks import Split
from ..training import precision, predict_outputs
from .prediction_jobs import PredictionJob

_PROGRESS_INTERVAL = 10.0  # seconds

Report = Callable[[str], None]


class SplitPredictor:
    """A model with the settings with which it predicts a task.

    Splits with labels are predicted as in training, in its number format, so that their scores are
    those of the training.

    Args:
        job: the model's folder, its task and its settings.
        root: the data folder.
        report: called with lines of progress.
        warn: called with what was assumed or mapped.

    Attributes:
        sizes: of the splits that were predicted: name -> number of examples in its file.

    Raises:
        InputError: the folder holds no such model, or no tokenizer.
    """

    def __init__(self, job: PredictionJob, root: Path, report: Report, warn: Report) -> None:
        self.job, self._root, self._report = job, root, report
        self.sizes: dict[str, int] = {}
        self._tokenizer = read_tokenizer(str(job.folder), ())
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model = finetuned.load_finetuned(job.folder, job.task, device, warn)

    @property
    def limit(self) -> int:
        """Return the most tokens of a row that the model has positions for."""
        limit: int = self._tokenizer.model_max_length
        return limit

    def __call__(self, split: Split, count: int | None = None) -> tuple[EncodedDataset, Any]:
        """Return the examples of a split and their predictions, see `TaskHead.decode`.

        Args:
            split: the split.
            count: how many of its examples, evenly spread (`dev_examples`); None: all.

        Raises:
            InputError: the tokenizer or the model fails, or the outputs are not finite.
        """
        task, head = self.job.task, HEADS[self.job.task.head]
        examples = self.examples(split, count)
        outputs = self.outputs(split, examples, head.forward_to_write, head.are_finite)
        predictions = head.decode(outputs, examples, self.job.hyper)
        number = len(encoding_cache.example_ends(examples.table))
        self._report(f"{task.name} {split.name}: {number:,} examples predicted")
        return examples, predictions

    def examples(self, split: Split, count: int | None = None) -> EncodedDataset:
        """Return the examples of a split for this model. The arguments are those of `__call__`.

        Raises:
            InputError: the tokenizer fails.
        """
        prepared = self._prepare(split)
        self.sizes[split.name] = len(encoding_cache.example_ends(prepared.table))
        table = encoding_cache.subsample(prepared.table, count)
        return EncodedDataset(table, prepared.padding)

    def _prepare(self, split: Split) -> encoding_cache.Prepared:
        """Return the token ids of a split.

        Raises:
            InputError: the folder's tokenizer fails.
        """
        task, hyper = self.job.task, self.job.hyper
        try:
            encoder = HEADS[task.head].encoder
            return encoding_cache.prepare(encoder, task, split, self._root, self._tokenizer, hyper)
        except (InputError, OSError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a foreign tokenizer: a panic in Rust is no Exception
            raise self._failure(split, "its tokenizer fails on a text", error) from error

    def outputs(
        self,
        split: Split,
        examples: EncodedDataset,
        forward: Forward,
        are_finite: Callable[[np.ndarray], bool],
    ) -> np.ndarray:
        """Return the model's outputs for every example, see `training.predict_outputs`.

        Args:
            split: the split.
            examples: of `examples`.
            forward: computes the outputs of a batch.
            are_finite: returns whether outputs are as they should be.

        Raises:
            InputError: the model fails, because its configuration does not describe it, or its
                outputs are not finite.
        """
        task, folder, hyper = self.job.task, self.job.folder, self.job.hyper
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext
        if split.labelled:
            autocast = partial(precision.autocast, self._model.device, hyper)
        try:
            outputs = predict_outputs(
                self._model,
                examples,
                task,
                hyper,
                autocast=autocast,
                forward=forward,
                on_batch=_progress(f"{task.name} {split.name}", len(examples), self._report),
            )
        except Exception as error:  # a model of foreign files: any of its layers may fail
            reason = "its config.json does not describe its weights, or memory is short"
            raise self._failure(split, reason, error) from error
        if not are_finite(outputs):
            text = f"'{folder}' predicts NaN or infinity for {task.name} {split.name}"
            raise InputError(str(folder), [Problem(location="model", text=text)])
        return outputs

    def _failure(self, split: Split, reason: str, error: BaseException) -> InputError:
        """Return the error for a tokenizer or a model that fails on a split."""
        folder, name = self.job.folder, f"{self.job.task.name} {split.name}"
        text = f"'{folder}' cannot read {name}: {first_line(error)}\n{reason}"
        return InputError(str(folder), [Problem(location="model", text=text)])


def _progress(name: str, examples: int, report: Callable[[str], None]) -> Callable[[int], None]:
    """Return a function that reports the number of finished examples at intervals."""
    reported = time.monotonic()

    def on_batch(done: int) -> None:
        nonlocal reported
        if time.monotonic() - reported > _PROGRESS_INTERVAL:
            reported = time.monotonic()
            report(f"{name}: {done:,} of {examples:,} examples")

    return on_batch
