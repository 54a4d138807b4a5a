"""Official scores of predictions, whoever made them: of a file, or of a folder that holds one for
each language. No model, no torch, no Ray."""

import math
from pathlib import Path
from typing import Any

from .. import tasks
from ..errors import InputError, Problem, printable
from ..tasks import Task
from . import comparison, folders, json_files, multilingual
from .error_collection import collect_errors
from .references import References, load_references
from .result import ScoreResult, json_text, plain_text
from .split_names import choose

_THRESHOLD = "_threshold"


def show(*arguments: Any, as_json: bool = False, **options: Any) -> None:
    """Print what `score` gives, in percent: a line a score, or one JSON object."""
    found = score(*arguments, **options)
    print(json_text(found) if as_json else printable(plain_text(found), lines=True))


def score(
    name: str,
    data: Path,
    predictions: Path,
    *,
    split: str | None = None,
    null_odds: Path | None = None,
    threshold: float | None = None,
    as_official: bool = False,
) -> ScoreResult:
    """Score predictions in the benchmark's own format.

    Args:
        name: the task.
        data: the folder that holds the benchmark's folders, or the gold file itself.
        predictions: a file, see `files` and `objects` for the formats; or a folder of them, see
            `folder`.
        split: by default that of the gold file's name, or of the prediction file's where the task
            has languages, else the first dev split; of a folder of languages "dev" or "test".
        null_odds: JSON, question -> how sure the model is that there is no answer.
        threshold: no answer counts as given where these odds are above.
        as_official: score as the benchmark's own script does, which passes over predictions of no
            question, and questions without one; of tasks of answers in JSON.

    Raises:
        InputError: all that is wrong with the options; with the gold file, and with what can be
            told of the predictions alone; or with the predictions of these examples.
    """
    task, source = tasks.get(name), f"score {name}"
    if predictions.is_dir() and task.languages:
        _check(task, source, null_odds, threshold, as_official)
        return multilingual.score_languages(task, data, predictions, split, as_official=as_official)
    if predictions.is_dir():
        split, predictions = folders.lone_file(task, predictions, split)
    _, gold, found, odds = collect_errors(
        source,
        lambda: _check(task, source, null_odds, threshold, as_official),
        lambda: _gold(task, data, split, predictions),
        lambda: comparison.read_predictions(task, predictions),
        lambda: json_files.read_mapping(null_odds, numbers=True) if null_odds else None,
    )
    scores, notes = comparison.compare(
        task, gold, data, predictions, found,
        odds_path=null_odds, odds=odds, threshold=threshold, as_official=as_official,
    )  # fmt: skip
    return _scored(task, gold, scores, notes)


def _scored(
    task: Task, gold: References, scores: dict[str, float], notes: tuple[str, ...]
) -> ScoreResult:
    return ScoreResult(
        task=task.name,
        split=gold.split.name,
        examples=len(gold.examples),
        scores={n: value for n, value in scores.items() if not n.endswith(_THRESHOLD)},
        thresholds={n: value for n, value in scores.items() if n.endswith(_THRESHOLD)},
        notes=notes,
    )


def _check(
    task: Task, source: str, null_odds: Path | None, threshold: float | None, as_official: bool
) -> None:
    problems = []
    if as_official and task.layout != "json":
        text = f"is for answers in JSON, as SQuAD's scripts take them; {task.name} has none"
        problems.append(Problem(location="--as-official", text=text))
    if null_odds and not task.unanswerable:
        text = f"are for tasks with questions that have no answer; {task.name} has none"
        problems.append(Problem(location="--null-odds", text=text))
    if threshold is not None and not null_odds:
        text = "needs --null-odds, the scores that it is compared with"
        problems.append(Problem(location="--threshold", text=text))
    if threshold is not None and math.isnan(threshold):
        problems.append(Problem(location="--threshold", text="is no number"))
    if problems:
        raise InputError(source, problems)


def _gold(task: Task, data: Path, name: str | None, predictions: Path) -> References:
    if not data.exists():
        text = f"there is no such file or folder: '{data}'"
        raise InputError(f"score {task.name}", [Problem(location="--data", text=text)])
    return load_references(task, data, choose(task, data, name, predictions))
