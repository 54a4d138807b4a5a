"""Official scores of a file of predictions, whoever made it. No model, no torch, no Ray."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .. import metrics, tasks
from ..errors import InputError, Problem
from ..metrics.pairing import unpaired
from ..tasks import Example, Task
from . import files
from .gold import Gold, load

__all__ = ["Scored", "score", "show"]

_THRESHOLD = "_threshold"


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a file of predictions is worth.

    Attributes:
        split: the split's name.
        examples: how many were scored.
        scores: fractions, by the names of `raysearch.metrics`; of a split of several parts also
            "part.metric".
        thresholds: null scores at which the best scores stand; -inf where silence to everything is
            the best.
        notes: what the scores alone do not say.
    """

    task: str
    split: str
    examples: int
    scores: dict[str, float]
    thresholds: dict[str, float]
    notes: tuple[str, ...] = ()


def show(*arguments: Any, as_json: bool = False, **options: Any) -> None:
    """Print what `score` gives, in percent: a line a score, or one JSON object."""
    found = score(*arguments, **options)
    if as_json:
        # JSON has no infinity.
        thresholds = {n: x if math.isfinite(x) else None for n, x in found.thresholds.items()}
        percent = {name: 100 * value for name, value in found.scores.items()}
        whole = {**vars(found), "scores": percent, "thresholds": thresholds}
        print(json.dumps(whole, indent=2))
        return
    width = max(map(len, (*found.scores, *found.thresholds)))
    print(f"{found.task} {found.split}, {found.examples:,} examples")
    for name, value in found.scores.items():
        print(f"{name:<{width}}  {100 * value:6.2f}")
    for name, value in found.thresholds.items():
        print(f"{name:<{width}}  {value:g}")
    for note in found.notes:
        print(f"note: {note}")


def score(
    name: str,
    data: Path,
    predictions: Path,
    *,
    split: str | None = None,
    null_odds: Path | None = None,
    threshold: float | None = None,
) -> Scored:
    """Score predictions in the benchmark's own format.

    Args:
        name: the task.
        data: the folder that holds the benchmark's folders, or the gold file itself.
        predictions: see `files` for the formats.
        split: by default that of the gold file's name, else the first dev split.
        null_odds: JSON, question -> how sure the model is that there is no answer.
        threshold: no answer counts as given where these odds are above.

    Raises:
        InputError: all that is wrong with the options; with the gold file, and with what can be
            told of the predictions alone; or with the predictions of these examples.
    """
    task, source = tasks.get(name), f"score {name}"
    read = files.mapping if task.layout == "json" else files.text
    _, gold, found, odds = _together(
        source,
        lambda: _check(task, source, null_odds, threshold),
        lambda: load(task, data, split),
        lambda: read(predictions),
        lambda: files.mapping(null_odds, numbers=True) if null_odds else None,
    )
    if task.layout == "json":
        _together(
            source,
            lambda: _paired(predictions, "prediction", found, gold.examples),
            lambda: _paired(null_odds, "null score", odds, gold.examples),
        )
        scores, notes = _answers(task, gold, found, odds, threshold)
    else:
        scores, notes = _labels(task, gold, predictions, found), ()
    return Scored(
        task=name,
        split=gold.split.name,
        examples=len(gold.examples),
        scores={n: value for n, value in scores.items() if not n.endswith(_THRESHOLD)},
        thresholds={n: value for n, value in scores.items() if n.endswith(_THRESHOLD)},
        notes=notes,
    )


def _check(task: Task, source: str, null_odds: Path | None, threshold: float | None) -> None:
    problems = []
    if null_odds and not task.unanswerable:
        text = f"are for tasks with questions that have no answer; {task.name} has none"
        problems.append(Problem(place="--null-odds", text=text))
    if threshold is not None and not null_odds:
        text = "needs --null-odds, the scores that it is compared with"
        problems.append(Problem(place="--threshold", text=text))
    if threshold is not None and math.isnan(threshold):
        problems.append(Problem(place="--threshold", text="is no number"))
    if problems:
        raise InputError(source, problems)


def _together(source: str, *steps: Callable[[], Any]) -> list[Any]:
    """What each step gives; the problems of all that fail at once."""
    found, errors = [], []
    for step in steps:
        try:
            found.append(step())
        except InputError as error:
            errors.append(error)
    if len(errors) > 1:
        raise InputError(source, [p for error in errors for p in _placed(error, source)])
    if errors:
        raise errors[0]
    return found


def _placed(error: InputError, source: str) -> list[Problem]:
    """Problems with the file that they are of, where that is not the source itself."""
    if error.source == source:
        return list(error.problems)
    file = Path(error.source).name
    return [Problem(place=file, text=f"{p.place}: {p.text}") for p in error.problems]


def _answers(
    task: Task, gold: Gold, found: dict[str, str], odds: dict[str, float] | None,
    threshold: float | None,
) -> tuple[dict[str, float], tuple[str, ...]]:  # fmt: skip
    """The scores, and what to say of them."""
    true = {e["id"]: tuple(text for text, _ in e["answers"]) for e in gold.examples}
    normalise = metrics.squad.normalise
    if task.by_language and gold.split.language:
        normalise = metrics.squad.of_language(gold.split.language)
    evaluate = partial(
        metrics.squad.evaluate,
        found,
        true,
        null_scores=odds,
        threshold=threshold,
        unanswerable=task.unanswerable,
        normalise=normalise,
    )
    scores, notes = evaluate(), []
    if task.unanswerable and odds is None and all(found.values()):
        notes.append("every question is answered; an answer may be empty, or --null-odds be given")
    if odds is not None and len(set(odds.values())) < len(odds):
        parted = evaluate(part_ties=True)
        notes += [
            f"some odds are equal; the official script, which parts them, prints {name} "
            f"{100 * parted[name]:.2f}"
            for name in ("best_exact", "best_f1")
            if parted[name] != scores[name]
        ]
    return scores, tuple(notes)


def _paired(
    path: Path | None, what: str, found: dict[str, Any] | None, examples: list[Example]
) -> None:
    """Raise InputError unless all examples have one, and no others."""
    gold = dict.fromkeys(example["id"] for example in examples)
    if found is not None and (problems := unpaired(what, found, gold)):
        raise InputError(str(path), problems)


def _labels(task: Task, gold: Gold, path: Path, found: files.Lines) -> dict[str, float]:
    """The task's metrics over the whole split, and over each of its parts."""
    if task.head == "tag":
        tags = {example["id"]: example["label"] for example in gold.examples}
        given = files.tags(path, found, task, gold.examples)
        return metrics.tagging.score(task.metrics, given, tags, task.labels)
    read = files.choices if task.layout == "numbered" else files.classes
    given = read(path, found, task, gold.examples)
    true = [example["label"] for example in gold.examples]
    scores, first = metrics.score(task.metrics, given, true), 0
    for part, count in gold.parts.items():
        rows = slice(first, first + count)
        of_part = metrics.score(task.metrics, given[rows], true[rows])
        scores |= {f"{part}.{name}": value for name, value in of_part.items()}
        first += count
    return scores
