"""Predictions in several languages: the scores of each, their mean, and the gap of transfer."""

from pathlib import Path

from .. import metrics
from ..data import readers
from ..errors import InputError, Problem
from ..tasks import Split, Task
from . import comparison, folders
from .error_collection import collect_errors, join_errors
from .references import References, load_references
from .result import ScoreResult
from .split_names import of_kind

_SHOWN = 5  # problems of a language


def score_languages(
    task: Task, data: Path, predictions: Path, kind: str | None, *, as_official: bool = False
) -> ScoreResult:
    """Score every language of which there are predictions and labels.

    Args:
        data: the folder that holds the benchmark's folders.
        predictions: see `folder`.
        kind: "dev" or "test", where the folder holds files of both.
        as_official: see `raysearch.predictions.scoring.score`.

    Raises:
        InputError: all that is wrong with the predictions; or no labels of any language.
    """
    source = f"score {task.name}"
    steps = (lambda: _check(source, data), lambda: folders.language_files(task, predictions, kind))
    _, found = collect_errors(source, *steps)
    scores: dict[str, dict[str, float]] = {}
    hidden: dict[str, list[str]] = {}  # why no labels can be read -> languages
    further = _passed(found)
    errors, examples, here = [], 0, readers.present_splits(task, data)
    for split, path in found.files:
        gold = _gold(task, data, split) if split.name in here else "no data of them"
        if isinstance(gold, str):
            hidden.setdefault(gold, []).append(split.language)
            continue
        try:
            given = comparison.read_predictions(task, path)
            scores[split.language], notes = comparison.compare(
                task, gold, data, path, given, as_official=as_official
            )
            further += [f"{split.language}: {note}" for note in notes]
            examples += len(gold.examples)
        except InputError as error:
            errors.append(error)
    if errors:
        raise join_errors(source, errors, most=_SHOWN)
    without = [f"no labels for {', '.join(codes)} ({why})" for why, codes in hidden.items()]
    if not scores:
        raise InputError(source, [Problem(location="--data", text=text) for text in without])
    return ScoreResult(
        task=task.name,
        split=found.kind,
        examples=examples,
        scores=_over_languages(scores, task.languages[0]),
        notes=(*_part(len(scores), len(of_kind(task, found.kind))), *without, *further),
        languages=scores,
    )


def _gold(task: Task, data: Path, split: Split) -> References | str:
    """The labelled examples of a language, or why they cannot be read."""
    try:
        return load_references(task, data, split)
    except InputError as error:
        return f"{error.problems[0].location}: {error.problems[0].text}"


def _over_languages(found: dict[str, dict[str, float]], first: str) -> dict[str, float]:
    """Means and gaps; of answers also "mean.exact_f1", the mean of two means, as XTREME's evaluator
    counts them."""
    others = [scores for language, scores in found.items() if language != first]
    scores = metrics.over_languages(found.get(first), others)
    if {"mean.exact", "mean.f1"} <= set(scores):
        scores["mean.exact_f1"] = (scores["mean.exact"] + scores["mean.f1"]) / 2
    return scores


def _check(source: str, data: Path) -> None:
    if not data.is_dir():
        text = f"'{data}' is no folder; to score languages give the one of the benchmarks' folders"
        raise InputError(source, [Problem(location="--data", text=text)])


def _part(scored: int, known: int) -> list[str]:
    return [f"the mean is of {scored} of the task's {known} languages"] if scored < known else []


def _passed(found: folders.PredictionFolder) -> list[str]:
    return [f"no language in the names of: {', '.join(found.passed)}"] if found.passed else []
