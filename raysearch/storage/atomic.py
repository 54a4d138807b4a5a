"""Write a file completely or not at all, and never through a link."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


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
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".writing")
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


def _umask() -> int:
    """Return the permissions that new files of this process do not get."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
