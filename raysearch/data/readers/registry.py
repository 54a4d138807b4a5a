"""The table of file formats, and the functions that apply to all of them.

It is apart from the readers because it finds a task's files and never looks into them.

A reader is a module, or an object, with two functions. `split_paths(task, split, root)` returns the
files of each published form of a split. `read(task, split, root, errors)` yields the examples of
the first form that exists, and notes in `errors` what is wrong with the others.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

from ...errors import InputError, Problem, note_source
from ...storage import open_input
from ...tasks.own_forms import BENCHMARK, READER
from ...tasks.task import Example, Split, Task
from . import commonsense_qa, conll, plain_text, race, squad, superglue, table, toy_grammar, tsv
from .paths import folders, task_folder
from .row_errors import RowErrors


class Reader(Protocol):
    """A file format."""

    def split_paths(self, task: Task, split: Split, root: Path) -> tuple[tuple[Path, ...], ...]:
        """Return the files of each published form of a split."""

    def read(self, task: Task, split: Split, root: Path, errors: RowErrors) -> Iterator[Example]:
        """Yield the examples of the first form that exists, and note what is wrong with others."""


READERS: dict[str, Reader] = {
    "tsv": tsv,
    "table": table,
    "squad": squad,
    "race": race,
    "words": conll,
    "text": plain_text,
    "generated": toy_grammar,
    **superglue.READERS,
    **commonsense_qa.READERS,
}

_LISTED_NAMES = 12
_FEW = 10  # so few unusable examples are accepted whatever their share


def read(
    task: Task,
    split: Split,
    root: Path,
    *,
    max_bad_rows: int = 0,
    on_skipped: Callable[[RowErrors], None] | None = None,
) -> Iterator[Example]:
    """Return an iterator over the examples of a split, in the order of the file.

    Args:
        task: the task of the split.
        split: the split.
        root: the folder that holds the task's folder, or the folder of its benchmark; see
            `paths.folders`.
        max_bad_rows: how many unusable examples may be left out before that is an error.
        on_skipped: called after the last example with what was left out or repaired, and why, if
            anything was.

    Raises:
        InputError: at once if the files do not exist. After the last example if more than
            `max_bad_rows` are unusable, or most of them, or if the file as a whole is wrong.
    """
    if _present_files(task, split, root) is None:
        raise InputError(str(root), _missing(task, (split,), root))
    return _require_one(_read(task, split, root, max_bad_rows, on_skipped), task, split, root)


def _require_one(
    examples: Iterator[Example], task: Task, split: Split, root: Path
) -> Iterator[Example]:
    """Yield the examples.

    Raises:
        InputError: there is none, because all were left out.
    """
    empty = True
    with note_source(f"{split.name} of {task.name} in {task_folder(task, root)}"):
        for example in examples:
            empty = False
            yield example
    if empty:
        text = "no usable example: all were left out"
        raise InputError(str(task_folder(task, root)), [Problem(location=split.name, text=text)])


def _read(
    task: Task,
    split: Split,
    root: Path,
    max_bad_rows: int,
    on_skipped: Callable[[RowErrors], None] | None,
) -> Iterator[Example]:
    """Yield the examples, then raise InputError if too many are unusable."""
    errors = RowErrors(source=str(task_folder(task, root)))
    usable = 0
    for example in READERS[task.reader].read(task, split, root, errors):
        usable += 1
        yield example
    skipped = errors.skipped()
    if max_bad_rows >= skipped > max(_FEW, usable):
        text = f"{skipped:,} of {skipped + usable:,} examples are unusable"
        errors.refuse("file", f"{text}; leaving some out is not meant for most of a file")
    errors.close(max_bad_rows)
    if on_skipped is not None and (errors.skipped() or errors.repaired):
        on_skipped(errors)


def locate(task: Task, root: Path, further: tuple[Split, ...] = ()) -> list[Problem]:
    """Return what is missing of the files that a study of this task needs; empty if nothing is.

    A study needs the training set and the first dev split, which selects. A task that is only
    predicted needs its test splits. Other splits are used if they exist, see `present_splits`.

    Args:
        task: the task.
        root: the data folder.
        further: other splits that are needed, such as languages that the study names.
    """
    needed = (task.train, *task.dev[:1]) if task.train else task.test
    names = dict.fromkeys(split.name for split in (*needed, *further) if split)
    return _missing(task, tuple(task.splits()[name] for name in names), root)


def needs_root(task: Task) -> bool:
    """Return whether a data folder is needed to read a task.

    It is not where the task generates its examples, and where its files have whole paths.
    """
    paths = READERS[task.reader].split_paths
    forms = [form for split in task.splits().values() for form in paths(task, split, Path())]
    return any(not path.is_absolute() for form in forms for path in form)


def present_splits(task: Task, root: Path) -> tuple[str, ...]:
    """Return the names of the splits whose files exist: training sets, then dev, then test."""
    return tuple(
        name
        for name, split in task.splits().items()
        if _present_files(task, split, root) is not None
    )


def fingerprint(task: Task, split: Split, root: Path) -> str:
    """Return the SHA-256 of what the examples of a split are made from.

    It covers the names and contents of the files, and the fields of the task that say how they are
    read; of a user's own files not the names, but what scores them.

    Raises:
        InputError: the files do not exist.
    """
    files = _present_files(task, split, root)
    if files is None:
        raise InputError(str(root), _missing(task, (split,), root))
    forms: tuple[object, ...] = split.files
    if own := task.benchmark == BENCHMARK:
        # Own files may have any name and place. What scores them is the study's choice.
        forms = tuple(replace(form, parts=()) for form in split.files)
        forms += (split.name, split.language, task.head, task.metrics, task.unanswerable)
    facts = (task.reader, task.inputs, task.labels, task.bounds, split.labelled, forms)
    digest = hashlib.sha256(repr(facts).encode())
    for path in _expand_folders(files):
        digest.update(f"{'' if own else path.name} {path.stat().st_size}\n".encode())
        with open_input(path) as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    if not files:
        for example in read(task, split, root):
            digest.update(repr(sorted(example.items())).encode())
    return digest.hexdigest()


def _expand_folders(paths: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the files, and all files in the folders in the order of their names."""
    for path in paths:
        if path.is_dir():
            yield from sorted(below for below in path.rglob("*") if below.is_file())
        else:
            yield path


