"""The files of a run folder that have a remote copy: which ones there are, and in which order.

It is apart because these rules need no store.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from ..run_folder.opening import SEEDS
from ..run_folder.remote_files import WEIGHTS
from ..storage import MARKER, kind_of

CONFIG = "config.json"  # of a folder of weights; without it no reader takes the folder


def is_large(name: str) -> bool:
    """Return whether a file is of a folder of weights: best/, or one of weights/ or seeds/."""
    parts = name.split("/")[:-1]
    return name.endswith(WEIGHTS) or bool({"best", SEEDS, "weights", "checkpoints"} & set(parts))


def upload_order(name: str) -> tuple[int, str]:
    """Return the key that sorts the files of a folder of weights as they are copied.

    The marker is the first: what is incomplete can be told as this run's and removed. Without the
    last one, the configuration, no reader takes the folder.
    """
    last = name.rpartition("/")[2]
    return (last == CONFIG) - (last == MARKER), name


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Return the size and the time of the last change of a file; None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def files_in(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder, without links and without what is being written or removed."""
    for parent, folders, names in os.walk(folder):  # enters no links
        folders[:] = [name for name in folders if not name.endswith(".writing")]
        for path in (Path(parent, name) for name in names if not name.endswith(".writing")):
            if kind_of(path) == "a file":
                yield path
