"""The files of predictions in a folder: one for each language, as XTREME takes them, or the one
that a benchmark takes of a task. Knows names, not what is in the files."""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ..errors import InputError, Problem
from ..tasks import Split, Task
from .split_names import KINDS, by_name, kind_of, of_kind, scored, told

_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class PredictionFolder:
    """Files of predictions.

    Attributes:
        kind: "dev" or "test".
        files: each split and the predictions of it, in the order of the task's languages.
        passed: names of other files.
    """

    kind: str
    files: tuple[tuple[Split, Path], ...]
    passed: tuple[str, ...]


def lone_file(task: Task, folder: Path, name: str | None) -> tuple[str, Path]:
    """The split and the file of a task without languages, under the name by which it is handed in.

    Args:
        name: a split, instead of the first whose file is there.

    Raises:
        InputError: no such file, or of splits only whose labels are not published.
    """
    splits = [by_name(task, name)] if name else scored(task)
    asked = [split for split in splits if split.submission]
    for split in asked:
        for path in (folder / split.submission, folder / Path(split.submission).name):
            if path.is_file():
                return split.name, path
    wanted = " or ".join(split.submission for split in asked)
    text = f"no {wanted} in it; it" if wanted else "is a folder; give a file of predictions; it"
    _refuse(folder, f"{text} holds: {_listing(folder)}")


def language_files(task: Task, folder: Path, kind: str | None) -> PredictionFolder:
    """The files of a task with languages, in the folder or in that of the task within it.

    Args:
        kind: "dev" or "test", where the folder holds files of both.

    Raises:
        InputError: no file tells a language; files of both kinds, or two of the same language, or
            of one of which the task has no set.
    """
    example = Path(task.test[0].submission or "")
    inside = folder / example.parent
    place = inside if inside.is_dir() else folder
    named = {path: told(task, path.name) for path in sorted(place.iterdir()) if path.is_file()}
    known = {path: said for path, said in named.items() if said}
    if not known:
        text = f"no file whose name tells a language, such as {example} or {example.name}; it holds"
        _refuse(place, f"{text}: {_listing(place)}")
    kind = _kind(task, place, list(known.values()), kind)
    sets = of_kind(task, kind)
    files: dict[str, Path] = {}
    problems = []
    for path, (own, language) in known.items():
        if own not in (None, kind):
            continue
        if language not in sets:
            text = f"the task has no {kind} set in '{language}'"
            problems.append(Problem(location=path.name, text=text))
        elif language in files:
            text = f"is of the same language as {files[language].name}; leave one of them there"
            problems.append(Problem(location=path.name, text=text))
        files[language] = path
    if problems:
        raise InputError(str(place), problems)
    return PredictionFolder(
        kind=kind,
        files=tuple((split, files[code]) for code, split in sets.items() if code in files),
        passed=tuple(path.name for path, said in named.items() if not said),
    )


def _kind(task: Task, place: Path, told: list[tuple[str | None, str]], wanted: str | None) -> str:
    """Whether files are of dev or of test sets: as wanted, as their names tell, or as fits."""
    kinds = {kind for kind, _ in told if kind}
    if wanted and wanted not in KINDS:
        _refuse(place, f"'{wanted}'; of a folder of languages it is: dev or test", "--split")
    if wanted and kinds and wanted not in kinds:
        _refuse(place, f"holds no file of a {wanted} set; it holds: {_listing(place)}", "--split")
    if not wanted and len(kinds) > 1:
        _refuse(
            place, "the folder holds files of dev and of test sets; name one of them", "--split"
        )
    return wanted or next(iter(kinds), kind_of(task, (language for _, language in told)))


def _refuse(place: Path, text: str, option: str = "--predictions") -> NoReturn:
    raise InputError(str(place), [Problem(location=option, text=text)])


def _listing(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "nothing") + more
