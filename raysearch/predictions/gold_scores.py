"""Scores predictions that have been read against labelled examples.

It is apart from `scoring` because it works without options, and folders of languages use it too.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import cast

from .. import metrics
from ..errors import InputError, Problem
from ..metrics.answer_normalization import Normalizer
from ..tasks import Example, Task
from ..tasks.example_ids import group_of, id_mismatch_problems
from . import json_files, json_lines, text_files
from .error_collection import collect_errors
from .references import References, example_id
from .split_detection import Answers, matching_splits
from .text_files import Lines

NullScores = dict[str, float]
ScoresAndNotes = tuple[dict[str, float], tuple[str, ...]]


def read_predictions(task: Task, path: Path) -> Answers | Lines:
    """Read a file of predictions as far as that is possible without the examples.

    Returns:
        Question -> answer from JSON; else the lines with their numbers.

    Raises:
        InputError: with all the problems that the file has by itself.
    """
    if task.layout == "json":
        return json_files.read_answers(path)
    lines = text_files.read_text(path)
    return json_lines.read_answers(path, lines) if task.facts.answers_questions else lines


def compare(
    task: Task,
    gold: References,
    data: Path,
    path: Path,
    predictions: Answers | Lines,
    *,
    null_scores_path: Path | None = None,
    null_scores: NullScores | None = None,
    threshold: float | None = None,
    as_official: bool = False,
) -> ScoresAndNotes:
    """Return the scores, as fractions, and notes on them.

    Args:
        task: the task.
        gold: the labelled examples.
        data: where they are from; other splits there are tried if the predictions do not fit.
        path: the file of predictions, for messages.
        predictions: of `read_predictions`.
        null_scores_path: the file of null scores, for messages.
        null_scores: question -> how sure the model is that there is no answer.
        threshold: see `metrics.squad.evaluate`.
        as_official: whether missing and unknown ids are no error, see `metrics.squad_scripts`.

    Raises:
        InputError: with all the problems that the predictions have with these examples.
    """
    if problems := matching_splits(task, gold.split, data, predictions, gold.examples):
        raise InputError(str(path), problems)
    if not isinstance(predictions, dict):
        return _score_labels(task, gold, path, predictions), ()
    if as_official:
        return _score_as_official(task, gold, path, predictions, null_scores, threshold)
    collect_errors(
        f"score {task.name}",
        lambda: _check_ids(path, "prediction", predictions, gold.examples),
        lambda: _check_ids(null_scores_path, "null score", null_scores, gold.examples),
    )
    return _score_answers(task, gold, predictions, null_scores, threshold)


def _score_as_official(
    task: Task,
    gold: References,
    path: Path,
    predictions: Answers,
    null_scores: NullScores | None,
    threshold: float | None,
) -> ScoresAndNotes:
    """Return what the benchmark's own script prints, and its warnings."""
    answers, normalizer = _gold_answers(task, gold)
    try:
        return metrics.squad_scripts.evaluate(
            predictions,
            answers,
            null_scores=null_scores,
            threshold=threshold,
            unanswerable=task.unanswerable,
            normalizer=normalizer,
        )
    except InputError as error:
        raise InputError(str(path), error.problems) from None


def _gold_answers(task: Task, gold: References) -> tuple[dict[str, tuple[str, ...]], Normalizer]:
    """Return question -> its gold answers, and the function that makes answers comparable."""
    answers = {}
    for example in gold.examples:
        pairs = cast(tuple[tuple[str, int], ...], example["answers"])
        answers[example_id(example)] = tuple(text for text, _ in pairs)
    if task.by_language and gold.split.language:
        return answers, metrics.squad.normalizer_of(gold.split.language)
    return answers, metrics.squad.normalize_answer


def _score_answers(
    task: Task,
    gold: References,
    predictions: Answers,
    null_scores: NullScores | None,
    threshold: float | None,
) -> ScoresAndNotes:
    """Return the scores of answers, and notes on them."""
    answers, normalizer = _gold_answers(task, gold)
    evaluate = partial(
        metrics.squad.evaluate,
        predictions,
        answers,
        null_scores=null_scores,
        threshold=threshold,
        unanswerable=task.unanswerable,
        normalizer=normalizer,
    )
    scores, notes = evaluate(), []
    if task.unanswerable and null_scores is None and all(predictions.values()):
        notes.append("every question is answered; an answer may be empty, or --null-odds be given")
    if null_scores is not None and len(set(null_scores.values())) < len(null_scores):
        official = evaluate(split_ties=True)
        notes += [
            f"some null odds are equal; the official script, which splits such ties, prints {name} "
            f"{100 * official[name]:.2f}"
            for name in ("best_exact", "best_f1")
            if official[name] != scores[name]
        ]
    return scores, tuple(notes)


def _check_ids(
    path: Path | None, kind: str, values: Mapping[str, object] | None, examples: Iterable[Example]
) -> None:
    """Raise InputError unless the ids of the values are those of the examples."""
    gold = dict.fromkeys(example_id(example) for example in examples)
    if values is not None and (problems := id_mismatch_problems(kind, values, gold)):
        text = "to score what is there as the benchmark's own script does, add --as-official"
        raise InputError(str(path), [*problems, Problem(location="ids", text=text, count=0)])


def _score_labels(task: Task, gold: References, path: Path, lines: Lines) -> dict[str, float]:
    """Return the task's metrics over the full split, and over each of its parts."""
    if task.facts.labels_words:
        tags = {
            example_id(example): cast(tuple[int, ...], example["label"])
            for example in gold.examples
        }
        predicted_tags = text_files.read_tags(path, lines, task, gold.examples)
        return metrics.token_classification.score(task.metrics, predicted_tags, tags, task.labels)
    read = text_files.read_choices if task.facts.groups_options else text_files.read_classes
    predictions = read(path, lines, task, gold.examples)
    labels = [cast(float, example["label"]) for example in gold.examples]
    groups = [group_of(example_id(e)) for e in gold.examples] if task.id_parts else None
    scores, first = metrics.score(task.metrics, predictions, labels, groups), 0
    for part, count in gold.parts.items():
        rows = slice(first, first + count)
        part_scores = metrics.score(task.metrics, predictions[rows], labels[rows])
        scores |= {f"{part}.{name}": value for name, value in part_scores.items()}
        first += count
    return scores
