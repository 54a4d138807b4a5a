"""Everything that takes a file or a folder away, moves it or cuts it. Links are never followed."""

import os
import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from ..errors import InputError, Problem
from .paths import free_name, kind_of

DAY = 24 * 3600.0  # seconds


def remove_file(path: Path) -> None:
    """Remove a file where there is one; of a link the link, not what it points to."""
    path.unlink(missing_ok=True)


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it where there is one; links in it go, what they point to stays.

    Raises:
        InputError: it is a link itself.
        OSError: it cannot be removed.
    """
    kind = kind_of(path)
    if kind is None:
        return
    if kind != "a folder":
        text = f"is {kind}, not a folder that this program made: it stays as it is"
        raise InputError(str(path.parent), [Problem(location=path.name, text=text)])
    shutil.rmtree(path)


def remove_known(folder: Path, names: Collection[str]) -> None:
    """Remove these files and empty folders of a folder, then the folder where it is empty."""
    for name in names:
        path = folder / name
        with suppress(OSError):
            path.rmdir() if kind_of(path) == "a folder" else remove_file(path)
    if kind_of(folder) == "a folder":
        with suppress(OSError):
            folder.rmdir()


def move(source: Path, target: Path) -> None:
    """Move a file or folder in one step; a file that is at `target` is replaced."""
    os.replace(source, target)


def take_place(source: Path, target: Path) -> None:
    """Put a folder in the place of another one; a crash leaves the old one or the new one whole.

    Args:
        source: a folder that this program made, on the same file system.
        target: absent, or a folder that goes away.
    """
    aside = target.with_name(f".{target.name}.replaced")
    remove_tree(aside)
    if kind_of(target) is not None:
        os.replace(target, aside)
    os.replace(source, target)
    remove_tree(aside)


def keep_aside(path: Path) -> Path:
    """Move what lies at a path to the first free name beside it: best.kept-1; gives that."""
    aside = free_name(path.parent, f"{path.name}.kept-{{}}")
    os.replace(path, aside)
    return aside


def shorten(descriptor: int, size: int) -> None:
    """Cut an open file to a size in bytes."""
    os.ftruncate(descriptor, size)


def remove_stale(folder: Path, pattern: str, age: float = DAY) -> None:
    """Remove folders that match a pattern and were not touched for so many seconds."""
    for path in folder.glob(pattern):
        with suppress(OSError, InputError):
            if time.time() - path.lstat().st_mtime > age:
                remove_tree(path)
