"""Write a file completely or not at all, and never through a link."""

import os
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .removal import remove_tree, take_place


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file in one step: readers see the old content or the new one.

    The content goes to a new file of an unpredictable name beside `path`, which then takes its
    place. Where `path` is a symbolic link, the link is replaced; what it points to stays as it is.

    Args:
        path: the file to write; its folder is created where it is absent.
        content: text is written as UTF-8.

    Raises:
        OSError: it cannot be written, for example for want of room; the old file stays.
    """
    content = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name[:100]}."
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=".writing")
    staged = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        staged.chmod(0o666 & ~_umask())
        os.replace(staged, path)
    except BaseException:
        with suppress(OSError):
            staged.unlink()
        raise


def empty_file(path: Path) -> None:
    """Take everything out of a regular file, which stays; what has other names (hard links) is
    replaced, so that a backup keeps its content.

    Raises:
        OSError: it is a link, or cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1:
            os.ftruncate(descriptor, 0)
        elif stat.S_ISREG(facts.st_mode):
            write_atomically(path, b"")
    finally:
        os.close(descriptor)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a new file's path for a library to write to; at the end it takes the place of `path`.

    Where the block or the disk fails, the new file goes and the old one stays. A reader sees one of
    the two, whole; a link at `path` is replaced, not followed.

    Raises:
        OSError: it cannot be written.
    """
    with staged_file(path) as staged:
        yield staged
        os.replace(staged, path)


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Give the path of a new file beside another one; what is still there at the end goes away.

    Raises:
        OSError: the folder cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}.writing")
    try:
        yield staged
    finally:
        with suppress(OSError):
            staged.unlink()


@contextmanager
def staged_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a new empty folder to fill; at the end it becomes `folder`, whole or not at all.

    Args:
        folder: absent, or an empty folder.
        replace: `folder` may be there already; then it goes away.

    Raises:
        OSError: it cannot be written, or is there already.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = folder.with_name(f".{folder.name[:100]}.{uuid.uuid4().hex}.writing")
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


def _umask() -> int:
    """Return the permissions that new files of this process do not get."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
