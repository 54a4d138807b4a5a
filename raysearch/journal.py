"""The journal of a run: one line of JSON for everything that happened, on disk before it counts.

It is the only thing that a run needs to go on after a crash: trials, reports and costs are read
back from it, and every table is made from it. It knows no sampler and no Ray."""

import fcntl
import json
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .errors import InputError, Problem

Phase = Literal["search", "confirm"]
Outcome = Literal["running", "finished", "stopped", "diverged", "degenerate", "failed"]
NAME = "journal.jsonl"


@dataclass(kw_only=True)
class Record:
    """One trial: one configuration with one seed, run once.

    Attributes:
        id: identity of its content; the same trial has the same id in every run.
        number: its place among the trials of its task, from 0.
        task, phase, configuration, seed: what it is.
        status: how it ended, or running.
        reports: its evaluations in order, each a Report's fields with `attempt` and `at`.
        spent: attempt -> wall seconds spent on it.
        devices: how many devices it holds, or held last.
        held: attempt -> devices, where a resumed run gave it another number.
        attempts: how often it was begun.
        step: the last that is known to be done.
        score: the select metric at the evaluation that counts; the task's worst where diverged.
        best, last: all scores at the best and at the last evaluation.
        error: why it failed.
        plan: steps, warmup, per_epoch, evaluations, rungs.
        sampler: what the sampler keeps with it.
        repeats: how often the sampler proposed it again.
        began, ended: Unix times.
    """

    id: str
    number: int
    task: str
    phase: Phase
    configuration: dict[str, Any]
    seed: int
    status: Outcome = "running"
    reports: list[dict[str, Any]] = field(default_factory=list)
    spent: dict[int, float] = field(default_factory=dict)
    devices: int = 1
    held: dict[int, int] = field(default_factory=dict)
    attempts: int = 0
    step: int = 0
    score: float | None = None
    best: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    plan: dict[str, Any] = field(default_factory=dict)
    sampler: dict[str, Any] = field(default_factory=dict)
    repeats: int = 0
    began: float = 0.0
    ended: float | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended, however."""
        return self.status != "running"

    @property
    def seconds(self) -> float:
        """Wall seconds spent on it, over all attempts."""
        return math.fsum(self.spent.values())

    @property
    def device_hours(self) -> float:
        """Device time spent on it, over all attempts."""
        held = self.held
        return math.fsum(s * held.get(a, self.devices) for a, s in self.spent.items()) / 3600


class Records:
    """What a journal's events add up to."""

    def __init__(self) -> None:
        self.trials: dict[str, Record] = {}
        self.sessions: list[dict[str, Any]] = []

    def of(self, task: str, phase: Phase | None = None) -> list[Record]:
        """The trials of a task in the order in which they were numbered."""
        found = [r for r in self.trials.values() if r.task == task and phase in (None, r.phase)]
        return sorted(found, key=lambda record: record.number)

    def apply(self, event: dict[str, Any]) -> None:
        """Take in one event; kinds that a later version wrote are passed over."""
        kind, trial = event.pop("event"), event.pop("trial", None)
        if kind == "session":
            self.sessions.append(event)
            return
        if self.sessions and "at" in event:
            self.sessions[-1]["until"] = event["at"]
        if kind == "trial":
            self.trials[trial] = Record(id=trial, **event)
        elif trial in self.trials and (take := getattr(self, f"_on_{kind}", None)):
            take(self.trials[trial], event)

    def _on_attempt(self, record: Record, event: dict[str, Any]) -> None:
        record.attempts = event["attempt"]
        record.began = record.began or event["at"]
        record.plan = event["plan"]
        record.devices = event.get("devices", record.devices)
        record.held[record.attempts] = record.devices
        keep = event.get("from_step", 0)
        record.step = keep
        record.reports = [report for report in record.reports if report["step"] <= keep]

    def _on_report(self, record: Record, event: dict[str, Any]) -> None:
        record.reports.append(event)
        record.step = event["step"]

    def _on_spent(self, record: Record, event: dict[str, Any]) -> None:
        record.spent[event["attempt"]] = event["seconds"]
        record.step = event.get("step", record.step)

    def _on_end(self, record: Record, event: dict[str, Any]) -> None:
        record.ended = event["at"]
        for name in ("status", "score", "best", "last", "error", "sampler"):
            if name in event:
                setattr(record, name, event[name])

    def _on_sampler(self, record: Record, event: dict[str, Any]) -> None:
        record.sampler = event["sampler"]

    def _on_repeat(self, record: Record, event: dict[str, Any]) -> None:
        record.repeats += 1


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
