"""Open files whose content and type are not trusted: only regular files are read.

They are apart from `paths` because they look at a file again after it was opened. A file that a
user names for reading may be a link, as data folders are often made of links; a file inside a run
folder may not.
"""

import errno
import json
import os
import stat
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any, NoReturn

from ..errors import InputError, Problem
from .paths import kind_of, kind_of_mode

MAX_JSON = 2**20  # bytes of a JSON file that is read at once


def open_input(path: Path) -> BufferedReader:
    """Open a regular file that a user named, for buffered reading.

    A pipe or a device is refused without waiting for it: `/dev/zero` never ends.

    Args:
        path: the file, or a link to it.

    Raises:
        OSError: it is missing, is not a regular file, or cannot be opened; `strerror` says why.
    """
    try:
        _check_mode(path, os.stat(path).st_mode)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:  # a NUL or half a surrogate pair, which no file system has in a name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    try:
        _check_mode(path, os.fstat(descriptor).st_mode)
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _check_mode(path: Path, mode: int) -> None:
    """Raise OSError unless this is the mode of a regular file."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        text = f"it is {kind_of_mode(mode)}, and only regular files are read"
        raise OSError(errno.EINVAL, text, str(path))


def open_regular(path: Path, *, write: bool = False) -> FileIO:
    """Open a regular file of a run folder without a buffer.

    Args:
        path: the file. If its last component is a link, it is not followed; a pipe is not waited
            for.
        write: open it for reading and appending, and create it if it is missing.

    Raises:
        InputError: it is a link, a folder, a pipe or a device; or, to be written, a file that has
            other names (hard links).
        OSError: it is missing, or cannot be opened.
    """
    kind = kind_of(path)
    if kind not in (None, "a file"):
        raise _irregular_file(path, kind)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT if write else os.O_RDONLY
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise _irregular_file(path, "no regular file")
    if write and status.st_nlink > 1:
        os.close(descriptor)
        text = (
            "has another name (a hard link), under which it would change too; put a copy of it in"
            " its place"
        )
        raise InputError(str(path.parent), [Problem(location=path.name, text=text)])
    return os.fdopen(descriptor, "a+b" if write else "rb", buffering=0)


def read_json(path: Path) -> Any:
    """Return the content of a small JSON file.

    Raises:
        InputError: it is not a regular file, is larger than MAX_JSON, or is not JSON; see
            `parse_json`.
        OSError: it is missing, or cannot be read.
    """
    with open_regular(path) as file:
        content = file.read(MAX_JSON + 1)
    if len(content) > MAX_JSON:
        text = f"at most {MAX_JSON:,} bytes are read, it has more"
        raise InputError(str(path), [Problem(location="file", text=text)])
    try:
        return parse_json(content)
    except ValueError as error:
        raise InputError(str(path), [Problem(location="file", text=f"no JSON: {error}")]) from None


def parse_json(content: bytes) -> Any:
    """Return the value of JSON in UTF-8.

    Raises:
        ValueError: it is not JSON; NaN and infinities are not, nor is what is nested too deeply.
    """
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _irregular_file(path: Path, kind: str | None) -> InputError:
    text = f"is {kind}: only a regular file would do, links are not followed"
    return InputError(str(path.parent), [Problem(location=path.name, text=text)])
