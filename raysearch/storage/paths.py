"""Paths inside a run folder.

They are built in one place, so that none of them leaves the run folder or goes through a link.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError, Problem
from .file_names import component_problem

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISREG, "a file"),
)


def inside(folder: Path, *parts: str) -> Path:
    """Return the path of a file or folder inside a run folder; it need not exist.

    Args:
        folder: the run folder; it may be reached through links, as the user names it.
        parts: names of folders and, last, of a file or folder. None of those that exist may be a
            link.

    Raises:
        InputError: a part is not a name, is a link or a special file; with its location.
    """
    path = folder
    for index, part in enumerate(parts):
        if problem := component_problem(part):
            raise _error(folder, "/".join(parts[: index + 1]), f"is no name: {problem}")
        path /= part
        kind = kind_of(path)
        is_last = index == len(parts) - 1
        if kind is None or kind == "a folder" or (is_last and kind == "a file"):
            continue
        location = "/".join(parts[: index + 1])
        if kind == "a symbolic link":
            text = f"is a symbolic link to '{os.readlink(path)}': links in a run folder are not"
            raise _error(folder, location, f"{text} followed; put what it stands for in its place")
        needed = "a file or a folder" if is_last else "a folder"
        raise _error(folder, location, f"is {kind}, {needed} would do")
    return path


def file_inside(folder: Path, *parts: str) -> Path:
    """Return the path of a file inside a run folder; see `inside`. A folder is refused too."""
    path = inside(folder, *parts)
    if kind_of(path) == "a folder":
        raise _error(folder, "/".join(parts), "is a folder, a file would do")
    return path


def folder_inside(folder: Path, *parts: str) -> Path:
    """Return the path of a folder inside a run folder; it is created if it is missing.

    Raises:
        InputError: see `inside`; or the run folder itself is gone.
        OSError: it cannot be created.
    """
    if not folder.is_dir():
        raise _error(folder, "run folder", "is gone: it was moved or removed")
    for count in range(1, len(parts) + 1):
        path = inside(folder, *parts[:count])
        if kind_of(path) == "a file":
            raise _error(folder, "/".join(parts[:count]), "is a file, a folder would do")
        path.mkdir(exist_ok=True)
    return folder.joinpath(*parts)


def all_inside(folder: Path, paths: Iterable[tuple[str, ...]]) -> list[Path]:
    """Return the paths of several files inside a run folder; see `file_inside`.

    Raises:
        InputError: every path that is a link, a folder or a special file.
    """
    files: list[Path] = []
    problems: list[Problem] = []
    for parts in paths:
        try:
            files.append(file_inside(folder, *parts))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(str(folder), dict.fromkeys(problems))
    return files


def free_name(folder: Path, pattern: str) -> Path:
    """Return the first path in a folder at which nothing exists.

    Args:
        folder: the folder.
        pattern: a name with {} for a number, which counts from 1.
    """
    number = 1
    while kind_of(path := folder / pattern.format(number)) is not None:
        number += 1
    return path


def existing_part(path: Path) -> Path:
    """Return a path, or its nearest parent that exists if there is nothing at the path."""
    return next(part for part in (path, *path.parents) if part.exists())


def kind_of(path: Path) -> str | None:
    """Return what exists at a path, in words; of a link, the link. None if nothing does."""
    try:
        return kind_of_mode(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def kind_of_mode(mode: int) -> str:
    """Return what a file is, in words, by its mode from `stat`."""
    return next((name for test, name in _KINDS if test(mode)), "of an unknown kind")


def _error(folder: Path, location: str, text: str) -> InputError:
    return InputError(str(folder), [Problem(location=location, text=text)])
