"""Functions that remove, move or truncate files and folders.

They are apart so that a test can allow these calls here and nowhere else. Links are never followed.
"""

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
    """Remove a file if it exists; of a link, remove the link and not its target."""
    path.unlink(missing_ok=True)


def remove_tree(path: Path) -> None:
    """Remove a folder with its content if it exists; of links, remove the links only.

    Raises:
        InputError: the path is a link or a file.
        OSError: it cannot be removed.
    """
    kind = kind_of(path)
    if kind is None:
        return
    if kind != "a folder":
        text = f"is {kind}, not a folder that raysearch created: it is not removed"
        raise InputError(str(path.parent), [Problem(location=path.name, text=text)])
    shutil.rmtree(path)


def remove_known(folder: Path, names: Collection[str]) -> None:
    """Remove these files and empty folders of a folder, then the folder itself if it is empty."""
    for name in names:
        path = folder / name
        with suppress(OSError):
            path.rmdir() if kind_of(path) == "a folder" else remove_file(path)
    if kind_of(folder) == "a folder":
        with suppress(OSError):
            folder.rmdir()


def move(source: Path, target: Path) -> None:
    """Move a file or folder in one step; a file at `target` is replaced."""
    os.replace(source, target)


def take_place(source: Path, target: Path) -> None:
    """Replace a folder by another one; after a crash the old one or the new one is complete.

    Args:
        source: a folder that raysearch created, on the same file system.
        target: missing, or a folder that is removed.
    """
    aside = target.with_name(f".{target.name}.replaced")
    remove_tree(aside)
    if kind_of(target) is not None:
        os.replace(target, aside)
    os.replace(source, target)
    remove_tree(aside)


def keep_aside(path: Path) -> Path:
    """Move a file or folder to the first free name beside it, such as best.kept-1; return that."""
    aside = free_name(path.parent, f"{path.name}.kept-{{}}")
    os.replace(path, aside)
    return aside


def truncate_file(descriptor: int, size: int) -> None:
    """Truncate an open file to a size in bytes."""
    os.ftruncate(descriptor, size)


def remove_stale(folder: Path, pattern: str) -> None:
    """Remove the folders that match a pattern and were not changed for a day."""
    for path in folder.glob(pattern):
        with suppress(OSError, InputError):
            if time.time() - path.lstat().st_mtime > DAY:
                remove_tree(path)
