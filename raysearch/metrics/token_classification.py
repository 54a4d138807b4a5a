"""Scores of tags given to words: F1 of entities or of runs of tags, and accuracy. Knows tags, no
files."""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, Problem, unknown_name

OUTSIDE = "O"
SCORES = ("entity_f1", "pos_f1", "token_accuracy")
_SHOWN = 10

Ids = NDArray[np.int64]
Tags = Mapping[str, Sequence[int]]


def score(
    metrics: Sequence[str], predictions: Tags, gold: Tags, labels: Sequence[str]
) -> dict[str, float]:
    """Every named metric of one split, in the order given.

    "entity_f1" and "pos_f1" are both `chunk_f1`, which reads tags with and without prefixes: the
    first is what papers report of entities, the second what XTREME reports of parts of speech.

    Args:
        metrics: of `SCORES`.
        predictions: sentence -> a tag for each word.
        gold: the same of the labels.
        labels: names of the tags, in the order of their ids.

    Raises:
        InputError: an unknown metric, nothing to score, other sentences or other numbers of words
            than in gold, a tag that there is not.
    """
    _check(metrics, predictions, gold, labels)
    rows = [predictions[identity] for identity in gold]
    measured = {}
    if {"entity_f1", "pos_f1"} & set(metrics):
        measured = dict.fromkeys(("entity_f1", "pos_f1"), chunk_f1(rows, [*gold.values()], labels))
    if "token_accuracy" in metrics:
        measured["token_accuracy"] = float(np.mean(_flat(rows) == _flat(gold.values())))
    return {name: measured[name] for name in metrics}


def chunk_f1(
    predictions: Sequence[Sequence[int]], gold: Sequence[Sequence[int]], labels: Sequence[str]
) -> float:
    """Micro F1 of chunks, by the rules of conlleval as seqeval 0.0.12 has them: a chunk is right if
    one of gold has its sentence, first word, last word and type. 0.0 where neither has any.

    A tag's prefix is its first letter, its type what follows its last hyphen, or all of it. A chunk
    ends where the type changes and before B, S or O, and begins where a type begins and at B or S.
    So I without a B begins a chunk. Of bare parts of speech, neighbours with the same tag are one
    chunk, except those that begin with S: of SYM and SCONJ each word is one. seqeval 1.x takes the
    first letter off instead, so that CCONJ and SCONJ are the same, and scores differ; of IOB2 tags
    both say the same.

    Args:
        predictions: tags of the words of each sentence, [sentences][words].
        gold: the same of the labels.
        labels: names of the tags, in the order of their ids.
    """
    rules = _Rules(labels)
    found, true = rules.chunks(predictions), rules.chunks(gold)
    both = len(found & true)
    return 2 * both / (len(found) + len(true)) if both else 0.0


class _Rules:
    """Where chunks begin and end between the tags of one set.

    Attributes:
        outside: the id of a further tag, which is around every sentence.
        types: the type of each tag, as an id, [tags + 1].
        begins, ends: whether a chunk begins, or ends, between two tags, [before, after].
    """

    def __init__(self, labels: Sequence[str]) -> None:
        tags = [(label[:1], label.rpartition("-")[2]) for label in (*labels, OUTSIDE)]
        ids = {kind: number for number, (_, kind) in enumerate(tags)}
        self.outside = len(labels)
        self.types = np.array([ids[kind] for _, kind in tags])
        self.begins = np.array([[_begins(one, two) for two in tags] for one in tags])
        self.ends = np.array([[_ends(one, two) for two in tags] for one in tags])

    def chunks(self, sentences: Sequence[Sequence[int]]) -> set[tuple[int, int, int]]:
        """First word, the word after the last, and type; words counted over all sentences."""
        outside = [self.outside]
        parts = chain.from_iterable((tags, outside) for tags in sentences)
        flat = _flat([outside, *parts])
        before, now = flat[:-1], flat[1:]
        starts = np.where(self.begins[before, now], np.arange(len(now)), 0)
        stops = np.flatnonzero(self.ends[before, now])
        firsts = np.maximum.accumulate(starts)[stops - 1]
        kinds = self.types[before[stops]]
        return set(zip(firsts.tolist(), stops.tolist(), kinds.tolist(), strict=True))


def _begins(before: tuple[str, str], now: tuple[str, str]) -> bool:
    """Whether a chunk begins at a tag, given as prefix and type, after another one."""
    alone = now[0] in "BS" or (now[0] in "EI" and before[0] in "ESO")
    return alone or (now[0] not in "O." and now[1] != before[1])


def _ends(before: tuple[str, str], now: tuple[str, str]) -> bool:
    """Whether a chunk ends between two tags."""
    cut = before[0] in "ES" or (before[0] in "BI" and now[0] in "BSO")
    return cut or (before[0] not in "O." and now[1] != before[1])


def _flat(rows: object) -> Ids:
    return np.fromiter(chain.from_iterable(rows), np.int64)


def _check(metrics: Sequence[str], predictions: Tags, gold: Tags, labels: Sequence[str]) -> None:
    found = [("metric", unknown_name("metric", m, SCORES)) for m in metrics if m not in SCORES]
    if not any(map(len, gold.values())):
        found.append(("gold", "no words; there is nothing to score"))
    for what in sorted(gold.keys() - predictions.keys())[:_SHOWN]:
        found.append((f"sentence {what}", "has no tags"))
    for what in sorted(predictions.keys() - gold.keys())[:_SHOWN]:
        found.append((f"sentence {what}", "is none of the data"))
    for what in gold.keys() & predictions.keys():
        tags, words = predictions[what], len(gold[what])
        if len(tags) != words:
            found.append((f"sentence {what}", f"{len(tags)} tags for {words} words"))
        elif len(tags) and not 0 <= min(tags) <= max(tags) < len(labels):
            text = f"tags from {min(tags)} to {max(tags)}; there are 0 to {len(labels) - 1}"
            found.append((f"sentence {what}", text))
    if found:
        problems = [Problem(location=place, text=text) for place, text in found[:_SHOWN]]
        raise InputError("tags", problems)
