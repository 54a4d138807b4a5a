"""Files that are there whole or not at all."""

import os
from pathlib import Path


def replace(path: Path, content: str | bytes) -> None:
    """Write a file in one step: readers see the old one or the new one.

    Raises OSError where there is no room; the old file stays.
    """
    content = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.writing")
    try:
        with staged.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
