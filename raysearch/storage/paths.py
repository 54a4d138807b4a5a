"""Paths inside a run folder: built in one place, so that none leaves it or goes through a link."""

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
    """Return the path of a file or folder inside a run folder, which may be absent.

    Args:
        folder: the run folder; it may be reached through links, as it is the user who names it.
        parts: names of folders and, last, of what is meant. Those that exist are folders, the last
            one a folder or a file; none of them is a link.

    Raises:
        InputError: a part that is no name, a link or a special file, with its place.
    """
    path = folder
    for index, part in enumerate(parts):
        if problem := component_problem(part):
            raise _refused(folder, "/".join(parts[: index + 1]), f"is no name: {problem}")
        path /= part
        kind = kind_of(path)
        last = index == len(parts) - 1
        if kind is None or kind == "a folder" or (last and kind == "a file"):
            continue
        place = "/".join(parts[: index + 1])
        if kind == "a symbolic link":
            text = f"is a symbolic link to '{os.readlink(path)}': links in a run folder are not"
            raise _refused(folder, place, f"{text} followed; put what it stands for in its place")
        wanted = "a file or a folder" if last else "a folder"
        raise _refused(folder, place, f"is {kind}, {wanted} would do")
    return path


def file_inside(folder: Path, *parts: str) -> Path:
    """Return the path of a file inside a run folder, as `inside`; a folder is refused too."""
    path = inside(folder, *parts)
    if kind_of(path) == "a folder":
        raise _refused(folder, "/".join(parts), "is a folder, a file would do")
    return path


def folder_inside(folder: Path, *parts: str) -> Path:
    """Return a folder inside a run folder, made where it is absent.

    Raises:
        InputError: see `inside`; or the run folder itself is gone.
        OSError: it cannot be made.
    """
    if not folder.is_dir():
        raise _refused(folder, "run folder", "is gone: it was moved or removed")
    for count in range(1, len(parts) + 1):
        path = inside(folder, *parts[:count])
        if kind_of(path) == "a file":
            raise _refused(folder, "/".join(parts[:count]), "is a file, a folder would do")
        path.mkdir(exist_ok=True)
    return folder.joinpath(*parts)


def all_inside(folder: Path, paths: Iterable[tuple[str, ...]]) -> list[Path]:
    """Return the paths of several files inside a run folder; see `file_inside`.

    Raises:
        InputError: every one of them that is a link, a folder or a special file.
    """
    allowed, problems = [], []
    for parts in paths:
        try:
            allowed.append(file_inside(folder, *parts))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(str(folder), dict.fromkeys(problems))
    return allowed


def free_name(folder: Path, pattern: str) -> Path:
    """Return the first path in a folder at which nothing lies.

    Args:
        pattern: of a name, with {} for a number from 1.
    """
    number = 1
    while kind_of(path := folder / pattern.format(number)) is not None:
        number += 1
    return path


def kind_of(path: Path) -> str | None:
    """Return what lies at a path, itself and not what it links to; None where nothing does."""
    try:
        return kind_of_mode(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def kind_of_mode(mode: int) -> str:
    """Return what lies at a path, in words, by the mode that `stat` gives."""
    return next((name for test, name in _KINDS if test(mode)), "of an unknown kind")


def _refused(folder: Path, place: str, text: str) -> InputError:
    return InputError(str(folder), [Problem(location=place, text=text)])
