"""The journal's file: events are on the disk before they count, and are read back after a crash.

It is apart from `trial_records`, which knows no file. Reading never loses anything: an incomplete
last line, as a crash leaves it, is kept in a file beside the journal, and a file with other invalid
lines is refused and not changed.
"""

import fcntl
import io
import json
import math
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..error_pages import DAMAGED_RUN
from ..errors import InputError, Problem
from ..storage import file_inside, kind_of, open_regular, parse_json, truncate_file
from .events import FORMAT, Event, EventError, SessionEvent, from_json, to_json
from .trial_records import Records

JOURNAL_NAME = "journal.jsonl"
TORN_NAME = f"{JOURNAL_NAME}.torn"
MAX_LINE = 2**22  # bytes
MAX_JOURNAL = 2**31  # bytes
MAX_PROBLEMS = 8  # problems in a message
MAX_ERROR = 20_000  # characters of a trial's error that are kept
_LINE_START = b'{"event":"'  # of every line that is written here


class Journal(Records):
    """A run folder's journal that is open for appending, by one process at a time.

    Args:
        folder: the run folder. An existing journal is read. An incomplete last line is moved to the
            end of `journal.jsonl.torn`.

    Attributes:
        folder: see above.
        failure: the error of the first event that could not be written; None if there was none.
        observers: called with every event once it is written and applied.

    Raises:
        InputError: another process is writing the journal; or a line before the last one is not an
            event, and the file is not changed.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self._path = folder, file_inside(folder, JOURNAL_NAME)
        self.failure: Exception | None = None
        self.observers: list[Callable[[Event], None]] = []
        self._is_clean = True  # False if a failed write left bytes that could not be removed
        # Without a buffer: bytes that could not be flushed would be written with a later event.
        self._file = open_regular(self._path, write=True)
        try:
            _lock(self._file.fileno(), folder)
            self._check_not_moved()
            torn, self._end = _read_events(self, self._file, self._path)
            if torn:
                _keep_torn(folder, torn)
                truncate_file(self._file.fileno(), self._end)
        except BaseException:
            self._file.close()
            raise

    def write(self, event: Event, *, wait: bool = True) -> None:
        """Append one event, wait for the disk, and apply the event as it will be read back.

        Args:
            event: the event.
            wait: False for one that another follows at once: the next wait is for both. A killed
                process loses neither; a machine that fails in between loses it.

        Raises:
            OSError: the disk is full; the journal is then as it was before.
            InputError: the file is not where it was: the run folder was moved or removed.
            EventError: the event could not be read back; this is a mistake in raysearch.
        """
        line = json.dumps(_to_json(to_json(event)), separators=(",", ":")) + "\n"
        content, checked_event = line.encode(), from_json(json.loads(line))
        if checked_event is None or len(content) > MAX_LINE:
            text = f"an event '{event.kind}' of {len(content):,} bytes cannot be read back"
            raise EventError(text)
        self.admit(checked_event)
        try:
            self._check_not_moved()
            self._append(content, wait)
        except (OSError, InputError) as error:
            self.failure = self.failure or error
            raise
        self._end += len(content)
        self.apply(checked_event)
        for observe in self.observers:
            observe(checked_event)

    def close(self) -> None:
        """Close the file, so that another process may write it."""
        self._file.close()

    def _append(self, content: bytes, wait: bool) -> None:
        """Write bytes at the end of the file; remove them again if the disk fails.

        Raises:
            OSError: the disk is full.
            InputError: another process has written to the file, which is not changed.
        """
        size = os.fstat(self._file.fileno()).st_size
        if size > self._end and not self._is_clean:
            truncate_file(self._file.fileno(), self._end)
        elif size != self._end:
            text = (
                f"has {size:,} bytes, but this run wrote {self._end:,}: another process changed"
                " it; nothing more is written. Mend it in a copy, and go on from that"
            )
            raise InputError(str(self.folder), [Problem(location=JOURNAL_NAME, text=text)])
        self._is_clean = False
        try:
            _write_all(self._file, content, wait)
        except OSError:
            with suppress(OSError):
                truncate_file(self._file.fileno(), self._end)
                self._is_clean = True
            raise
        self._is_clean = True

    def _check_not_moved(self) -> None:
        """Raise InputError if the open file is not the one at its path any more."""
        opened = os.fstat(self._file.fileno())
        current: os.stat_result | None = None
        with suppress(OSError):
            current = self._path.lstat()
        if current is not None and os.path.samestat(current, opened):
            return
        text = "another file has taken its place" if current else "is gone: moved or removed"
        text += (
            "; this run cannot go on in it. What has ended is in the folder that was moved: put it"
            " back, or `raysearch resume` it where it is now"
        )
        raise InputError(str(self.folder), [Problem(location=JOURNAL_NAME, text=text)])


class DraftJournal(Records):
    """A journal in memory alone: it shows what would be begun, and nothing is."""

    def write(self, event: Event, *, wait: bool = True) -> None:
        """Apply an event."""
        self.admit(event)
        self.apply(event)


def read_journal(folder: Path, records: Records | None = None) -> Records:
    """Return the records of a run folder; it may be written meanwhile.

    Nothing is changed. An incomplete last line is skipped, and noted.

    Args:
        folder: the run folder.
        records: to which its events are applied; new ones by default.

    Returns:
        The records; empty if there is no journal.

    Raises:
        InputError: a line before the last one is not an event; with all such lines.
    """
    records, path = records or Records(), file_inside(folder, JOURNAL_NAME)
    try:
        file = open_regular(path)
    except FileNotFoundError:
        return records
    with file:
        torn, _ = _read_events(records, file, path)
    if torn:
        records.note(
            f"{JOURNAL_NAME}: its last line is torn ({len(torn):,} bytes), or being written"
        )
    return records


def refuse_running(folder: Path) -> None:
    """Raise InputError if a process on this machine is writing the journal of a folder."""
    path = file_inside(folder, JOURNAL_NAME)
    if kind_of(path) is not None:
        with open_regular(path) as file:
            _lock(file.fileno(), folder)


def _read_events(records: Records, file: io.FileIO, path: Path) -> tuple[bytes, int]:
    """Apply every complete event of a file to the records.

    Returns:
        The incomplete last line, which may be empty; the number of bytes before it.

    Raises:
        InputError: lines that are not events, or events that cannot follow those before them.
    """
    if os.fstat(file.fileno()).st_size > MAX_JOURNAL:
        text = f"at most {MAX_JOURNAL:,} bytes of a journal are read, it has more"
        raise InputError(str(path.parent), [Problem(location=path.name, text=text)])
    file.seek(0)
    lines = io.BufferedReader(file)
    problems: list[Problem] = []
    number, end, torn, reason = 0, 0, b"", ""
    while line := lines.readline(MAX_LINE + 1):
        if torn:  # it was not the last line
            problems.append(_invalid_line(number, reason))
            end, torn = end + len(torn), b""
        number += 1
        if len(line) > MAX_LINE:
            problems.append(_invalid_line(number, f"longer than {MAX_LINE:,} bytes"))
            break
        try:
            value = parse_json(line) if line.endswith(b"\n") else None
        except ValueError as error:
            reason = f"no JSON ({str(error).partition(':')[0]})"
            if b"\0" in line:  # a crash may leave zeros instead of a line
                torn = line
                continue
            problems.append(_invalid_line(number, reason))
            end += len(line)
            continue
        if not line.endswith(b"\n"):
            torn, reason = line, "no whole line"
            continue
        end += len(line)
        problems += _apply(records, value, number, form_only=bool(problems))
    lines.detach()
    if torn and not end and not _may_be_first_line(torn):
        problems.append(_invalid_line(1, "not a journal at all"))
    if problems:
        raise _journal_error(path, problems)
    return torn, end


def _journal_error(path: Path, problems: list[Problem]) -> InputError:
    """Return an error with the first problems, and once what to do about them."""
    first, rest = problems[0], len(problems) - MAX_PROBLEMS
    remedy = "nothing was changed: restore the file from a copy, or mend these lines in a copy"
    first = replace(first, text=f"{first.text}\n{remedy}")
    more = Problem(location="...", text=f"and {rest:,} more lines", count=rest)
    shown = [first, *problems[1:MAX_PROBLEMS], *([more] if rest > 0 else [])]
    return InputError(str(path), shown, page=DAMAGED_RUN)


def _apply(records: Records, value: Any, number: int, *, form_only: bool) -> list[Problem]:
    """Apply one event to the records, and return what is wrong with it.

    Args:
        records: changed by the event.
        value: of one line of JSON.
        number: the line's number, from 1.
        form_only: check the event and do not apply it, as an earlier one could not be read.
    """
    try:
        if (event := from_json(value)) is None:
            records.note(
                f"{JOURNAL_NAME}: an event of a kind that this version does not know was passed"
                f" over: '{value['event'][:40]}'"
            )
        elif isinstance(event, SessionEvent) and event.format > FORMAT:
            raise EventError(
                f"session.format: written by a later raysearch (format {event.format},"
                f" this one reads up to {FORMAT}): install that version"
            )
        elif not form_only:
            records.admit(event)
            records.apply(event)
    except EventError as error:
        return [Problem(location=f"line {number}", text=str(error))]
    return []


def _invalid_line(number: int, reason: str) -> Problem:
    return Problem(location=f"line {number}", text=f"not an event: {reason}")


def _may_be_first_line(torn: bytes) -> bool:
    """Return whether bytes may be what a crash left of a journal's first line."""
    start = torn[: len(_LINE_START)].rstrip(b"\0")
    return _LINE_START.startswith(start)


