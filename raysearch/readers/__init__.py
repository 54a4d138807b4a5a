"""The one table of file formats, and what can be asked of any of them. Knows where a task's files
lie; what is in them is the reader's.

A reader is a module with two functions: `paths(task, split, folder)` gives the files of each
published form of a split, and `read(task, split, folder)` the examples of the first form that is
there.
"""

import hashlib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from ..errors import InputError, Problem
from ..tasks.task import Example, Split, Task
from . import generated, tsv

READERS: dict[str, ModuleType] = {"tsv": tsv, "generated": generated}

_LISTED_NAMES = 12


def read(task: Task, split: Split, root: Path) -> Iterator[Example]:
    """Examples of a split, in the file's order: "id" and every input as text, "label" as a class
    id, a number, or None where the split is not labelled.

    Args:
        root: the folder that holds the task's folder.

    Raises:
        InputError: at once if the files are not there; after the last row if any row is bad.
    """
    if _present(task, split, root) is None:
        raise InputError(str(root), _missing(task, (split,), root))
    return READERS[task.reader].read(task, split, root / task.folder)


def locate(task: Task, root: Path) -> list[Problem]:
    """What is missing of the files that a study of this task needs; empty if nothing is.

    Needed are train and the first dev split, which selects; of a task that is only predicted,
    its test splits. Other splits are used when they are there, see `present_splits`.
    """
    trained = (task.train, *task.dev[:1]) if task.train else task.test
    return _missing(task, tuple(split for split in trained if split), root)


def present_splits(task: Task, root: Path) -> tuple[str, ...]:
    """Names of the splits whose files are there: train, then dev, then test."""
    return tuple(
        name for name, split in task.splits().items() if _present(task, split, root) is not None
    )


def fingerprint(task: Task, split: Split, root: Path) -> str:
    """SHA-256 of what a split's examples are made from: its files' names and bytes, and the
    facts of the row that say how they are read.

    Raises:
        InputError: the files are not there.
    """
    files = _present(task, split, root)
    if files is None:
        raise InputError(str(root), _missing(task, (split,), root))
    facts = (task.reader, task.inputs, task.labels, task.bounds, split.labelled, split.files)
    digest = hashlib.sha256(repr(facts).encode())
    for path in _expand(files):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    if not files:
        for example in read(task, split, root):
            digest.update(repr(sorted(example.items())).encode())
    return digest.hexdigest()


def _expand(files: tuple[Path, ...]) -> Iterator[Path]:
    """Files, and the files below folders in the order of their names."""
    for path in files:
        if path.is_dir():
            yield from sorted(below for below in path.rglob("*") if below.is_file())
        else:
            yield path


def _present(task: Task, split: Split, root: Path) -> tuple[Path, ...] | None:
    """The files of the first form that is whole; empty for a task without files."""
    forms = READERS[task.reader].paths(task, split, root / task.folder)
    return next((files for files in forms if all(path.exists() for path in files)), None)


def _missing(task: Task, splits: tuple[Split, ...], root: Path) -> list[Problem]:
    lacking = [split for split in splits if _present(task, split, root) is None]
    folder = root / task.folder
    if not lacking or folder.is_dir():
        return [
            Problem(place=split.name, text=_missing_text(task, split, root)) for split in lacking
        ]
    return [Problem(place=task.name, text=_folder_text(task, lacking, root))]


def _missing_text(task: Task, split: Split, root: Path) -> str:
    """What was looked for, and what there is instead."""
    folder = root / task.folder
    forms = READERS[task.reader].paths(task, split, folder)
    names = [[path.relative_to(folder).as_posix() for path in files] for files in forms]
    wanted = ", or ".join(" with ".join(files) for files in names)
    there = sorted(path.name for path in folder.iterdir())
    gone = [name for files in names for name in files if name not in there]
    near = [match for name in gone for match in get_close_matches(name, there, n=1)]
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"no {wanted} in {folder}; {hint}it holds: {_listing(there)}"


def _folder_text(task: Task, lacking: list[Split], root: Path) -> str:
    """Why the task's folder is not where it should be, as far as that can be told."""
    if not root.is_dir():
        return f"no folder {root}; give the folder that holds {task.folder}/"
    looked = f"no folder {task.folder} in {root}"
    forms = [files for split in lacking for files in READERS[task.reader].paths(task, split, root)]
    if any(all(path.exists() for path in files) for files in forms):
        return f"{looked}; its files are in that folder itself: {_own_folder_hint(task, root)}"
    there = sorted(path.name for path in root.iterdir() if path.is_dir())
    for name in there:
        if _plain(name) == _plain(task.folder):
            return f"{looked}; there is '{name}': rename it to '{task.folder}'"
        if (root / name / task.folder).is_dir():
            return f"{looked}; there is one in {root / name}: give that folder"
    near = get_close_matches(task.folder, there, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"{looked}; {hint}it holds: {_listing(there)}"


def _own_folder_hint(task: Task, root: Path) -> str:
    if root.name == task.folder:
        return f"give {root.parent}"
    return f"name it '{task.folder}' and give the folder above it"


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _listing(names: list[str]) -> str:
    shown = ", ".join(names[:_LISTED_NAMES]) or "nothing"
    more = len(names) - _LISTED_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
