"""Predictions and scores of a split.

It is apart from the trainer because predictions with a finished model need it without training. It
never updates a parameter.
"""

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
# Returns what a model computes from a batch, [examples, numbers].
Forward = Callable[[torch.nn.Module, dict[str, torch.Tensor], Hyperparameters], torch.Tensor]
_GOLD = ("labels", "start", "end", "impossible")


@torch.inference_mode()
def predict_outputs(
    model: torch.nn.Module,
    examples: EncodedDataset,
    task: Task,
    hyper: Hyperparameters,
    *,
    world: DistributedContext | None = None,
    autocast: Callable[[], AbstractContextManager[object]],
    on_batch: Callable[[int], None] = lambda count: None,
    forward: Forward | None = None,
) -> np.ndarray:
    """Return what the task's head computes from every example, float32, in the file's order.

    Args:
        model: the model with the task's head; its training mode is restored afterwards.
        examples: the split.
        task: the task; its head decides what the outputs are.
        hyper: the trial's configuration.
        world: the workers that share the batches; None: this one alone.
        autocast: returns the context of a forward pass.
        on_batch: called after every batch with the number of examples that this worker has done.
        forward: computes other outputs from (model, batch, hyper), [examples, numbers]; None: the
            outputs of the task's head.

    Returns:
        [examples, outputs]. For tags, the best tag of each word, [examples, most words]. For spans,
        see `span_decoding.span_outputs`.

    Raises:
        MemoryError: a single example does not fit into memory.
    """
    world, forward = world or DistributedContext(), forward or _FORWARDS.get(task.head, _logits)
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    batches = length_sorted_batches(examples.lengths, TOKENS.get(device.type, TOKENS["cuda"]))
    parts: list[tuple[np.ndarray, torch.Tensor]] = []
    count = 0
    for rows in batches[world.rank :: world.size]:
        with autocast():
            parts += _batch_outputs(model, examples, rows, device, forward, hyper)
        count += len(rows)
        on_batch(count)
    model.train(training)
    shares = world.all_gather([(rows, values.cpu().numpy()) for rows, values in parts])
    return _merge_outputs([part for share in shares for part in share], len(examples))


def _merge_outputs(parts: list[tuple[np.ndarray, np.ndarray]], examples: int) -> np.ndarray:
    """Return the outputs of all batches in one array, narrower ones padded with 0."""
    width = max(values.shape[1] for _, values in parts)
    outputs = np.zeros((examples, width), dtype=np.float32)
    for rows, values in parts:
        outputs[rows, : values.shape[1]] = values
    return outputs


def _batch_outputs(
    model: torch.nn.Module,
    examples: EncodedDataset,
    rows: np.ndarray,
    device: torch.device,
    forward: Forward,
    hyper: Hyperparameters,
) -> list[tuple[np.ndarray, torch.Tensor]]:
    """Return the rows and outputs of a batch, in halves where memory runs out."""
    try:
        batch = examples.batch(rows, device)
        batch = {name: x for name, x in batch.items() if name not in _GOLD}
        return [(rows, forward(model, batch, hyper))]
    except torch.OutOfMemoryError:
        if len(rows) == 1:
            tokens = int(examples.lengths[rows].max())
            raise MemoryError(f"one example of {tokens} tokens does not fit in memory") from None
    # Not in the except block: the exception still references the tensors of the pass.
    middle = len(rows) // 2
    return [
        part
        for half in (rows[:middle], rows[middle:])
        for part in _batch_outputs(model, examples, half, device, forward, hyper)
    ]


def _logits(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], _: Hyperparameters
) -> torch.Tensor:
    logits: torch.Tensor = model(**batch).logits
    return logits.float()


def _best_tags(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], _: Hyperparameters
) -> torch.Tensor:
    logits: torch.Tensor = model(**batch).logits
    best = logits.argmax(-1).float()
    return best.masked_fill(~logits.isfinite().all(-1), torch.nan)  # counts as divergence


def _masked_token_sums(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], _: Hyperparameters
) -> torch.Tensor:
    """Return each block's log-likelihood of its masked tokens, the hits and their number."""
    labels = batch.pop(LABELS)
    log_probabilities = model(**batch, labels=labels).logits.float().log_softmax(-1)
    masked = labels != NOT_MASKED
    block = masked.nonzero(as_tuple=True)[0]
    gold = labels[masked]
    likelihood = log_probabilities.gather(1, gold[:, None])[:, 0]
    hits = log_probabilities.argmax(-1) == gold
    terms = torch.stack([likelihood, hits, torch.ones_like(likelihood)], 1)
    return torch.zeros(len(labels), 3, device=terms.device).index_add_(0, block, terms)


_FORWARDS: dict[str, Forward] = {
    "tag": _best_tags,
    "span": span_decoding.span_outputs,
    "thought": _masked_token_sums,
}


