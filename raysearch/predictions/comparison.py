"""The scores of predictions that were read, against labelled examples. Knows no options."""

from functools import partial
from pathlib import Path
from typing import Any

from .. import metrics
from ..errors import InputError, Problem
from ..metrics.answer_normalization import Normalizer
from ..metrics.missing_ids import id_mismatch_problems
from ..tasks import Example, Task
from . import json_files, text_files
from .error_collection import collect_errors
from .references import References
from .split_detection import matching_splits


def read_predictions(task: Task, path: Path) -> Any:
    """A file of predictions as far as it can be read without the examples."""
    return json_files.read_mapping(path) if task.layout == "json" else text_files.read_text(path)


def compare(
    task: Task, gold: References, data: Path, path: Path, found: Any, *,
    odds_path: Path | None = None, odds: dict[str, float] | None = None,
    threshold: float | None = None, as_official: bool = False,
) -> tuple[dict[str, float], tuple[str, ...]]:  # fmt: skip
    """The scores, as fractions, and what to say of them.

    Args:
        data: where the gold is from, for splits that fit better.
        path, odds_path: the files, for messages.
        found: what `read` gave of the predictions.
        as_official: whether ids that are missing or of no question are no error, see
            `metrics.official`.

    Raises:
        InputError: all that is wrong with the predictions of these examples.
    """
    if problems := matching_splits(task, gold.split, data, found, gold.examples):
        raise InputError(str(path), problems)
    if task.layout != "json":
        return _labels(task, gold, path, found), ()
    if as_official:
        return _official(task, gold, path, found, odds, threshold)
    collect_errors(
        f"score {task.name}",
        lambda: _paired(path, "prediction", found, gold.examples),
        lambda: _paired(odds_path, "null score", odds, gold.examples),
    )
    return _answers(task, gold, found, odds, threshold)


def _official(
    task: Task, gold: References, path: Path, found: dict[str, str], odds: dict[str, float] | None,
    threshold: float | None,
) -> tuple[dict[str, float], tuple[str, ...]]:  # fmt: skip
    """What the benchmark's own script prints and warns of."""
    true, normalise = _compared(task, gold)
    try:
        return metrics.squad_scripts.evaluate(
            found, true, null_scores=odds, threshold=threshold, unanswerable=task.unanswerable,
            normalizer=normalise,
        )  # fmt: skip
    except InputError as error:
        raise InputError(str(path), error.problems) from None


def _compared(task: Task, gold: References) -> tuple[dict[str, tuple[str, ...]], Normalizer]:
    """Question -> its gold answers, and what makes texts comparable."""
    true = {e["id"]: tuple(text for text, _ in e["answers"]) for e in gold.examples}
    if task.by_language and gold.split.language:
        return true, metrics.squad.normalizer_of(gold.split.language)
    return true, metrics.squad.normalize_answer


def _answers(
    task: Task, gold: References, found: dict[str, str], odds: dict[str, float] | None,
    threshold: float | None,
) -> tuple[dict[str, float], tuple[str, ...]]:  # fmt: skip
    """The scores, and what to say of them."""
    true, normalise = _compared(task, gold)
    evaluate = partial(
        metrics.squad.evaluate,
        found,
        true,
        null_scores=odds,
        threshold=threshold,
        unanswerable=task.unanswerable,
        normalizer=normalise,
    )
    scores, notes = evaluate(), []
    if task.unanswerable and odds is None and all(found.values()):
        notes.append("every question is answered; an answer may be empty, or --null-odds be given")
    if odds is not None and len(set(odds.values())) < len(odds):
        parted = evaluate(split_ties=True)
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
    if found is not None and (problems := id_mismatch_problems(what, found, gold)):
        text = "to score what is there as the benchmark's own script does, add --as-official"
        raise InputError(str(path), [*problems, Problem(location="ids", text=text, count=0)])


def _labels(task: Task, gold: References, path: Path, found: text_files.Lines) -> dict[str, float]:
    """The task's metrics over the whole split, and over each of its parts."""
    if task.head == "tag":
        tags = {example["id"]: example["label"] for example in gold.examples}
        given = text_files.read_tags(path, found, task, gold.examples)
        return metrics.token_classification.score(task.metrics, given, tags, task.labels)
    read = text_files.read_choices if task.layout == "numbered" else text_files.read_classes
    given = read(path, found, task, gold.examples)
    true = [example["label"] for example in gold.examples]
    scores, first = metrics.score(task.metrics, given, true), 0
    for part, count in gold.parts.items():
        rows = slice(first, first + count)
        of_part = metrics.score(task.metrics, given[rows], true[rows])
        scores |= {f"{part}.{name}": value for name, value in of_part.items()}
        first += count
    return scores
