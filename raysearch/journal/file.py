"""The journal's file: events go to the disk before they count, and are read back after a crash."""

import fcntl
import json
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import InputError, Problem
from .records import Records

NAME = "journal.jsonl"


class Journal(Records):
    """Appends events to a run folder, one process at a time.

    Args:
        folder: the run folder; an existing journal is read back, a torn last line cut off.

    Raises:
        InputError: another process is writing it, or a line before the last cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        path, self._end = folder / NAME, 0
        # Without a buffer: one that could not be flushed would come out with a later event.
        self._file = path.open("ab", buffering=0)
        try:
            _lock(self._file.fileno(), folder)
            for event, end in _events(path):
                self.apply(event)
                self._end = end
            self._file.truncate(self._end)
        except BaseException:
            self._file.close()
            raise

    def write(self, event: str, **values: Any) -> None:
        """Append one event and wait until the disk has it.

        Raises OSError where it is full; then the journal is as it was.
        """
        line = json.dumps({"event": event, **_plain(values)}, separators=(",", ":")) + "\n"
        content = line.encode()
        if os.fstat(self._file.fileno()).st_size != self._end:
            self._file.truncate(self._end)  # a failed write that could not be undone then
        try:
            left = memoryview(content)
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
        except OSError:
            with suppress(OSError):
                self._file.truncate(self._end)
            raise
        self._end += len(content)
        self.apply(json.loads(line))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def read(folder: Path) -> Records:
    """The records of a run folder, also while it is written; none where nothing has happened.

    Raises InputError where a line before the last cannot be read.
    """
    records = Records()
    for event, _ in _events(folder / NAME):
        records.apply(event)
    return records


def _lock(file: int, folder: Path) -> None:
    """Keep other writers away as long as the file is open."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = "another raysearch is running here; wait for its end or stop it"
        raise InputError(str(folder), [Problem(place=NAME, text=text)]) from None
    except OSError:
        return  # a file system without locks


def _events(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Whole events and where each ends; what a crash tore at the end is left out."""
    if not path.is_file():
        return
    end, torn = 0, 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            end += len(line)
            event = _event(line)
            if event is None:
                torn = torn or number
            elif torn:
                text = "not an event, yet events follow: restore the file, or delete this line"
                raise InputError(str(path), [Problem(place=f"line {torn}", text=text)])
            else:
                yield event, end


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _plain(value: Any) -> Any:
    """JSON knows no infinities: they become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _plain(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(x) for x in value]
    return value