def _present_files(task: Task, split: Split, root: Path) -> tuple[Path, ...] | None:
    """Return the files of the first published form that is complete; empty if it has no files."""
    forms = READERS[task.reader].split_paths(task, split, root)
    return next((files for files in forms if all(path.exists() for path in files)), None)


def _missing(task: Task, splits: tuple[Split, ...], root: Path) -> list[Problem]:
    """Return a problem for each split without files, or one for the task's folder."""
    missing = [split for split in splits if _present_files(task, split, root) is None]
    if not missing or task.reader == READER or task_folder(task, root).is_dir():
        return [
            Problem(location=split.name, text=_missing_files_text(task, split, root))
            for split in missing
        ]
    return [Problem(location=task.name, text=_missing_folder_text(task, missing, root))]


def _missing_files_text(task: Task, split: Split, root: Path) -> str:
    """Return which files were looked for, and which ones exist instead."""
    if task.reader == READER:
        return _missing_tables_text(task, split, root)
    folder = task_folder(task, root)
    forms = READERS[task.reader].split_paths(task, split, root)
    in_folder = [files for files in forms if all(folder in path.parents for path in files)]
    names = [[path.relative_to(folder).as_posix() for path in files] for files in in_folder]
    expected = ", or ".join(dict.fromkeys(" with ".join(files) for files in names))
    present = sorted(path.name for path in folder.iterdir())
    absent = [name for files in names for name in files if name not in present]
    unknown = [name for name in present if name not in _file_names(task, root)]
    near = [match for name in absent for match in get_close_matches(name, unknown, n=1)]
    hint = f"did you mean '{near[0]}'? " if near else ""
    text = f"no {expected} in {folder}; {hint}it holds: {_listing(present)}"
    elsewhere = ", nor ".join(
        str(path) for files in forms if files not in in_folder for path in files
    )
    text = f"{text}; nor {elsewhere}" if elsewhere else text
    others = [name for name in folders(task) if root / name != folder and (root / name).is_dir()]
    return "; ".join(
        [text, *(f"{root / name} is not read, because {folder} exists" for name in others)]
    )


