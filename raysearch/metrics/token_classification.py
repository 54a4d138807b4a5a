"""Scores of tags of words: F1 of entities or of runs of equal tags, and accuracy.

It is apart because it works on tags alone, without files or models.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, Problem, unknown_name

OUTSIDE = "O"
SCORES = ("entity_f1", "pos_f1", "token_accuracy")
_SHOWN_PROBLEMS = 10

Ids = NDArray[np.int64]
Counts = NDArray[np.float64]
Tags = Mapping[Any, Sequence[int]]  # sentence -> the tag id of each word


def score(
    metrics: Sequence[str], predictions: Tags, gold: Tags, labels: Sequence[str]
) -> dict[str, float]:
    """Return the named metrics of one split.

    "entity_f1" and "pos_f1" are both `chunk_f1`, which reads tags with and without prefixes. Papers
    report the first for entities, and XTREME reports the second for parts of speech.

    Args:
        metrics: names in `SCORES`.
        predictions: sentence -> the tag id of each word.
        gold: sentence -> the tag id of each word.
        labels: the names of the tags, in the order of their ids.

    Returns:
        Metric -> fraction, in the order of `metrics`.

    Raises:
        InputError: a metric or a tag is unknown, there is nothing to score, or the sentences or
            their numbers of words are not those of gold.
    """
    check(metrics, predictions, gold, labels)
    rows = [predictions[identity] for identity in gold]
    scores = {}
    if {"entity_f1", "pos_f1"} & set(metrics):
        scores = dict.fromkeys(("entity_f1", "pos_f1"), chunk_f1(rows, [*gold.values()], labels))
    if "token_accuracy" in metrics:
        scores["token_accuracy"] = float(np.mean(_flatten(rows) == _flatten(gold.values())))
    return {name: scores[name] for name in metrics}


def chunk_f1(
    predictions: Sequence[Sequence[int]], gold: Sequence[Sequence[int]], labels: Sequence[str]
) -> float:
    """Return the micro F1 of chunks, by the rules of conlleval as in seqeval 0.0.12.

    A predicted chunk is correct if a gold chunk has the same sentence, first word, last word and
    type. The F1 is 0.0 if neither side has a chunk.

    The prefix of a tag is its first letter. Its type is the text after its last hyphen, or the
    whole tag if it has none. A chunk ends where the type changes, and before B, S or O. It begins
    where a type begins, and at B or S; so I without a B before it begins a chunk.

    In tags without prefixes, as those of parts of speech, neighbors with the same tag are one
    chunk. Tags that begin with S are the exception: each word with SYM or SCONJ is a chunk. seqeval
    1.x removes the first letter of such tags instead, so that CCONJ and SCONJ are equal and scores
    differ; for IOB2 tags both versions agree.

    Args:
        predictions: tag ids of the words of each sentence, [sentences][words].
        gold: tag ids of the words of each sentence, [sentences][words].
        labels: the names of the tags, in the order of their ids.
    """
    rules = _ChunkRules(labels)
    predicted, true = rules.chunks(predictions), rules.chunks(gold)
    correct = len(predicted & true)
    return 2 * correct / (len(predicted) + len(true)) if correct else 0.0


def chunk_counts(
    predictions: Sequence[Sequence[int]], gold: Sequence[Sequence[int]], labels: Sequence[str]
) -> tuple[Counts, Counts, Counts]:
    """Return the numbers of correct, predicted and gold chunks of each sentence, see `chunk_f1`.

    Returns:
        Three arrays, [sentences]; `chunk_f1` is 2 correct / (predicted + gold) of their sums.
    """
    rules = _ChunkRules(labels)
    predicted, true = rules.chunks(predictions), rules.chunks(gold)
    ends = np.cumsum([len(tags) + 1 for tags in gold])  # a tag stands between two sentences

    def by_sentence(chunks: set[tuple[int, int, int]]) -> Counts:
        firsts = np.fromiter((first for first, _, _ in chunks), np.int64, len(chunks))
        sentences = np.searchsorted(ends, firsts, side="right")
        return np.bincount(sentences, minlength=len(gold)).astype(np.float64)

    return by_sentence(predicted & true), by_sentence(predicted), by_sentence(true)


class _ChunkRules:
    """The places where chunks begin and end between the tags of one set.

    Attributes:
        outside: the id of an additional tag, which surrounds every sentence.
        types: the type of each tag, as an id, [tags + 1].
        begins: whether a chunk begins between two tags, [tag before + 1, tag after + 1].
        ends: whether a chunk ends between two tags, [tag before + 1, tag after + 1].
    """

    def __init__(self, labels: Sequence[str]) -> None:
        tags = [(label[:1], label.rpartition("-")[2]) for label in (*labels, OUTSIDE)]
        ids = {kind: number for number, (_, kind) in enumerate(tags)}
        self.outside = len(labels)
        self.types = np.array([ids[kind] for _, kind in tags])
        self.begins = np.array([[_begins(before, after) for after in tags] for before in tags])
        self.ends = np.array([[_ends(before, after) for after in tags] for before in tags])

    def chunks(self, sentences: Sequence[Sequence[int]]) -> set[tuple[int, int, int]]:
        """Return the first word, the word after the last, and the type of every chunk.

        Words are counted over all sentences.
        """
        outside = [self.outside]
        parts = chain.from_iterable((tags, outside) for tags in sentences)
        tags = _flatten([outside, *parts])
        before, after = tags[:-1], tags[1:]
        starts = np.where(self.begins[before, after], np.arange(len(after)), 0)
        stops = np.flatnonzero(self.ends[before, after])
        firsts = np.maximum.accumulate(starts)[stops - 1]
        types = self.types[before[stops]]
        return set(zip(firsts.tolist(), stops.tolist(), types.tolist(), strict=True))


def _begins(before: tuple[str, str], after: tuple[str, str]) -> bool:
    """Return whether a chunk begins between two tags; a tag is a prefix and a type."""
    by_prefix = after[0] in "BS" or (after[0] in "EI" and before[0] in "ESO")
    return by_prefix or (after[0] not in "O." and after[1] != before[1])


def _ends(before: tuple[str, str], after: tuple[str, str]) -> bool:
    """Return whether a chunk ends between two tags; a tag is a prefix and a type."""
    by_prefix = before[0] in "ES" or (before[0] in "BI" and after[0] in "BSO")
    return by_prefix or (before[0] not in "O." and after[1] != before[1])


def _flatten(rows: Iterable[Sequence[int]]) -> Ids:
    return np.fromiter(chain.from_iterable(rows), np.int64)


def check(metrics: Sequence[str], predictions: Tags, gold: Tags, labels: Sequence[str]) -> None:
    """Refuse what has no score; the arguments and the errors are those of `score`."""
    problems = [("metric", unknown_name("metric", m, SCORES)) for m in metrics if m not in SCORES]
    if not any(map(len, gold.values())):
        problems.append(("gold", "no words; there is nothing to score"))
    for identity in sorted(gold.keys() - predictions.keys())[:_SHOWN_PROBLEMS]:
        problems.append((f"sentence {identity}", "has no tags"))
    for identity in sorted(predictions.keys() - gold.keys())[:_SHOWN_PROBLEMS]:
        problems.append((f"sentence {identity}", "is not in the data"))
    for identity in gold.keys() & predictions.keys():
        tags, words = predictions[identity], len(gold[identity])
        if len(tags) != words:
            problems.append((f"sentence {identity}", f"{len(tags)} tags for {words} words"))
        elif len(tags) and not 0 <= min(tags) <= max(tags) < len(labels):
            text = f"tags from {min(tags)} to {max(tags)}; there are 0 to {len(labels) - 1}"
            problems.append((f"sentence {identity}", text))
    if problems:
        shown = problems[:_SHOWN_PROBLEMS]
        raise InputError("tags", [Problem(location=place, text=text) for place, text in shown])
