"""Predictions and scores of a split. It never updates a parameter."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from .. import metrics
from ..data.columns import LABEL
from ..data.dataset import EncodedDataset
from ..data.masked_blocks import LABELS, NOT_MASKED
from ..data.sampling import length_sorted_batches
from ..recipes import Hyperparameters
from ..tasks import Task
from . import span_decoding
from .distributed import DistributedContext

TOKENS = {"cpu": 2048, "cuda": 65536}  # padded tokens of a batch
Read = Callable[[torch.nn.Module, dict[str, torch.Tensor], Hyperparameters], torch.Tensor]
_GOLD = ("labels", "start", "end", "impossible")


@torch.inference_mode()
def predict_outputs(
    model: torch.nn.Module,
    examples: EncodedDataset,
    task: Task,
    hyper: Hyperparameters,
    *,
    world: DistributedContext | None = None,
    autocast: Callable[[], AbstractContextManager],
    beat: Callable[[int], None] = lambda done: None,
    read: Read | None = None,
) -> np.ndarray:
    """What the head says of every example, float32, in the file's order.

    Args:
        world: workers that share the batches.
        autocast: gives the context of a forward pass.
        beat: called after every batch with the examples that are done.
        read: (model, batch, hyper) -> [examples, numbers]; none: what the task's head says.

    Returns:
        [examples, outputs]; of tags the best of each word, [examples, most words]; of spans see
        `answers.spans`.

    Raises:
        MemoryError: a lone example does not fit.
    """
    world, read = world or DistributedContext(), read or _READ.get(task.head, _logits)
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    batches = length_sorted_batches(examples.lengths, TOKENS.get(device.type, TOKENS["cuda"]))
    found, done = [], 0
    for rows in batches[world.rank :: world.size]:
        with autocast():
            found += _outputs(model, examples, rows, device, read, hyper)
        done += len(rows)
        beat(done)
    model.train(training)
    shares = world.gather([(rows, values.cpu().numpy()) for rows, values in found])
    parts = [part for share in shares for part in share]
    width = max(values.shape[1] for _, values in parts)
    whole = np.zeros((len(examples), width), dtype=np.float32)
    for rows, values in parts:
        whole[rows, : values.shape[1]] = values
    return whole


def _outputs(
    model: torch.nn.Module, examples: EncodedDataset, rows: np.ndarray, device: torch.device,
    read: Read, hyper: Hyperparameters,
) -> list[tuple[np.ndarray, torch.Tensor]]:  # fmt: skip
    """Rows and outputs of one batch; half by half where memory runs out."""
    try:
        batch = examples.batch(rows, device)
        batch = {name: x for name, x in batch.items() if name not in _GOLD}
        return [(rows, read(model, batch, hyper))]
    except torch.OutOfMemoryError:
        if len(rows) == 1:
            tokens = int(examples.lengths[rows].max())
            raise MemoryError(f"one example of {tokens} tokens does not fit in memory") from None
    half = len(rows) // 2
    return [found for part in (rows[:half], rows[half:])
            for found in _outputs(model, examples, part, device, read, hyper)]  # fmt: skip


def _logits(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], _: Hyperparameters
) -> torch.Tensor:
    return model(**batch).logits.float()


def _tags(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], _: Hyperparameters
) -> torch.Tensor:
    logits = model(**batch).logits
    best = logits.argmax(-1).float()
    return best.masked_fill(~logits.isfinite().all(-1), torch.nan)  # seen as divergence


def _guesses(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], _: Hyperparameters
) -> torch.Tensor:
    """Of each block the log-likelihood of its masked tokens, the hits and their number."""
    gold = batch.pop(LABELS)
    said = model(**batch, labels=gold).logits.float().log_softmax(-1)
    block, _ = (gold != NOT_MASKED).nonzero(as_tuple=True)
    wanted = gold[gold != NOT_MASKED]
    likelihood = said.gather(1, wanted[:, None])[:, 0]
    seen = torch.stack([likelihood, said.argmax(-1) == wanted, torch.ones_like(likelihood)], 1)
    return torch.zeros(len(gold), 3, device=seen.device).index_add_(0, block, seen)


_READ = {"tag": _tags, "span": span_decoding.span_outputs, "thought": _guesses}


def embeddings(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], hyper: Hyperparameters
) -> torch.Tensor:
    """Lines of a text, [lines, tokens] -> their slots side by side, [lines, slots * width].

    A line is cut where the model's positions or `max_length` end.
    """
    config, ids, real = model.config, batch["input_ids"], batch["attention_mask"]
    most = min(hyper.max_length, config.longest_sentence) - 1
    ids, real = ids[:, :most].clone(), real[:, :most]
    last = real.sum(1, keepdim=True) - 1
    ids.scatter_(1, last, config.eos_token_id)  # of a line that is cut
    ids = functional.pad(ids, (1, 0), value=config.bos_token_id)
    return model.base_model.embed(ids, functional.pad(real, (1, 0), value=1)).flatten(1).float()


def decode(
    outputs: np.ndarray, examples: EncodedDataset, task: Task, hyper: Hyperparameters
) -> Any:
    """Predictions from what a head says: class ids, or scores in the task's own units, [examples];
    sentence id -> tags of its words; question id -> Answer; of masked tokens their sums."""
    if task.head == "regress":
        return outputs[:, 0] * hyper.label_scale
    if task.head == "tag":
        rows = zip(outputs.astype(int), examples.units, strict=True)
        return _sentences(examples, (tags[:words] for tags, words in rows))
    if task.head == "span":
        return span_decoding.decode_answers(outputs, examples, hyper)
    if task.head == "thought":
        return outputs
    return outputs.argmax(axis=1)


def _sentences(examples: EncodedDataset, rows: Iterable[np.ndarray]) -> dict[str, list[int]]:
    """Sentence id -> the tags of its rows, one after another."""
    pairs = zip(examples.ids(), rows, strict=True)
    return {
        identity: [int(tag) for _, tags in pieces for tag in tags]
        for identity, pieces in groupby(pairs, key=lambda pair: pair[0])
    }


def has_only_finite_scores(outputs: np.ndarray, task: Task) -> bool:
    """Whether a model still says anything: of spans, its null score and its best start."""
    seen = outputs[:, :1] if task.head == "span" else outputs
    return bool(np.isfinite(seen).all())


def score(
    predictions: Any, examples: EncodedDataset, task: Task, hyper: Hyperparameters
) -> dict[str, float]:
    """All of the task's metrics, as fractions, finite."""
    if task.head == "thought":
        return metrics.masked_lm.score(task.metrics, predictions)
    if task.head == "tag":
        gold = _sentences(examples, examples.values(LABEL))
        return metrics.token_classification.score(task.metrics, predictions, gold, task.labels)
    if task.head == "span":
        best = {identity: answer.texts[0] for identity, answer in predictions.items()}
        nulls = {identity: answer.null for identity, answer in predictions.items()}
        gold, language = span_decoding.gold_answers(examples), examples.language
        if not task.unanswerable:
            return metrics.squad.score(task.metrics, best, gold, language=language)
        return metrics.squad.score(
            task.metrics, best, gold, nulls=nulls, threshold=hyper.null_threshold,
            unanswerable=True, language=language,
        )  # fmt: skip
    return metrics.score(task.metrics, predictions, examples.labels)


def multilingual_scores(splits: list[dict[str, float]]) -> dict[str, float]:
    """Of each metric "dev.mean." and "dev.gap.", see `metrics.over_languages`.

    Args:
        splits: the scores of each language, first the one that the model was trained in.
    """
    scores = metrics.over_languages(splits[0], splits[1:])
    return {f"dev.{name}": value for name, value in scores.items()}
