"""Finds the split of predictions by names: of the split, of a gold file or of a prediction file.

It is apart from `split_detection`, which uses the contents of the files.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from ..data import readers
from ..errors import InputError, Problem, nearest_names, shorten
from ..tasks import Split, Task

KINDS = ("dev", "test")
# How programs name the predictions of a language: test-de or de; XTREME's scripts write
# predictions_de_ and test_de_predictions.
_FILE_NAMES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:(?P<kind>dev|test)[-_.])?(?P<language>[a-z]{2})",
        r"(?P<language>[a-z]{2})[-_.](?P<kind>dev|test)",
        r"predictions_(?P<language>[a-z]{2})_(?P<kind>dev|test)?",
        r"(?P<kind>dev|test)_(?P<language>[a-z]{2})_predictions",
    )
)


def choose_split(task: Task, data: Path, name: str | None, predictions: Path) -> Split:
    """Return the split with labels that predictions are scored on.

    Args:
        task: the task.
        data: the data folder, or a gold file, whose published name identifies its split.
        name: the split's name. None derives it from the name of the gold file, or for a task with
            languages from that of the prediction file; otherwise it is the first dev split.
        predictions: the prediction file; only its name is used.

    Raises:
        InputError: there is no such split, no labels are published, or no language is named where
            there are several.
    """
    if name is not None:
        return split_by_name(task, name)
    labelled, gold = labelled_splits(task), data.name if data.is_file() else None
    if not labelled:
        _refuse(task, "no labels of this task are published")
    if not task.languages:
        of_gold = (split for split in labelled if gold in _published_names(split))
        own = (split for split in task.dev if task.prediction_file(split) == predictions.name)
        return next(of_gold, None) or next(own, labelled[0])
    if split := (gold and _split_of_file(task, gold)) or _split_of_file(task, predictions.name):
        return split
    if gold and task.by_language:
        text = f"'{gold}' names no language, and answers are compared by language"
        _refuse(task, f"{text}; there are: {', '.join(task.languages)}")
    present = () if gold else readers.present_splits(task, data)
    candidates = [split for split in task.dev if split.name in present] or labelled[:1]
    if len(candidates) > 1:
        names = ", ".join(split.name for split in candidates)
        text = f"'{predictions.name}' names no language; name one of those in the data: {names}"
        _refuse(task, text)
    return candidates[0]


def _refuse(task: Task, text: str) -> NoReturn:
    raise InputError(f"score {task.name}", [Problem(location="--split", text=text)])


def labelled_splits(task: Task) -> list[Split]:
    """Return the splits whose labels are published: dev, test and training sets."""
    splits = (*task.dev, *task.test, *task.training_splits())
    return [split for split in splits if split.labelled or split.gold]


def split_by_name(task: Task, name: str) -> Split:
    """Return a split whose labels are published.

    Raises:
        InputError: there is no such split, or its labels are not published.
    """
    splits, labelled = task.splits(), labelled_splits(task)
    if name in splits and splits[name] in labelled:
        return splits[name]
    if name in splits:
        names = format_split_names(labelled) or "none"
        text = f"the labels of '{name}' are not published; labelled are: {names}"
    else:
        hint, names = _hint(task, name), format_split_names(splits.values())
        text = f"no split named '{shorten(name)}'; {hint}there are: {names}"
    _refuse(task, text)


def requested_splits(task: Task, name: str | None) -> list[Split]:
    """Return the splits to predict, each with the name of its file as its submission.

    Args:
        task: the task.
        name: "dev" or "test" for all of these splits; a split's name, of a dev split also after
            "dev." or "dev-". None: the splits that the benchmark takes, see `submitted_splits`.

    Raises:
        InputError: there is no such split, or no file holds its predictions.
    """
    test = [split for split in task.test if split.submission]
    if name is None:
        return submitted_splits(task)
    if name in KINDS:
        chosen = [*task.dev] if name == "dev" else test
    else:
        by_name = {split.name: split for split in (*test, *task.dev)}
        split = by_name.get(name) or by_name.get(re.sub("^dev[.-]", "", name))
        chosen = [split] if split else []
    if not chosen:
        names = format_split_names((*task.dev, *test)) or "none"
        text = f"no split named '{shorten(name)}'; there are: {names}"
        raise InputError("splits", [Problem(location=task.name, text=text)])
    files = [(split, task.prediction_file(split)) for split in chosen]
    if without := [split.name for split, file in files if file is None]:
        text = f"no file holds predictions of {', '.join(without)}, which masks words at random"
        raise InputError("splits", [Problem(location=task.name, text=text)])
    return [replace(split, submission=file) for split, file in files]


def submitted_splits(task: Task) -> list[Split]:
    """Return the splits that a benchmark takes; for SQuAD, whose test sets are hidden, dev."""
    return [split for split in (*task.test, *task.dev) if split.submission]


def _published_names(split: Split) -> list[str]:
    """Return the names of a split's files, of the data and of the predictions to submit."""
    files = (path for file in split.files for path in file.names)
    return [Path(path).name for path in (*files, split.submission or "")]


def _hint(task: Task, name: str) -> str:
    """Return a hint at the split that was meant: "dev.de" is de, "dev" the first dev split."""
    near = nearest_names(name, task.splits())[:1]
    if split := _split_of_file(task, f"{name}.tsv"):
        near = [split.name]
    elif task.dev and name in ("dev", "valid", "validation"):
        near = [task.dev[0].name]
    return f"did you mean '{near[0]}'? " if near else ""


def format_split_names(splits: Iterable[Split]) -> str:
    """Return the names of splits; splits that differ only by language have one name and a count."""
    groups: dict[str, list[str]] = {}
    for split in splits:
        stem = re.sub(rf"(^|-){split.language}$", "-", split.name)
        groups.setdefault(stem, []).append(split.name)
    names = []
    for first, *others in groups.values():
        names.append(f"{first} (and {len(others)} other languages)" if others else first)
    return ", ".join(names)


def splits_of_kind(task: Task, kind: str) -> dict[str, Split]:
    """Return language -> its split.

    Args:
        task: the task.
        kind: "dev" or "test".
    """
    splits = task.dev if kind == "dev" else task.test
    return {split.language: split for split in splits if split.language}


def default_kind(task: Task, languages: Iterable[str]) -> str:
    """Return the kind of predictions whose file names do not contain it.

    It is "dev", or "test" if a language has no dev split (XQuAD).
    """
    return "dev" if set(languages) <= set(splits_of_kind(task, "dev")) else "test"


def parse_file_name(task: Task, name: str) -> tuple[str | None, str] | None:
    """Return the kind and the language that the name of a file contains.

    Returns:
        "dev", "test" or None, and a language of the task; None if there is no language.
    """
    for kind in KINDS:
        for language, split in splits_of_kind(task, kind).items():
            if name in _published_names(split):
                return kind, language
    codes = {language for kind in KINDS for language in splits_of_kind(task, kind)}
    for match in (pattern.fullmatch(Path(name).stem) for pattern in _FILE_NAMES):
        if match and match["language"] in codes:
            return match["kind"], match["language"]
    return None


def _split_of_file(task: Task, name: str) -> Split | None:
    """Return the split that the name of a single file contains, or None."""
    kind, language = parse_file_name(task, name) or (None, "")
    return splits_of_kind(task, kind or default_kind(task, [language])).get(language)
