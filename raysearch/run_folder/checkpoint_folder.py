"""The checkpoints of a run's trials as files in its run folder.

It is apart because it needs neither Ray nor torch: what a killed run has left is removed without
them.
"""

import errno
import io
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..storage import (
    file_inside,
    folder_inside,
    inside,
    kind_of,
    open_regular,
    remove_file,
    remove_known,
    remove_unfinished,
    replaced,
)

CHUNK = 1 << 23  # bytes that are written or sent at once
RESERVE = 1 << 27  # bytes that a checkpoint leaves free on its disk, which the journal needs
CHECKPOINTS = "checkpoints"  # in the run folder; it has a file for each trial that trains for long

Append = Callable[[bytes], None]


class CheckpointFolder:
    """Checkpoints in a run folder that this node sees.

    Args:
        run_folder: the run folder.
    """

    def __init__(self, run_folder: Path) -> None:
        self.run_folder = run_folder

    @contextmanager
    def writing(self, trial: str) -> Iterator[IO[bytes]]:
        """Give a file to write, see `workers.checkpoint_files`."""
        with self.appending(trial) as append, chunked(append) as file:
            yield file

    @contextmanager
    def appending(self, trial: str) -> Iterator[Append]:
        """Give a function that appends to the trial's next checkpoint, which is put in place then.

        What a killed worker has left of an earlier one is removed.

        Raises:
            OSError: it cannot be written, or would leave less than RESERVE bytes of the disk.
        """
        path = self._path(trial)
        folder_inside(self.run_folder, CHECKPOINTS)
        remove_unfinished(path.parent, {path.name})
        with replaced(path) as staged, staged.open("xb", buffering=0) as file:

            def append(chunk: bytes) -> None:
                if shutil.disk_usage(path.parent).free < RESERVE + len(chunk):
                    text = f"less than {RESERVE >> 20} MB would stay free"
                    raise OSError(errno.ENOSPC, text, str(path))
                file.write(chunk)

            yield append

    @contextmanager
    def reading(self, trial: str) -> Iterator[IO[bytes] | None]:
        """Give the checkpoint of a trial, see `workers.checkpoint_files`."""
        path = self._path(trial)
        if kind_of(path) is None:
            yield None
            return
        with open_regular(path) as file:
            yield file

    def remove(self, trial: str) -> None:
        """Remove the checkpoint of a trial, if there is one.

        Raises:
            OSError: it cannot be removed.
        """
        path = self._path(trial)
        remove_unfinished(path.parent, {path.name})
        remove_file(path)

    def remove_all(self, trials: Iterable[str]) -> None:
        """Remove the checkpoints of trials after a run, and the folder if it is empty then.

        One that cannot be removed stays, and so does the folder.

        Raises:
            InputError: a symbolic link leads out of the run folder.
        """
        folder, names = inside(self.run_folder, CHECKPOINTS), {f"{trial}.pt" for trial in trials}
        remove_unfinished(folder, names)
        remove_known(folder, names)

    def _path(self, trial: str) -> Path:
        return file_inside(self.run_folder, CHECKPOINTS, f"{trial}.pt")


class _Chunks(io.RawIOBase):
    """A file that passes on what is written to it, in chunks."""

    def __init__(self, append: Append) -> None:
        self.append: Append | None = append

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, content: Any) -> int:
        """Pass on the first CHUNK bytes of a buffer, and return how many these are."""
        chunk = bytes(memoryview(content)[:CHUNK])
        if self.append is not None:
            self.append(chunk)
        return len(chunk)


@contextmanager
def chunked(append: Append) -> Iterator[IO[bytes]]:
    """Give a file that passes on chunks; after an error it passes on nothing more."""
    chunks = _Chunks(append)
    file = io.BufferedWriter(chunks, CHUNK)
    try:
        yield file
        file.flush()
    finally:
        chunks.append = None
