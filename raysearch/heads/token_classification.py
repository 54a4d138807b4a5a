"""Tags of words: one output for each word instead of one for each token."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import MethodType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from .. import metrics
from ..data.columns import LABEL
from ..data.dataset import EncodedDataset
from ..data.encoders import token_classification
from ..errors import InputError, Problem
from ..recipes import Hyperparameters
from ..run_folder.dev_predictions import KeptSplit, tag_columns
from ..storage import write_atomically
from ..tasks import Split, Task
from .submission_files import submission_path
from .task_head import Batch, Mean, TaskHead

Tags = dict[str, list[int]]  # sentence id -> the tag id of each word


class TokenClassification(TaskHead[Tags]):
    """A score for each tag of a word; predictions are the tags of each sentence.

    A word is represented by its first token, or by the sum of its tokens (`pooling`).
    """

    name = "tag"
    purpose = "tags words"
    encoder = token_classification.ENCODER

    def attach(self, model: Any, variant: Mapping[str, str]) -> None:
        """Let a model give logits [examples, words, tags]; see `TaskHead.attach`."""
        _attach_word_outputs(model, variant.get("pooling") == "sum")

    def forward(self, model: Any, batch: Batch, hyper: Hyperparameters) -> torch.Tensor:
        """Return the best tag of each word, float32 [rows, words]; NaN where scores are not finite.

        Their number varies with the batch.
        """
        logits: torch.Tensor = model(**batch).logits
        best = logits.argmax(-1).float()
        return best.masked_fill(~logits.isfinite().all(-1), torch.nan)  # counts as divergence

    def predict_average(
        self, mean: Mean, examples: EncodedDataset, task: Task, hyper: Hyperparameters
    ) -> Tags:
        """Return the best tag of each word by the mean scores; see `TaskHead.predict_average`."""
        scores = mean(self._scores)
        tags = scores.reshape(len(scores), -1, task.outputs).argmax(-1)
        return self.decode(tags, examples, hyper)

    def _scores(self, model: Any, batch: Batch, hyper: Hyperparameters) -> torch.Tensor:
        """Return the scores of the tags of each word, [rows, words * tags]."""
        logits: torch.Tensor = model(**batch).logits
        return logits.float().flatten(1)

    def decode(self, outputs: np.ndarray, examples: EncodedDataset, hyper: Hyperparameters) -> Tags:
        """Return the tags of each sentence, those of its rows concatenated."""
        rows = zip(outputs.astype(int), examples.units, strict=True)
        return _tags_by_sentence(examples, (tags[:words] for tags, words in rows))

    def score(
        self, predictions: Tags, examples: EncodedDataset, task: Task, hyper: Hyperparameters
    ) -> dict[str, float]:
        """Return the task's metrics over all words; see `TaskHead.score`."""
        tags = _tags_by_sentence(examples, examples.values(LABEL))
        return metrics.token_classification.score(task.metrics, predictions, tags, task.labels)

    def kept(
        self, predictions: Tags, examples: EncodedDataset, task: Task, hyper: Hyperparameters
    ) -> KeptSplit:
        """Return the tags and the gold tags of each sentence; see `TaskHead.kept`."""
        gold = _tags_by_sentence(examples, examples.values(LABEL))
        return [*gold], tag_columns([predictions[identity] for identity in gold], gold.values())

    def write(
        self,
        folder: Path,
        task: Task,
        split: Split,
        ids: Sequence[str],
        predictions: Tags,
        hyper: Hyperparameters,
    ) -> list[Path]:
        """Write one tag per line, and an empty line between sentences, as XTREME takes them."""
        path, sentences = submission_path(folder, split), predictions.values()
        blocks = ("".join(f"{task.labels[tag]}\n" for tag in sentence) for sentence in sentences)
        write_atomically(path, "\n".join(blocks))
        return [path]


def _tags_by_sentence(examples: EncodedDataset, rows: Iterable[np.ndarray]) -> Tags:
    """Return sentence id -> the tags of its rows, concatenated."""
    pairs = zip(examples.ids(), rows, strict=True)
    return {
        identity: [int(tag) for _, tags in pieces for tag in tags]
        for identity, pieces in groupby(pairs, key=lambda pair: pair[0])
    }


def _attach_word_outputs(model: Any, pooled: bool) -> None:
    """Let a tagging model give logits [examples, words, tags], each word's at its first token.

    Args:
        model: changed in place.
        pooled: sum the hidden states of a word's tokens at its first token, before the head's
            dropout (XTREME, UD-POS).

    Raises:
        InputError: the model has no module before its head to pool at.
    """
    batch: dict[str, torch.Tensor] = {}  # of the forward pass in progress

    def pool(_: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        hidden, first, word = args[0], batch["word_starts"], batch["word"]
        target = first.gather(1, word.clamp(min=0))[..., None].expand_as(hidden)
        inside = hidden * (word >= 0)[..., None]
        return (torch.zeros_like(hidden).scatter_add(1, target, inside), *args[1:])

    def forward(
        model: Any, *, word: torch.Tensor, word_starts: torch.Tensor, **inputs: Any
    ) -> SimpleNamespace:
        batch.update(word_starts=word_starts, word=word)
        logits = type(model).forward(model, **inputs).logits
        index = word_starts[..., None].expand(-1, -1, logits.shape[-1])
        return SimpleNamespace(logits=logits.gather(1, index))

    if pooled:
        parts = (getattr(model, name, None) for name in ("dropout", "drop", "classifier"))
        head_start = next((part for part in parts if isinstance(part, nn.Module)), None)
        if head_start is None:
            text = f"{type(model).__name__} has no place to sum a word's tokens before its head"
            problem = Problem(location="pooling", text=f"{text}: pooling first would do")
            raise InputError("model", [problem])
        head_start.register_forward_pre_hook(pool)
    model.forward = MethodType(forward, model)
