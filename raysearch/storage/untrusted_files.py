"""Files that are opened without trust: regular ones only. Those that a user names for reading may
be links, as data folders are often made of links; those inside a run folder may not."""

import errno
import json
import os
import stat
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any

from ..errors import InputError, Problem
from .paths import kind_of, kind_of_mode

LARGEST_JSON = 2**20  # bytes of a file of facts


def open_input(path: Path) -> BufferedReader:
    """Open a regular file that a user named, for reading, in blocks.

    A pipe or a device is refused and not waited for: `/dev/zero` never ends.

    Args:
        path: the file, or a link to it.

    Raises:
        OSError: absent, a folder, no regular file, or it cannot be opened; `strerror` says it.
    """
    try:
        _check(path, os.stat(path).st_mode)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:  # a NUL or half a surrogate pair: no file system takes such a name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    try:
        _check(path, os.fstat(descriptor).st_mode)
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _check(path: Path, mode: int) -> None:
    """Raise OSError unless a file of this mode is a regular one."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        text = f"it is {kind_of_mode(mode)}, and only regular files are read"
        raise OSError(errno.EINVAL, text, str(path))


def open_regular(path: Path, *, write: bool = False) -> FileIO:
    """Open a regular file of a run folder without a buffer, for reading or also for appending.

    Args:
        path: its last component is not followed where it is a link, and a pipe is not waited for.
        write: append to it, and make it where it is absent; it can be read too.

    Raises:
        InputError: a link, a folder, a pipe, a device; to be written, a file of several names.
        OSError: absent, or it cannot be opened.
    """
    kind = kind_of(path)
    if kind not in (None, "a file"):
        raise _irregular(path, kind)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT if write else os.O_RDONLY
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666)
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise _irregular(path, "no regular file")
    if write and facts.st_nlink > 1:
        os.close(descriptor)
        text = "has another name (a hard link), under which it would change too; put a copy of it"
        raise InputError(
            str(path.parent), [Problem(location=path.name, text=f"{text} in its place")]
        )
    return os.fdopen(descriptor, "a+b" if write else "rb", buffering=0)


def read_json(path: Path) -> Any:
    """Return what a small JSON file holds.

    Raises:
        InputError: no regular file, too large, no JSON, nested too deeply; NaN is no JSON.
        OSError: absent, or it cannot be read.
    """
    with open_regular(path) as file:
        content = file.read(LARGEST_JSON + 1)
    if len(content) > LARGEST_JSON:
        text = f"more than {LARGEST_JSON:,} bytes are no file of facts"
        raise InputError(str(path), [Problem(location="file", text=text)])
    try:
        return parse_json(content)
    except ValueError as error:
        raise InputError(str(path), [Problem(location="file", text=f"no JSON: {error}")]) from None


def parse_json(content: bytes) -> Any:
    """Return what JSON in UTF-8 says. Raises ValueError for all that is none, NaN and too deep
    nesting included."""
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _irregular(path: Path, kind: str | None) -> InputError:
    text = f"is {kind}: only a regular file would do, links are not followed"
    return InputError(str(path.parent), [Problem(location=path.name, text=text)])