def _missing_tables_text(task: Task, split: Split, root: Path) -> str:
    """Return which of a user's own files are missing, and what lies in their folders instead."""
    (paths,) = READERS[task.reader].split_paths(task, split, root)
    texts = []
    for path in (path for path in paths if not path.exists()):
        folder = path.parent
        if not folder.is_dir():
            texts.append(f"no folder {folder}")
            continue
        present = sorted(entry.name for entry in folder.iterdir())
        near = get_close_matches(path.name, present, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        texts.append(f"no {path.name} in {folder}; {hint}it holds: {_listing(present)}")
    return "; ".join(texts)


def _file_names(task: Task, root: Path) -> set[str]:
    """Return the names of all files from which a split of the task can be read."""
    reader = READERS[task.reader]
    forms = [
        files for split in task.splits().values() for files in reader.split_paths(task, split, root)
    ]
    return {path.name for files in forms for path in files}


def _missing_folder_text(task: Task, missing: list[Split], root: Path) -> str:
    """Return why the task's folder is not in its place, as far as the data root shows it."""
    expected = [Path(folder) for folder in folders(task)]
    if not root.is_dir():
        names = " or ".join(f"{folder}/" for folder in expected)
        return f"no folder {root}; give the folder that holds {names}"
    text = f"no folder {' or '.join(map(str, expected))} in {root}"
    without_folder = replace(task, folder="")
    split_paths = READERS[task.reader].split_paths
    forms = [files for split in missing for files in split_paths(without_folder, split, root)]
    if any(all(path.exists() for path in files) for files in forms):
        return f"{text}; its files are in that folder itself: {_root_hint(expected[0], root)}"
    parent, last = expected[0].parent, expected[0].name
    if parent.name and (root / last).is_dir():
        return f"{text}; there is '{last}': {_root_hint(parent, root)}"
    for folder in expected:
        for name in _folders_in(root / folder.parent):
            if _letters(name) == _letters(last):
                return f"{text}; there is '{folder.parent / name}': rename it to '{last}'"
    for name in _folders_in(root):
        for folder in expected:
            if (root / name / folder).is_dir():
                hint = _benchmark_hint(folder, expected[-1], root)
                return f"{text}; there is one in {root / name}: {hint}"
    parents = [root / folder.parent for folder in reversed(expected)]
    searched = next((path for path in parents if path.is_dir()), root)
    present = _folders_in(searched)
    near = get_close_matches(last, present, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    holder = "it" if searched == root else searched.relative_to(root)
    listing = _listing(present) if present else "no folders"
    return f"{text}; {hint}{holder} holds: {listing}"


def _benchmark_hint(folder: Path, in_benchmark: Path, root: Path) -> str:
    """Return what to do about a task's folder in a folder that is not named after its benchmark.

    Args:
        folder: the task's folder as it was found.
        in_benchmark: the task's folder under the name of its benchmark.
        root: the data root.
    """
    rename = folder != in_benchmark and not (root / in_benchmark.parent).exists()
    if rename:
        return f"give that folder, or rename it to '{in_benchmark.parent}'"
    return "give that folder"


def _folders_in(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []


def _root_hint(folder: Path, root: Path) -> str:
    """Return what to do about a root that is the task's folder itself, or one on the way to it."""
    depth = len(folder.parts)
    if root.parts[-depth:] == folder.parts:
        return f"give {root.parents[depth - 1]}"
    if depth > 1:
        return f"move it to '{folder}' under another folder and give that one"
    return f"name it '{folder}' and give the folder above it"


def _letters(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _listing(names: list[str]) -> str:
    shown = ", ".join(names[:_LISTED_NAMES]) or "nothing"
    more = len(names) - _LISTED_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
