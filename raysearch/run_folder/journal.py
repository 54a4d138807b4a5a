"""The journal's file: events go to the disk before they count, and are read back after a crash.

Nothing of it is ever lost by reading it: what a crash tore at its end is kept beside it, and a file
that is not wholly a journal is refused as it is."""

import fcntl
import io
import json
import math
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError, Problem
from ..storage import file_inside, kind_of, open_regular, parse_json, shorten
from .events import FORMAT, EventError, checked
from .trial_records import Records

JOURNAL_NAME = "journal.jsonl"
TORN_NAME = f"{JOURNAL_NAME}.torn"
LONGEST = 2**22  # bytes of a line
LARGEST = 2**31  # bytes of a journal
SHOWN = 8  # problems that are shown
ERROR = 20_000  # letters of a trial's error that are kept
_BEGINNING = b'{"event":"'  # of every line that is written here


class Journal(Records):
    """Appends events to a run folder, one process at a time.

    Args:
        folder: the run folder; an existing journal is read back. A torn last line is moved to
            `journal.jsonl.torn`, where it is added to what is there.

    Attributes:
        failure: why an event could not be written, of the first such event.

    Raises:
        InputError: another process is writing it, or it is not a journal from its first line to
            the last but one; then it stays as it is.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self._path = folder, file_inside(folder, JOURNAL_NAME)
        self.failure: Exception | None = None
        self._undone = True  # whether what a failed write left was taken back
        # Without a buffer: one that could not be flushed would come out with a later event.
        self._file = open_regular(self._path, write=True)
        try:
            _lock(self._file.fileno(), folder)
            self._refuse_moved()
            torn, self._end = _read_into(self, self._file, self._path)
            if torn:
                _keep_torn(folder, torn)
                shorten(self._file.fileno(), self._end)
        except BaseException:
            self._file.close()
            raise

    def write(self, event: str, **values: Any) -> None:
        """Append one event and wait until the disk has it.

        Raises:
            OSError: the disk is full; then the journal is as it was.
            InputError: the file is not where it was: the run folder was moved or removed.
            EventError: our own mistake: an event that could not be read back.
        """
        line = json.dumps({"event": event, **_plain(values)}, separators=(",", ":")) + "\n"
        content, typed = line.encode(), checked(json.loads(line))
        if typed is None or len(content) > LONGEST:
            raise EventError(f"an event '{event}' of {len(content):,} bytes cannot be read back")
        self.admit(typed)
        try:
            self._refuse_moved()
            self._append(content)
        except (OSError, InputError) as error:
            self.failure = self.failure or error
            raise
        self._end += len(content)
        self.apply(typed)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _append(self, content: bytes) -> None:
        """Write at the end, and take back what was written where the disk fails.

        Raises:
            OSError: the disk is full.
            InputError: another process has written to the file, which stays as it is.
        """
        size = os.fstat(self._file.fileno()).st_size
        if size > self._end and not self._undone:
            shorten(self._file.fileno(), self._end)
        elif size != self._end:
            text = f"has {size:,} bytes, {self._end:,} were written: another process changed it;"
            text += " nothing more is written. Mend it in a copy, and go on from that"
            raise InputError(str(self.folder), [Problem(location=JOURNAL_NAME, text=text)])
        self._undone = False
        try:
            left = memoryview(content)
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
        except OSError:
            with suppress(OSError):
                shorten(self._file.fileno(), self._end)
                self._undone = True
            raise
        self._undone = True

    def _refuse_moved(self) -> None:
        """Raise InputError where the open file is not the one at its path any more."""
        mine = os.fstat(self._file.fileno())
        try:
            there = self._path.lstat()
        except OSError:
            there = None
        if there is not None and (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev):
            return
        text = "another file has taken its place" if there else "is gone: moved or removed"
        text += (
            "; this run cannot go on in it. What has ended is in the folder that was moved: put it"
            " back, or `raysearch resume` it where it is now"
        )
        raise InputError(str(self.folder), [Problem(location=JOURNAL_NAME, text=text)])


def read_journal(folder: Path) -> Records:
    """Return the records of a run folder, also while it is written; none where there is no journal.

    Nothing is changed: a torn last line is passed over, and noted.

    Raises:
        InputError: a file that is not a journal, with the lines that are none.
    """
    records, path = Records(), file_inside(folder, JOURNAL_NAME)
    try:
        file = open_regular(path)
    except FileNotFoundError:
        return records
    with file:
        torn, _ = _read_into(records, file, path)
    if torn:
        records.note(
            f"{JOURNAL_NAME}: its last line is torn ({len(torn):,} bytes), or being written"
        )
    return records


def refuse_running(folder: Path) -> None:
    """Raise InputError where a run goes on in a folder on this machine."""
    path = file_inside(folder, JOURNAL_NAME)
    if kind_of(path) is not None:
        with open_regular(path) as file:
            _lock(file.fileno(), folder)


def _read_into(records: Records, file: BinaryIO, path: Path) -> tuple[bytes, int]:
    """Take in every whole event of a file.

    Returns:
        What is torn at the end, empty for nothing; where the whole events end, in bytes.

    Raises:
        InputError: every line that is no event, or an impossible one.
    """
    if os.fstat(file.fileno()).st_size > LARGEST:
        text = f"more than {LARGEST:,} bytes are not read: not a journal of this program"
        raise InputError(str(path.parent), [Problem(location=path.name, text=text)])
    file.seek(0)
    lines = io.BufferedReader(file)  # type: ignore[arg-type]
    problems: list[Problem] = []
    number, end, torn, why = 0, 0, b"", ""
    while line := lines.readline(LONGEST + 1):
        if torn:
            problems.append(_unread(number, why))
            end, torn = end + len(torn), b""
        number += 1
        if len(line) > LONGEST:
            problems.append(_unread(number, f"longer than {LONGEST:,} bytes"))
            break
        try:
            event = parse_json(line) if line.endswith(b"\n") else None
        except ValueError as error:
            why = f"no JSON ({str(error).partition(':')[0]})"
            if b"\0" in line:  # a crash may leave zeros where a line was to stand
                torn = line
                continue
            problems.append(_unread(number, why))
            end += len(line)
            continue
        if not line.endswith(b"\n"):
            torn, why = line, "no whole line"
            continue
        end += len(line)
        problems += _take(records, event, number, quiet=bool(problems))
    lines.detach()
    if torn and not end and not _may_begin(torn):
        problems.append(_unread(1, "not a journal at all"))
    if problems:
        raise _refused(path, problems)
    return torn, end


def _refused(path: Path, problems: list[Problem]) -> InputError:
    """Say which lines are wrong, and once what would do."""
    first, rest = problems[0], len(problems) - SHOWN
    mend = "nothing was changed: restore the file from a copy, or mend these lines in a copy"
    first = replace(first, text=f"{first.text}\n{mend}")
    more = Problem(location="...", text=f"and {rest:,} more lines", count=rest)
    shown = [first, *problems[1:SHOWN], *([more] if rest > 0 else [])]
    return InputError(str(path), shown)


def _take(records: Records, event: Any, number: int, *, quiet: bool) -> list[Problem]:
    """Take one event in, and say what is wrong with it.

    Args:
        quiet: an event before it is missing: check its form only.
    """
    try:
        if (typed := checked(event)) is None:
            records.note(
                f"{JOURNAL_NAME}: an event of a kind that this version does not know was passed"
                f" over: '{event['event'][:40]}'"
            )
        elif typed["event"] == "session" and typed["format"] > FORMAT:
            raise EventError(
                f"session.format: written by a later raysearch (format {typed['format']}, this one"
                f" reads up to {FORMAT}): install that version"
            )
        elif not quiet:
            records.admit(typed)
            records.apply(typed)
    except EventError as error:
        return [Problem(location=f"line {number}", text=str(error))]
    return []


def _unread(number: int, why: str) -> Problem:
    return Problem(location=f"line {number}", text=f"not an event: {why}")


def _may_begin(torn: bytes) -> bool:
    """Whether a file's first bytes may be what a crash left of a first event."""
    start = torn[: len(_BEGINNING)].rstrip(b"\0")
    return _BEGINNING.startswith(start)


def _keep_torn(folder: Path, torn: bytes) -> None:
    """Add what was torn to the file that keeps it, on disk before the journal loses it."""
    with open_regular(file_inside(folder, TORN_NAME), write=True) as file:
        size = os.fstat(file.fileno()).st_size
        if size:
            file.seek(size - 1)
            torn = torn if file.read(1) == b"\n" else b"\n" + torn
        left = memoryview(torn)
        while left:
            left = left[file.write(left) :]
        os.fsync(file.fileno())


def _lock(file: int, folder: Path) -> None:
    """Keep other writers away as long as the file is open."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = "another raysearch is running here; wait for its end or stop it"
        raise InputError(str(folder), [Problem(location=JOURNAL_NAME, text=text)]) from None
    except OSError:
        return  # a file system without locks


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: infinities become null, half letters their escapes, and of a
    very long text the end stays."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        value = value if len(value) <= ERROR else f"...{value[3 - ERROR :]}"
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {name: _plain(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(x) for x in value]
    return value
