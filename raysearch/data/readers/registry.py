"""The one table of file formats, and what can be asked of any of them. Knows where a task's files
lie; what is in them is the reader's.

A reader is a module with two functions: `paths(task, split, root)` gives the files of each
published form of a split, and `read(task, split, root, faults)` the examples of the first form that
is there; what is wrong with the others it notes.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from ...errors import InputError, Problem, refuse_unreadable
from ...storage import open_input
from ...tasks.task import Example, Split, Task
from . import conll, plain_text, race, squad, toy_grammar, tsv
from .paths import folders, task_folder
from .row_errors import RowErrors

READERS: dict[str, ModuleType] = {
    "tsv": tsv,
    "squad": squad,
    "race": race,
    "words": conll,
    "text": plain_text,
    "generated": toy_grammar,
}


_LISTED_NAMES = 12
_FEW = 10  # unusable examples of which a share tells nothing


def read(
    task: Task,
    split: Split,
    root: Path,
    *,
    spare: int = 0,
    left: Callable[[RowErrors], None] | None = None,
) -> Iterator[Example]:
    """Examples of a split, in the file's order; see `Example` for what they hold.

    Args:
        root: the folder that holds the task's folder, or that of its benchmark; see
            `places.folders`.
        spare: how many unusable examples may be left out before that is an error.
        left: is told after the last example what was left out or mended and why, if anything was.

    Raises:
        InputError: at once if the files are not there; after the last example if more than
            `spare` were unusable, or most of them, or where what is wrong is not of single
            examples.
    """
    if _present(task, split, root) is None:
        raise InputError(str(root), _missing(task, (split,), root))
    return _some(_read(task, split, root, spare, left), task, split, root)


def _some(examples: Iterator[Example], task: Task, split: Split, root: Path) -> Iterator[Example]:
    """The examples; raises InputError where there is none, as all were left out."""
    none = True
    with refuse_unreadable(f"{split.name} of {task.name} in {task_folder(task, root)}"):
        for example in examples:
            none = False
            yield example
    if none:
        text = "no usable example: all were left out"
        raise InputError(str(task_folder(task, root)), [Problem(location=split.name, text=text)])


def _read(
    task: Task, split: Split, root: Path, spare: int, left: Callable[[RowErrors], None] | None
) -> Iterator[Example]:
    faults = RowErrors(source=str(task_folder(task, root)))
    kept = 0
    for example in READERS[task.reader].read(task, split, root, faults):
        kept += 1
        yield example
    left_out = faults.skipped()
    if spare >= left_out > max(_FEW, kept):
        whole = f"{left_out:,} of {left_out + kept:,} examples are unusable"
        faults.refuse("file", f"{whole}; to leave some out does not make up for most of them")
    faults.close(spare)
    if left is not None and (faults.skipped() or faults.repaired):
        left(faults)


def locate(task: Task, root: Path, further: tuple[Split, ...] = ()) -> list[Problem]:
    """What is missing of the files that a study of this task needs; empty if nothing is.

    Needed are train and the first dev split, which selects; of a task that is only predicted,
    its test splits; and `further` ones, such as languages that a study names. Other splits are used
    when they are there, see `present_splits`.
    """
    trained = (task.train, *task.dev[:1]) if task.train else task.test
    needed = dict.fromkeys(split.name for split in (*trained, *further) if split)
    return _missing(task, tuple(task.splits()[name] for name in needed), root)


def has_files(task: Task) -> bool:
    """Return whether a task is read from files; others make their examples."""
    paths = READERS[task.reader].split_paths
    return any(any(paths(task, split, Path())) for split in task.splits().values())


def present_splits(task: Task, root: Path) -> tuple[str, ...]:
    """Names of the splits whose files are there: training sets, then dev, then test."""
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
        with open_input(path) as stream:
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
    forms = READERS[task.reader].split_paths(task, split, root)
    return next((files for files in forms if all(path.exists() for path in files)), None)


def _missing(task: Task, splits: tuple[Split, ...], root: Path) -> list[Problem]:
    lacking = [split for split in splits if _present(task, split, root) is None]
    if not lacking or task_folder(task, root).is_dir():
        return [
            Problem(location=split.name, text=_missing_text(task, split, root)) for split in lacking
        ]
    return [Problem(location=task.name, text=_folder_text(task, lacking, root))]


def _missing_text(task: Task, split: Split, root: Path) -> str:
    """What was looked for, and what there is instead."""
    folder = task_folder(task, root)
    forms = READERS[task.reader].split_paths(task, split, root)
    own = [files for files in forms if all(folder in path.parents for path in files)]
    names = [[path.relative_to(folder).as_posix() for path in files] for files in own]
    wanted = ", or ".join(dict.fromkeys(" with ".join(files) for files in names))
    there = sorted(path.name for path in folder.iterdir())
    gone = [name for files in names for name in files if name not in there]
    strange = [name for name in there if name not in _known(task, root)]
    near = [match for name in gone for match in get_close_matches(name, strange, n=1)]
    hint = f"did you mean '{near[0]}'? " if near else ""
    text = f"no {wanted} in {folder}; {hint}it holds: {_listing(there)}"
    others = ", nor ".join(str(path) for files in forms if files not in own for path in files)
    text = f"{text}; nor {others}" if others else text
    unread = [name for name in folders(task) if root / name != folder and (root / name).is_dir()]
    passed = [f"{root / name} is not read, as {folder} is there" for name in unread]
    return "; ".join([text, *passed])


def _known(task: Task, root: Path) -> set[str]:
    """Names of files that some split is read from."""
    reader = READERS[task.reader]
    forms = [
        files for split in task.splits().values() for files in reader.split_paths(task, split, root)
    ]
    return {path.name for files in forms for path in files}


def _folder_text(task: Task, lacking: list[Split], root: Path) -> str:
    """Why the task's folder is not where it should be, as far as that can be told."""
    wanted = [Path(folder) for folder in folders(task)]
    if not root.is_dir():
        holding = " or ".join(f"{folder}/" for folder in wanted)
        return f"no folder {root}; give the folder that holds {holding}"
    looked = f"no folder {' or '.join(map(str, wanted))} in {root}"
    bare = replace(task, folder="")
    forms = [
        files for split in lacking for files in READERS[task.reader].split_paths(bare, split, root)
    ]
    if any(all(path.exists() for path in files) for files in forms):
        return f"{looked}; its files are in that folder itself: {_folder_hint(wanted[0], root)}"
    above, last = wanted[0].parent, wanted[0].name
    if above.name and (root / last).is_dir():
        return f"{looked}; there is '{last}': {_folder_hint(above, root)}"
    for folder in wanted:
        for name in _folders_in(root / folder.parent):
            if _plain(name) == _plain(last):
                return f"{looked}; there is '{folder.parent / name}': rename it to '{last}'"
    for name in _folders_in(root):
        for folder in wanted:
            if (root / name / folder).is_dir():
                return f"{looked}; there is one in {root / name}: {_give(folder, wanted[-1], root)}"
    place = next((root / f.parent for f in wanted[::-1] if (root / f.parent).is_dir()), root)
    there = _folders_in(place)
    near = get_close_matches(last, there, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    holder = "it" if place == root else place.relative_to(root)
    return f"{looked}; {hint}{holder} holds: {_listing(there)}"


def _give(folder: Path, other: Path, root: Path) -> str:
    """What to do where a task's folder lies in a folder of another name than its benchmark's."""
    rename = folder != other and not (root / other.parent).exists()
    return f"give that folder, or rename it to '{other.parent}'" if rename else "give that folder"


def _folders_in(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir() if path.is_dir()) if place.is_dir() else []


def _folder_hint(folder: Path, root: Path) -> str:
    """What to do where a root is the task's folder itself, or one of those that lead to it."""
    steps = len(folder.parts)
    if root.parts[-steps:] == folder.parts:
        return f"give {root.parents[steps - 1]}"
    if steps > 1:
        return f"move it to '{folder}' under another folder and give that one"
    return f"name it '{folder}' and give the folder above it"


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _listing(names: list[str]) -> str:
    shown = ", ".join(names[:_LISTED_NAMES]) or "nothing"
    more = len(names) - _LISTED_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
