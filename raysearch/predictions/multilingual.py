"""Scores predictions in several languages: each language, their mean, and the transfer gap.

It is apart from `scoring`, which scores one file; a folder also has languages without labels.
"""

from pathlib import Path

from .. import metrics
from ..data import readers
from ..errors import InputError, Problem
from ..tasks import Split, Task
from . import folders, gold_scores
from .error_collection import collect_errors, join_errors
from .references import References, load_references
from .result import ScoreResult
from .split_names import splits_of_kind

_MAX_PROBLEMS = 5  # of a language


def score_languages(
    task: Task, data: Path, predictions: Path, kind: str | None, *, as_official: bool = False
) -> ScoreResult:
    """Score every language that has predictions and labels.

    Args:
        task: the task.
        data: the folder that holds the benchmark's folders.
        predictions: the folder of predictions, see `folders.language_files`.
        kind: "dev" or "test"; needed if the folder holds files of both.
        as_official: see `scoring.score`.

    Raises:
        InputError: with all the problems of the predictions, or if no language has labels.
    """
    source = f"score {task.name}"
    folder = _find_files(source, task, data, predictions, kind)
    scores: dict[str, dict[str, float]] = {}
    unlabelled: dict[str, list[str]] = {}  # the reason -> the languages
    notes = _ignored_notes(folder)
    errors, examples, present = [], 0, readers.present_splits(task, data)
    for language, split, path in _by_language(folder):
        gold = _load(task, data, split) if split.name in present else "no data of them"
        if isinstance(gold, str):
            unlabelled.setdefault(gold, []).append(language)
            continue
        try:
            values = gold_scores.read_predictions(task, path)
            scores[language], further = gold_scores.compare(
                task, gold, data, path, values, as_official=as_official
            )
            notes += [f"{language}: {note}" for note in further]
            examples += len(gold.examples)
        except InputError as error:
            errors.append(error)
    if errors:
        raise join_errors(source, errors, max_problems=_MAX_PROBLEMS)
    without = [f"no labels for {', '.join(codes)} ({why})" for why, codes in unlabelled.items()]
    if not scores:
        raise InputError(source, [Problem(location="--data", text=text) for text in without])
    return ScoreResult(
        task=task.name,
        split=folder.kind,
        examples=examples,
        scores=_over_languages(scores, task.languages[0]),
        notes=(*_missing_notes(task, folder.kind, len(scores)), *without, *notes),
        languages=scores,
    )


def _find_files(
    source: str, task: Task, data: Path, predictions: Path, kind: str | None
) -> folders.PredictionFolder:
    folder: folders.PredictionFolder
    _, folder = collect_errors(
        source,
        lambda: _check_data_folder(source, data),
        lambda: folders.language_files(task, predictions, kind),
    )
    return folder


def _by_language(folder: folders.PredictionFolder) -> list[tuple[str, Split, Path]]:
    return [(split.language, split, path) for split, path in folder.files if split.language]


def _load(task: Task, data: Path, split: Split) -> References | str:
    """Return the labelled examples of a language, or why they cannot be read."""
    try:
        return load_references(task, data, split)
    except InputError as error:
        return f"{error.problems[0].location}: {error.problems[0].text}"


def _over_languages(by_language: dict[str, dict[str, float]], first: str) -> dict[str, float]:
    """Return means and gaps.

    Answers also have "mean.exact_f1", the mean of the two means, as in XTREME's evaluator.
    """
    others = [scores for language, scores in by_language.items() if language != first]
    scores = metrics.over_languages(by_language.get(first), others)
    if {"mean.exact", "mean.f1"} <= set(scores):
        scores["mean.exact_f1"] = (scores["mean.exact"] + scores["mean.f1"]) / 2
    return scores


def _check_data_folder(source: str, data: Path) -> None:
    if not data.is_dir():
        text = f"'{data}' is no folder; to score languages, give the one of the benchmarks' folders"
        raise InputError(source, [Problem(location="--data", text=text)])


def _missing_notes(task: Task, kind: str, scored: int) -> list[str]:
    known = len(splits_of_kind(task, kind))
    return [f"the mean is of {scored} of the task's {known} languages"] if scored < known else []


def _ignored_notes(folder: folders.PredictionFolder) -> list[str]:
    return [f"no language in the names of: {', '.join(folder.ignored)}"] if folder.ignored else []