def _keep_torn(folder: Path, torn: bytes) -> None:
    """Append an incomplete line to the file that keeps such lines, and wait for the disk."""
    with open_regular(file_inside(folder, TORN_NAME), write=True) as file:
        size = os.fstat(file.fileno()).st_size
        if size:
            file.seek(size - 1)
            torn = torn if file.read(1) == b"\n" else b"\n" + torn
        _write_all(file, torn)


def _write_all(file: io.FileIO, content: bytes, wait: bool = True) -> None:
    """Write bytes to an unbuffered file, which may take a part at a time; then wait for the disk.

    Args:
        file: the file.
        content: the bytes.
        wait: False for not waiting.
    """
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]
    if wait:
        os.fsync(file.fileno())


def _lock(file: int, folder: Path) -> None:
    """Lock a journal for this process until the file is closed.

    Args:
        file: its descriptor.
        folder: the run folder, for the message.

    Raises:
        InputError: another process has the lock.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = "another raysearch is running here; wait for its end or stop it"
        raise InputError(str(folder), [Problem(location=JOURNAL_NAME, text=text)]) from None
    except OSError:
        return  # a file system without locks


def _to_json(value: Any) -> Any:
    """Return a value as JSON can hold it.

    Infinities and NaN become null, halves of surrogate pairs their escapes, and of a text longer
    than MAX_ERROR the end is kept.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        value = value if len(value) <= MAX_ERROR else f"...{value[3 - MAX_ERROR :]}"
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {name: _to_json(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(x) for x in value]
    return value
