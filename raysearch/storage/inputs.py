"""Files that a user names for reading: studies, data, predictions. Links to them are followed, as
data folders are often made of links; what is no regular file is refused before it is opened."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_input(path: Path) -> BinaryIO:
    """Open a regular file for reading, in blocks.

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
        kind = _KINDS.get(stat.S_IFMT(mode), "of an unknown kind")
        raise OSError(errno.EINVAL, f"it is {kind}, and only regular files are read", str(path))
