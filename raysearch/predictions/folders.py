"""Finds the prediction files in a folder.

A task with languages has one file for each language, as XTREME takes them; other tasks have the one
file that the benchmark takes. The module is apart because it uses names only, not the contents.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..errors import InputError, Problem
from ..tasks import Split, Task
from .split_names import (
    KINDS,
    default_kind,
    labelled_splits,
    parse_file_name,
    split_by_name,
    splits_of_kind,
)

_SHOWN_NAMES = 12


@dataclass(frozen=True, kw_only=True)
class PredictionFolder:
    """The prediction files of a task with languages.

    Attributes:
        kind: "dev" or "test".
        files: each split and its predictions, in the order of the task's languages.
        ignored: the names of files whose names contain no language.
    """

    kind: str
    files: tuple[tuple[Split, Path], ...]
    ignored: tuple[str, ...]


def single_file(task: Task, folder: Path, name: str | None) -> tuple[str, Path]:
    """Return the split's name and the file of a task without languages.

    The file has the name under which it is submitted.

    Args:
        task: the task.
        folder: the folder.
        name: the split's name; None for the first split whose file is there.

    Raises:
        InputError: there is no such file, or only files of splits without published labels.
    """
    splits = [split_by_name(task, name)] if name else labelled_splits(task)
    named = [(split.name, task.prediction_file(split)) for split in splits]
    files = [(name, file) for name, file in named if file]
    for split_name, file in files:
        for path in (folder / file, folder / Path(file).name):
            if path.is_file():
                return split_name, path
    expected = " or ".join(file for _, file in files)
    text = f"no {expected} in it; it" if expected else "is a folder; give a file of predictions; it"
    _refuse(folder, f"{text} holds: {_listing(folder)}")


def language_files(task: Task, folder: Path, kind: str | None) -> PredictionFolder:
    """Return the files of a task with languages.

    Args:
        task: the task.
        folder: the folder of the files, or one that holds the task's folder.
        kind: "dev" or "test"; needed if the folder holds files of both.

    Raises:
        InputError: no file name contains a language, files are of both kinds, two are of the same
            language, or the task has no split in a language.
    """
    example = Path(task.test[0].submission or "")
    subfolder = folder / example.parent
    folder = subfolder if subfolder.is_dir() else folder
    parsed = {
        path: parse_file_name(task, path.name)
        for path in sorted(folder.iterdir())
        if path.is_file()
    }
    known = {path: names for path, names in parsed.items() if names}
    if not known:
        text = "no file name contains a language, as in "
        text += f"{example} or {example.name}; it holds: {_listing(folder)}"
        _refuse(folder, text)
    kind = _kind(task, folder, list(known.values()), kind)
    splits = splits_of_kind(task, kind)
    files: dict[str, Path] = {}
    problems = []
    for path, (file_kind, language) in known.items():
        if file_kind not in (None, kind):
            continue
        if language not in splits:
            text = f"the task has no {kind} set in '{language}'"
            problems.append(Problem(location=path.name, text=text))
        elif language in files:
            text = f"is of the same language as {files[language].name}; leave one of them there"
            problems.append(Problem(location=path.name, text=text))
        files[language] = path
    if problems:
        raise InputError(str(folder), problems)
    return PredictionFolder(
        kind=kind,
        files=tuple((split, files[code]) for code, split in splits.items() if code in files),
        ignored=tuple(path.name for path, names in parsed.items() if not names),
    )


def _kind(
    task: Task, folder: Path, names: list[tuple[str | None, str]], requested: str | None
) -> str:
    """Return the kind of the files: as requested, as in their names, or the default."""
    kinds = {kind for kind, _ in names if kind}
    if requested and requested not in KINDS:
        text = f"'{requested}'; for a folder of languages it is: dev or test"
        _refuse(folder, text, "--split")
    if requested and kinds and requested not in kinds:
        text = f"holds no file of a {requested} set; it holds: {_listing(folder)}"
        _refuse(folder, text, "--split")
    if not requested and len(kinds) > 1:
        text = "the folder holds files of dev and of test sets; name one of them"
        _refuse(folder, text, "--split")
    return requested or next(iter(kinds), default_kind(task, (language for _, language in names)))


def _refuse(folder: Path, text: str, option: str = "--predictions") -> NoReturn:
    raise InputError(str(folder), [Problem(location=option, text=text)])


def _listing(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return (", ".join(names[:_SHOWN_NAMES]) or "nothing") + more
