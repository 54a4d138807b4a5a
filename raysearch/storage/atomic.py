"""Write files and folders completely or not at all, and never through a link.

It is apart from `removal` because everything here creates content.
"""

import os
import re
import stat
import tempfile
import uuid
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .paths import kind_of
from .removal import remove_file, remove_tree, take_place

# The names of `unfinished_name`, and of what `take_place` replaces.
_UNFINISHED = re.compile(r"\.(.+)\.(?:[0-9a-f]{32}\.writing|replaced)")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file in one step: readers see the old content or the new one.

    The content is written to a new file with an unpredictable name beside `path`, which then
    replaces `path`. If `path` is a symbolic link, the link is replaced; its target is not changed.

    Args:
        path: the file to write; its folder is created if it is missing.
        content: text is written as UTF-8.

    Raises:
        OSError: it cannot be written, for example because the disk is full; the old file stays.
    """
    content = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name[:100]}."
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=".writing")
    except OSError as error:
        error.filename = str(path)
        raise
    staged = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        staged.chmod(0o666 & ~_umask())
        os.replace(staged, path)
    except BaseException as error:
        with suppress(OSError):
            staged.unlink()
        if isinstance(error, OSError):
            error.filename = str(path)
        raise


def empty_file(path: Path) -> None:
    """Make a regular file empty.

    A file with other names (hard links) is replaced by an empty one, so that a backup under another
    name keeps its content.

    Raises:
        OSError: it is a symbolic link, or cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            os.ftruncate(descriptor, 0)
        elif stat.S_ISREG(status.st_mode):
            write_atomically(path, b"")
    finally:
        os.close(descriptor)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield the path of a new file for a library to write to; it replaces `path` at the end.

    If the block or the disk fails, the new file is removed and the old one stays. A reader sees
    one of the two, complete. A link at `path` is replaced, not followed.

    Raises:
        OSError: it cannot be written.
    """
    with staged_file(path) as staged:
        yield staged
        os.replace(staged, path)


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Yield the path of a new file beside another one; it is removed at the end if it exists.

    Raises:
        OSError: the folder cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = unfinished_name(path)
    try:
        yield staged
    finally:
        with suppress(OSError):
            staged.unlink()


@contextmanager
def staged_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a new empty folder to fill; at the end it becomes `folder`, complete or not at all.

    Args:
        folder: the folder to create; it is missing or empty, unless `replace` is set.
        replace: replace a folder that exists.

    Raises:
        OSError: it cannot be written, or exists and is not to be replaced.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = unfinished_name(folder)
    staged.mkdir()
    try:
        yield staged
        if replace:
            take_place(staged, folder)
        else:
            os.replace(staged, folder)
    finally:
        with suppress(OSError):
            remove_tree(staged)


def unfinished_name(path: Path) -> Path:
    """Return a new path beside another one, for what is half written or half removed."""
    return path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}.writing")


def remove_unfinished(folder: Path, names: Container[str]) -> None:
    """Remove what killed processes have left half written, half replaced or half removed.

    Args:
        folder: where they wrote; it may be missing.
        names: of the files and folders that they wrote. What is left of others stays.
    """
    if kind_of(folder) != "a folder":
        return
    for path in list(folder.iterdir()):
        if (match := _UNFINISHED.fullmatch(path.name)) and match[1] in names:
            remove_tree(path) if kind_of(path) == "a folder" else remove_file(path)


def _umask() -> int:
    """Return the permissions that this process withholds from new files."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
