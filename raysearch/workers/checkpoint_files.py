"""Where the checkpoints of trials lie: in the run folder, whichever node trains.

It is apart from the worker because a worker on a node that does not see the run folder writes and
reads them through an actor on the driver's node, a chunk at a time.
"""

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ..errors import InputError, first_line
from ..run_folder.checkpoint_folder import CHUNK, Append, CheckpointFolder, chunked
from ..storage import owner

Version = tuple[int, int, int]  # inode, time of the last change and size of a file


class CheckpointFiles(Protocol):
    """The checkpoints of a run's trials, one file for each."""

    def writing(self, trial: str) -> AbstractContextManager[IO[bytes]]:
        """Give a file to write; when the block is left it replaces the trial's checkpoint.

        Raises:
            OSError: it cannot be written; the checkpoint before stays.
        """

    def reading(self, trial: str) -> AbstractContextManager[IO[bytes] | None]:
        """Give the checkpoint of a trial to read; None if there is none.

        Raises:
            OSError: it cannot be read.
        """


def checkpoint_files(run_folder: Path, run: str, server: Any) -> CheckpointFiles:
    """Return the checkpoints of a run: through files if this node sees the run folder.

    Args:
        run_folder: the run folder, as the driver's node names it.
        run: id of the run, which its folder is marked with.
        server: handle of a CheckpointServer; None if every node sees the run folder.
    """
    if server is None or owner(run_folder) == run:
        return CheckpointFolder(run_folder)
    return RemoteCheckpoints(server)


def start_server(node: str, run_folder: Path) -> Any:
    """Start the CheckpointServer of a run on the driver's node; it ends with the driver.

    Args:
        node: id of the driver's node.
        run_folder: the run folder.
    """
    options: dict[str, Any] = {
        "num_cpus": 0,
        "max_concurrency": 16,
        "max_restarts": -1,
        "scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False),
    }
    return ray.remote(CheckpointServer).options(**options).remote(str(run_folder))


def read_checkpoint(files: CheckpointFiles, trial: str) -> dict[str, Any] | None:
    """Return the content of a trial's checkpoint; None if there is none.

    Raises:
        OSError: it cannot be read, or is damaged.
    """
    import torch  # the driver does without

    with files.reading(trial) as file:
        if file is None:
            return None
        try:
            content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # of many kinds
            raise OSError(f"damaged: {first_line(error)}") from error
        return content


@dataclass(kw_only=True)
class _Upload:
    """A checkpoint that a worker is sending.

    Attributes:
        sender: what tells this upload from others of the trial.
        append: appends to its file.
        stack: puts the file in place when it is closed.
        size: bytes so far.
    """

    sender: str
    append: Append
    stack: ExitStack
    size: int = 0


class CheckpointServer:
    """The actor on the driver's node that keeps checkpoints for workers of other nodes.

    Args:
        run_folder: the run folder.
    """

    def __init__(self, run_folder: str) -> None:
        self._files = CheckpointFolder(Path(run_folder))
        self._uploads: dict[str, _Upload] = {}  # by trial

    def append(self, trial: str, sender: str, position: int, chunk: bytes) -> None:
        """Append to a trial's next checkpoint; at position 0 a new one begins.

        Raises:
            OSError: it cannot be written; the checkpoint before stays.
        """
        if position == 0:
            self.discard(trial)
            stack = ExitStack()
            append = stack.enter_context(self._files.appending(trial))
            self._uploads[trial] = _Upload(sender=sender, append=append, stack=stack)
        upload = self._upload(trial, sender, position)
        try:
            upload.append(chunk)
        except OSError:
            self.discard(trial)
            raise
        upload.size += len(chunk)

    def commit(self, trial: str, sender: str, size: int) -> None:
        """Put a checkpoint in the place of the one before.

        Raises:
            OSError: not all of it has come.
        """
        self._upload(trial, sender, size).stack.close()
        del self._uploads[trial]

    def discard(self, trial: str) -> None:
        """Drop a checkpoint that was not sent to its end."""
        if (upload := self._uploads.pop(trial, None)) is not None:
            error = OSError("not sent to its end")
            upload.stack.__exit__(OSError, error, None)

    def read(
        self, trial: str, position: int, version: Version | None = None
    ) -> tuple[Version, bytes] | None:
        """Return a part of a checkpoint, empty at its end; None if there is none.

        Args:
            trial: id of the trial.
            position: of the part, in bytes.
            version: what the parts before were returned with; None for the first.

        Raises:
            OSError: it cannot be read, or was replaced in the meantime.
        """
        with self._files.reading(trial) as file:
            if file is None:
                return None
            status = os.fstat(file.fileno())
            found = status.st_ino, status.st_mtime_ns, status.st_size
            if version not in (None, found):
                raise OSError("it was replaced while it was read")
            file.seek(position)
            return found, file.read(CHUNK)

    def _upload(self, trial: str, sender: str, position: int) -> _Upload:
        upload = self._uploads.get(trial)
        if upload is None or (upload.sender, upload.size) != (sender, position):
            raise OSError("another worker sends it, or a part has not come")
        return upload


class RemoteCheckpoints:
    """Checkpoints in a run folder that only the driver's node sees.

    Args:
        server: handle of a CheckpointServer.
    """

    def __init__(self, server: Any) -> None:
        self.server = server

    @contextmanager
    def writing(self, trial: str) -> Iterator[IO[bytes]]:
        """Give a file whose content is sent in chunks, see CheckpointFiles."""
        sender, size = uuid.uuid4().hex, 0

        def append(chunk: bytes) -> None:
            nonlocal size
            self._call("append", trial, sender, size, chunk)
            size += len(chunk)

        with chunked(append) as file:
            yield file
        self._call("commit", trial, sender, size)

    @contextmanager
    def reading(self, trial: str) -> Iterator[IO[bytes] | None]:
        """Give the checkpoint of a trial, fetched to a temporary file, see CheckpointFiles."""
        with tempfile.TemporaryFile() as file:
            part = self._call("read", trial, 0)
            while part is not None and part[1]:
                version, content = part
                file.write(content)
                part = self._call("read", trial, file.tell(), version)
            file.seek(0)
            yield None if part is None else file

    def _call(self, method: str, *values: Any) -> Any:
        try:
            return ray.get(getattr(self.server, method).remote(*values))
        except (ray.exceptions.RayError, InputError) as error:
            raise OSError(f"on the driver's node: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """Return in a line why a file was not written or read; of an actor's error its cause."""
    cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
    return cause.problems[0].text if isinstance(cause, InputError) else first_line(cause)