def embeddings(model: Any, batch: dict[str, torch.Tensor], hyper: Hyperparameters) -> torch.Tensor:
    """Return the sentence embeddings of Cross-Thought, float32 [lines, slots * width].

    A line is truncated where the model's positions or `max_length` end. The embedding is the hidden
    states of the line's slots, concatenated.

    Args:
        model: a Cross-Thought model.
        batch: `input_ids` and `attention_mask` of lines of text, [lines, tokens].
        hyper: the trial's configuration.
    """
    config, ids, real = model.config, batch["input_ids"], batch["attention_mask"]
    max_tokens = min(hyper.max_length, config.longest_sentence) - 1
    ids, real = ids[:, :max_tokens].clone(), real[:, :max_tokens]
    last = real.sum(1, keepdim=True) - 1
    ids.scatter_(1, last, config.eos_token_id)  # a truncated line has lost it
    ids = functional.pad(ids, (1, 0), value=config.bos_token_id)
    slots: torch.Tensor = model.base_model.embed(ids, functional.pad(real, (1, 0), value=1))
    return slots.flatten(1).float()


def decode(
    outputs: np.ndarray, examples: EncodedDataset, task: Task, hyper: Hyperparameters
) -> Any:
    """Return the predictions that a head's outputs stand for.

    Args:
        outputs: of `predict_outputs`.
        examples: the split.
        task: the task; its head decides the type of the result.
        hyper: the trial's configuration.

    Returns:
        Class ids, or scores in the task's own units, [examples]. For tags: sentence id -> the tags
        of its words. For spans: question id -> Answer. For masked tokens, the outputs themselves.
    """
    if task.head == "regress":
        return outputs[:, 0] * hyper.label_scale
    if task.head == "tag":
        rows = zip(outputs.astype(int), examples.units, strict=True)
        return _tags_by_sentence(examples, (tags[:words] for tags, words in rows))
    if task.head == "span":
        return span_decoding.decode_answers(outputs, examples, hyper)
    if task.head == "thought":
        return outputs
    return outputs.argmax(axis=1)


def _tags_by_sentence(examples: EncodedDataset, rows: Iterable[np.ndarray]) -> dict[str, list[int]]:
    """Return sentence id -> the tags of its rows, concatenated."""
    pairs = zip(examples.ids(), rows, strict=True)
    return {
        identity: [int(tag) for _, tags in pieces for tag in tags]
        for identity, pieces in groupby(pairs, key=lambda pair: pair[0])
    }


def has_only_finite_scores(outputs: np.ndarray, task: Task) -> bool:
    """Return whether no output is NaN or infinite.

    For spans only the null score counts: other outputs are infinite where a window has too few
    tokens.
    """
    checked = outputs[:, :1] if task.head == "span" else outputs
    return bool(np.isfinite(checked).all())


def score(
    predictions: Any, examples: EncodedDataset, task: Task, hyper: Hyperparameters
) -> dict[str, float]:
    """Return all of the task's metrics by name, as finite fractions.

    Args:
        predictions: of `decode`.
        examples: the split, with labels.
        task: the task; its head and metrics are used.
        hyper: the trial's configuration.
    """
    if task.head == "thought":
        return metrics.masked_lm.score(task.metrics, predictions)
    if task.head == "tag":
        tags = _tags_by_sentence(examples, examples.values(LABEL))
        return metrics.token_classification.score(task.metrics, predictions, tags, task.labels)
    if task.head == "span":
        return _score_answers(predictions, examples, task, hyper)
    assert examples.labels is not None, "a split without labels"
    return metrics.score(task.metrics, predictions, examples.labels)


def _score_answers(
    answers: dict[str, span_decoding.Answer],
    examples: EncodedDataset,
    task: Task,
    hyper: Hyperparameters,
) -> dict[str, float]:
    """Return the metrics of the answers to questions."""
    best = {identity: answer.texts[0] for identity, answer in answers.items()}
    gold, language = span_decoding.gold_answers(examples), examples.language
    if not task.unanswerable:
        return metrics.squad.score(task.metrics, best, gold, language=language)
    return metrics.squad.score(
        task.metrics,
        best,
        gold,
        nulls={identity: answer.null for identity, answer in answers.items()},
        threshold=hyper.null_threshold,
        unanswerable=True,
        language=language,
    )


def multilingual_scores(splits: list[dict[str, float]]) -> dict[str, float]:
    """Return "dev.mean." and "dev.gap." of each metric, see `metrics.over_languages`.

    Args:
        splits: the scores of each language; the first is the language of the training data.
    """
    scores = metrics.over_languages(splits[0], splits[1:])
    return {f"dev.{name}": value for name, value in scores.items()}
