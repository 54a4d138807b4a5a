"""The journal of a run: one line of JSON for everything that happened, on disk before it counts.

It is the only thing that a run needs to go on after a crash: trials, reports and costs are read
back from it, and every table is made from it. It knows no sampler and no Ray."""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

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
        devices: how many devices it held.
        attempts: how often it was begun.
        score: the select metric at the evaluation that counts; the task's worst where diverged.
        best, last: all scores at the best and at the last evaluation.
        error: why it failed.
        plan: steps, warmup, per_epoch, evaluations.
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
    attempts: int = 0
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
        """Device time spent on it."""
        return self.seconds * self.devices / 3600


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
        """Take in one event."""
        kind, trial = event.pop("event"), event.pop("trial", None)
        if kind == "session":
            self.sessions.append(event)
        elif kind == "trial":
            self.trials[trial] = Record(id=trial, **event)
        elif trial in self.trials:
            getattr(self, f"_on_{kind}")(self.trials[trial], event)

    def _on_attempt(self, record: Record, event: dict[str, Any]) -> None:
        record.attempts += 1
        record.began = record.began or event["at"]
        record.plan = event["plan"]
        keep = event.get("from_step", 0)
        record.reports = [report for report in record.reports if report["step"] <= keep]

    def _on_report(self, record: Record, event: dict[str, Any]) -> None:
        record.reports.append(event)

    def _on_spent(self, record: Record, event: dict[str, Any]) -> None:
        record.spent[event["attempt"]] = event["seconds"]

    def _on_end(self, record: Record, event: dict[str, Any]) -> None:
        record.ended = event.pop("at")
        for name, value in event.items():
            setattr(record, name, value)

    def _on_repeat(self, record: Record, event: dict[str, Any]) -> None:
        record.repeats += 1


class Journal(Records):
    """Appends events to a run folder.

    Args:
        folder: the run folder; an existing journal is read back, a torn last line cut off.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        path, whole = folder / NAME, 0
        for event, end in _events(path):
            self.apply(event)
            whole = end
        self._file = path.open("ab")
        self._file.truncate(whole)

    def write(self, event: str, **values: Any) -> None:
        """Append one event and wait until the disk has it. Raises OSError where it is full."""
        line = json.dumps({"event": event, **_plain(values)}, separators=(",", ":")) + "\n"
        start = self._file.tell()
        try:
            self._file.write(line.encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(start)
            raise
        self.apply(json.loads(line))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def read(folder: Path) -> Records:
    """The records of a run folder, none where nothing has happened yet."""
    records = Records()
    for event, _ in _events(folder / NAME):
        records.apply(event)
    return records


def _events(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Whole events and where each ends; a line that a crash tore ends them."""
    if not path.is_file():
        return
    end = 0
    with path.open("rb") as lines:
        for line in lines:
            end += len(line)
            try:
                event = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                event = None
            if event is None:
                return
            yield event, end


def _plain(value: Any) -> Any:
    """JSON knows no infinities: they become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _plain(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(x) for x in value]
    return value
