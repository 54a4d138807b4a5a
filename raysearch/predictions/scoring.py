"""Official scores of predictions, made by any program: of a file or of a folder of languages.

It is apart from prediction because it needs neither a model nor torch nor Ray.
"""

import math
from pathlib import Path
from typing import Any

from ..errors import InputError, Problem, printable
from ..tasks import Task
from . import folders, gold_scores, json_files, kept_files, kept_scores, multilingual
from . import result as result_forms
from .error_collection import collect_errors
from .kept_scores import KeptScores
from .references import References, load_references
from .result import ScoreResult
from .split_names import choose_split
from .task_names import find_task

_THRESHOLD = "_threshold"


def print_scores(*arguments: Any, as_json: bool = False, **options: Any) -> None:
    """Print the result of `score` in percent: one line per score, or one JSON object.

    Args:
        arguments: of `score`.
        as_json: whether to print JSON.
        options: of `score`.
    """
    result = score(*arguments, **options)
    form = kept_scores if isinstance(result, KeptScores) else result_forms
    print(form.json_text(result) if as_json else printable(form.plain_text(result), lines=True))


def score(
    name: str,
    data: Path | None,
    predictions: Path,
    *,
    study: str | Path | None = None,
    split: str | None = None,
    null_odds: Path | None = None,
    threshold: float | None = None,
    as_official: bool = False,
) -> ScoreResult | KeptScores:
    """Score predictions in the benchmark's own format, or kept dev predictions.

    Args:
        name: the task's name.
        data: the folder that holds the benchmark's folders, or the gold file itself. Kept
            predictions need none; if it is given, their ids and gold labels are compared with it.
        predictions: a file, see `text_files` and `json_files` for the formats; a folder of them,
            see `folders`; or kept predictions, see `kept_files.holds_kept`.
        study: the study or run that defines the task, if it is a user's own; None: the run that has
            kept the predictions.
        split: the split's name; for a folder of languages "dev" or "test". None derives it from
            the name of the gold file, or for a task with languages from that of the prediction
            file; otherwise it is the first dev split.
        null_odds: a JSON file, question -> how sure the model is that there is no answer.
        threshold: a question counts as not answered if its null odds are above.
        as_official: score as the benchmark's own script does, which ignores predictions of no
            question and questions without one; only for tasks with answers in JSON.

    Raises:
        InputError: with all the problems of the options; or of the gold file and of the predictions
            by themselves; or of the predictions with these examples.
    """
    task, source = find_task(name, study, predictions, data), f"score {name}"
    if kept_files.holds_kept(task, predictions):
        _check_kept_options(task, source, split, null_odds, threshold, as_official)
        return kept_scores.score_kept(task, predictions, data, threshold)
    if data is None:
        text = "a file of predictions needs the data that it is scored on; kept predictions do not"
        raise InputError(source, [Problem(location="--data", text=text)])
    if predictions.is_dir() and task.languages:
        _check_options(task, source, null_odds, threshold, as_official)
        return multilingual.score_languages(task, data, predictions, split, as_official=as_official)
    if predictions.is_dir():
        split, predictions = folders.single_file(task, predictions, split)
    return _score_file(task, data, predictions, split, null_odds, threshold, as_official)


def _score_file(
    task: Task,
    data: Path,
    predictions: Path,
    split: str | None,
    null_odds: Path | None,
    threshold: float | None,
    as_official: bool,
) -> ScoreResult:
    """Score one file of predictions; the parameters are those of `score`."""
    source = f"score {task.name}"
    _, gold, values, null_scores = collect_errors(
        source,
        lambda: _check_options(task, source, null_odds, threshold, as_official),
        lambda: _load_references(task, data, split, predictions),
        lambda: gold_scores.read_predictions(task, predictions),
        lambda: json_files.read_null_scores(null_odds) if null_odds else None,
    )
    scores, notes = gold_scores.compare(
        task,
        gold,
        data,
        predictions,
        values,
        null_scores_path=null_odds,
        null_scores=null_scores,
        threshold=threshold,
        as_official=as_official,
    )
    return _result(task, gold, scores, notes)


def _result(
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


def _check_options(
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


def _check_kept_options(
    task: Task,
    source: str,
    split: str | None,
    null_odds: Path | None,
    threshold: float | None,
    as_official: bool,
) -> None:
    """Refuse options that change nothing in the scores of kept predictions."""
    problems = [
        Problem(location=option, text="is not for kept predictions, which are scored as they are")
        for option, value in (("--null-odds", null_odds), ("--as-official", as_official))
        if value
    ]
    if split is not None:
        text = "is not for kept predictions, which hold all dev splits that the run has scored"
        problems.append(Problem(location="--split", text=text))
    if threshold is not None and not task.unanswerable:
        text = f"is for tasks with questions that have no answer; {task.name} has none"
        problems.append(Problem(location="--threshold", text=text))
    if problems:
        raise InputError(source, problems)


def _load_references(task: Task, data: Path, name: str | None, predictions: Path) -> References:
    if not data.exists():
        text = f"there is no such file or folder: '{data}'"
        raise InputError(f"score {task.name}", [Problem(location="--data", text=text)])
    return load_references(task, data, choose_split(task, data, name, predictions))
