"""Which split predictions are of, as far as names tell: that of a split, of a gold file, of a file
of predictions."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from ..data import readers
from ..errors import InputError, Problem, nearest_name, shorten
from ..tasks import Split, Task

KINDS = ("dev", "test")
# What programs call the predictions of a language: test-de, de; predictions_de_ and
# test_de_predictions as XTREME's scripts do.
_FORMS = tuple(
    re.compile(form)
    for form in (
        r"(?:(?P<kind>dev|test)[-_.])?(?P<language>[a-z]{2})",
        r"(?P<language>[a-z]{2})[-_.](?P<kind>dev|test)",
        r"predictions_(?P<language>[a-z]{2})_(?P<kind>dev|test)?",
        r"(?P<kind>dev|test)_(?P<language>[a-z]{2})_predictions",
    )
)


def choose(task: Task, data: Path, name: str | None, predictions: Path) -> Split:
    """The split that is meant, which has labels.

    Args:
        data: the data folder, or a gold file, whose published name tells its split.
        name: the split; without it that of the gold file, else that of the prediction file's name
            where the task has languages, else the first dev split.

    Raises:
        InputError: no such split, none with published labels, or several languages to choose from.
    """
    if name is not None:
        return by_name(task, name)
    labelled, gold = scored(task), data.name if data.is_file() else None
    if not labelled:
        _refuse(task, "no labels of this task are published")
    if not task.languages:
        return next((split for split in labelled if gold in _names(split)), labelled[0])
    if found := (gold and _told(task, gold)) or _told(task, predictions.name):
        return found
    if gold and task.by_language:
        text = f"'{gold}' tells no language, by which answers are compared"
        _refuse(task, f"{text}; there are: {', '.join(task.languages)}")
    there = () if gold else readers.present_splits(task, data)
    here = [split for split in task.dev if split.name in there] or labelled[:1]
    if len(here) > 1:
        names = ", ".join(split.name for split in here)
        _refuse(task, f"'{predictions.name}' tells no language, name it; here are: {names}")
    return here[0]


def _refuse(task: Task, text: str) -> NoReturn:
    raise InputError(f"score {task.name}", [Problem(location="--split", text=text)])


def scored(task: Task) -> list[Split]:
    """Splits whose labels are published: dev, test and training sets."""
    every = (*task.dev, *task.test, *task.training_splits())
    return [split for split in every if split.labelled or split.gold]


def by_name(task: Task, name: str) -> Split:
    """A split whose labels are published. Raises InputError, with the nearest name, for others."""
    splits, labelled = task.splits(), scored(task)
    if name in splits and splits[name] in labelled:
        return splits[name]
    if name in splits:
        there = listed(labelled) or "none"
        text = f"the labels of '{name}' are not published; labelled are: {there}"
    else:
        near = _nearest(task, name)
        text = f"no split named '{shorten(name)}'; {near}there are: {listed(splits.values())}"
    _refuse(task, text)


def _names(split: Split) -> list[str]:
    """Names of a split's files, as they are published and as predictions of it are handed in."""
    return [Path(path).name for path in (*(f.path for f in split.files), split.submission or "")]


def _nearest(task: Task, name: str) -> str:
    """A hint at the split that was meant: "dev.de" is de, "dev" the first dev split."""
    near = nearest_name(name, task.splits())[:1]
    if found := _told(task, f"{name}.tsv"):
        near = [found.name]
    elif task.dev and name in ("dev", "valid", "validation"):
        near = [task.dev[0].name]
    return f"did you mean '{near[0]}'? " if near else ""


def listed(splits: Iterable[Split]) -> str:
    """Names of splits; of those that differ by their language alone the first, and how many."""
    groups: dict[str, list[str]] = {}
    for split in splits:
        stem = re.sub(rf"(^|-){split.language}$", "-", split.name)
        groups.setdefault(stem, []).append(split.name)
    firsts = []
    for first, *others in groups.values():
        firsts.append(f"{first} (and {len(others)} other languages)" if others else first)
    return ", ".join(firsts)


def of_kind(task: Task, kind: str) -> dict[str, Split]:
    """Language -> its dev or its test set."""
    splits = task.dev if kind == "dev" else task.test
    return {split.language: split for split in splits if split.language}


def kind_of(task: Task, languages: Iterable[str]) -> str:
    """What predictions of these languages are of where their names do not tell: dev sets, unless
    one of them has none (XQuAD)."""
    return "dev" if set(languages) <= set(of_kind(task, "dev")) else "test"


def told(task: Task, name: str) -> tuple[str | None, str] | None:
    """What a file's name says: "dev", "test" or neither, and a language of the task."""
    for kind in KINDS:
        for language, split in of_kind(task, kind).items():
            if name in _names(split):
                return kind, language
    codes = {language for kind in KINDS for language in of_kind(task, kind)}
    for match in (form.fullmatch(Path(name).stem) for form in _FORMS):
        if match and match["language"] in codes:
            return match["kind"], match["language"]
    return None


def _told(task: Task, name: str) -> Split | None:
    """The split that a lone file's name tells."""
    kind, language = told(task, name) or (None, "")
    return of_kind(task, kind or kind_of(task, [language])).get(language)
