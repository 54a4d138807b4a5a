"""Searches over recorded trials, by raysearch's own queue, samplers and stopping rules.

It is apart from early_stopping.py, which compares such searches, because it knows no statistics.
"""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from raysearch import study
from raysearch.run_folder import Journal, Record, Records
from raysearch.run_folder.events import AttemptEvent, Event, Plan
from raysearch.run_folder.report import Report
from raysearch.search.trial_queue import TrialQueue
from raysearch.study import Study

TASK, METRIC, CHANCE = "glue/sst2", "dev.accuracy", 0.5
NAMES = ("LR", "BSZ", "EPOCH", "WARMUP")
Point = tuple[float, ...]
Curve = list[tuple[float, float, float]]  # cost, the winner's score in the search, its worth


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """A search: its sampler, stopping rule and space.

    Attributes:
        name: in the table.
        sampler: of the study.
        stop_early: of the study.
        coarse: dimension -> how many of its values are drawn for each replay; else it has all.
    """

    name: str
    sampler: str
    stop_early: Any = None
    coarse: Mapping[str, int] = field(default_factory=dict)


class TrialTable:
    """The recorded trials.

    Args:
        rows: of `record_trials.py`: a configuration, `seed`, `steps`, `status`, `at`, `scores` and
            `held_out`.

    Attributes:
        trials: configuration -> its trials, one for each seed.
        worth: configuration -> mean score on held-out rows, over seeds.
        values: dimension -> its values.
    """

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.trials: dict[Point, list[dict[str, Any]]] = {}
        for row in rows:
            self.trials.setdefault(_point(row), []).append(row)
        self.worth = {
            point: float(np.mean([CHANCE if t["held_out"] is None else t["held_out"] for t in ts]))
            for point, ts in self.trials.items()
        }
        self.values = {name: tuple(sorted({row[name] for row in rows})) for name in NAMES}

    @classmethod
    def read(cls, path: Path) -> "TrialTable":
        """Return the table of a parquet file."""
        from pyarrow import parquet

        return cls(parquet.read_table(path).to_pylist())


def size_of(point: Point) -> float:
    """Return the BSZ of a configuration."""
    return point[NAMES.index("BSZ")]


def _point(configuration: Mapping[str, Any]) -> Point:
    return tuple(float(configuration[name]) for name in NAMES)


class MemoryJournal(Records):
    """The records of a replay, without a file.

    Attributes:
        folder: names the replay; it does not exist.
    """

    folder = Path("replay")

    def write(self, event: Event, *, wait: bool = True) -> None:
        """Apply an event."""
        self.admit(event)
        self.apply(event)


class Replay:
    """One search over the table, event by event.

    Args:
        table: the recorded trials.
        searched: the study.
        lanes: how many trials run at the same time, each at the same speed.
        random: draws the seed of each trial.

    Attributes:
        curve: the winner after each end of a trial.
        begun_at: cost at which each trial began.
    """

    def __init__(
        self, table: TrialTable, searched: Study, lanes: int, random: np.random.Generator
    ) -> None:
        self.table, self.lanes, self.random = table, lanes, random
        self.journal = MemoryJournal()
        self.queue = TrialQueue(searched, cast(Journal, self.journal), {TASK: "recorded"})
        self.curve: Curve = []
        self.begun_at: list[float] = []
        self._running: list[tuple[float, int, float, Iterator[float]]] = []
        self._done = 0.0  # examples of all segments between reports that have ended

    def run(self, budget: float) -> None:
        """Search until all trials have ended, or the budget is spent.

        Args:
            budget: in examples.
        """
        now = 0.0
        while True:
            self._fill_lanes(now)
            if not self._running:
                return
            now, number, began, trial = heapq.heappop(self._running)
            self._done += now - began
            length = next(trial, None)
            if length is not None:
                heapq.heappush(self._running, (now + length, number, now, trial))
                continue
            spent = self._spent(now)
            self._note_winner(spent)
            if spent >= budget:
                return

    def _spent(self, now: float) -> float:
        """Return the examples that all trials have been trained on."""
        return self._done + sum(now - start for _, _, start, _ in self._running)

    def _fill_lanes(self, now: float) -> None:
        while len(self._running) < self.lanes and isinstance(record := self.queue.next(), Record):
            trial = self._train(record)
            length = next(trial)
            self.begun_at.append(self._spent(now))
            heapq.heappush(self._running, (now + length, len(self.begun_at), now, trial))

    def _train(self, record: Record) -> Iterator[float]:
        """Yield the examples up to each report of a trial, then make the report."""
        point = self._point(record)
        trials = self.table.trials[point]
        trial = trials[self.random.integers(len(trials))]
        steps, size = trial["steps"], size_of(point)
        fractions = self.queue.rule.fractions if self.queue.rule else ()
        rungs = {str(f): max(1, int(steps * f + 1e-6)) for f in fractions}
        assert set(rungs.values()) <= {*trial["at"], *range(trial["at"][-1], steps)}, "no such rung"
        plan = Plan(steps=steps, rungs=rungs)
        self.journal.write(AttemptEvent(trial=record.id, at=0.0, attempt=1, plan=plan))
        before = 0
        for step, score in zip(trial["at"], trial["scores"], strict=True):
            yield (step - before) * size
            before = step
            status = trial["status"] if step == trial["at"][-1] else "running"
            report = Report(
                stage="finetune",
                step=step,
                steps=steps,
                loss=0.0,
                scores={} if score is None else {METRIC: score},
                status=status,
            )
            if not self.queue.report(record, report, 1):
                self.queue.end(record, "stopped")
                return
        self.queue.end(record, trial["status"])

    @property
    def finished(self) -> list[Record]:
        """The trials that reached their end with a model, the best first."""
        return self.journal.ranked(TASK)

    def _note_winner(self, spent: float) -> None:
        if self.finished:
            winner = self.finished[0]
            assert winner.score is not None
            self.curve.append((spent, winner.score, self.table.worth[self._point(winner)]))

    def _point(self, record: Record) -> Point:
        return _point(self.queue.study.resolve(TASK).fixed | record.configuration)


def study_of(table: TrialTable, strategy: Strategy, trials: int, seed: int) -> Study:
    """Return the study of a strategy over the table's configurations."""
    random, space = np.random.default_rng(seed), table.values
    for name, count in strategy.coarse.items():
        values = random.choice(table.values[name], count, replace=False)
        space = {**space, name: tuple(sorted(values.tolist()))}
    search = {"sampler": strategy.sampler, "trials": trials, "seed": seed, "select": "last"}
    if strategy.stop_early is not None:
        search["stop_early"] = strategy.stop_early
    raw = {
        "tasks": [TASK],
        "model": "scratch",
        "space": {n: {"choice": list(v)} for n, v in space.items() if len(v) > 1},
        "fixed": {n: v[0] for n, v in space.items() if len(v) == 1},
        "search": search,
    }
    return study.parse(raw, name="replay")


def search_once(
    table: TrialTable, strategy: Strategy, lanes: int, trials: int, budget: float, seed: int
) -> Replay:
    """Return one search that has ended."""
    search = Replay(
        table, study_of(table, strategy, trials, seed), lanes, np.random.default_rng([seed, lanes])
    )
    search.run(budget)
    return search
