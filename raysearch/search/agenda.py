"""What to run next: the searches and confirmations of a study's tasks, decided from the journal.

It knows neither Ray nor time: a resumed run is an agenda over a journal that is not empty."""

import hashlib
import itertools
import json
import random
import time
from collections.abc import Mapping
from typing import Any, Literal

from .. import __version__, metrics, standing, tasks
from .. import space as spaces
from ..journal import Journal, Phase, Record
from ..study import Configuration, Study
from .halving import goes_on
from .samplers import Asker

ATTEMPTS = 30  # proposals in a row that were known, after which an untried point is drawn
CELLS = 100_000  # a space with more is never listed: few of its points can be known


class Agenda:
    """The trials of a study, one after another.

    Args:
        study: what is searched.
        journal: what has happened; everything new is written to it first.
        content: task -> identity of its data and model, part of every trial's id.
        devices: how many devices a trial holds.
    """

    def __init__(
        self, study: Study, journal: Journal, content: Mapping[str, str], devices: int = 1
    ) -> None:
        self.study, self.journal, self.content, self.devices = study, journal, content, devices
        self.live: set[str] = set()
        self._waiting = [r.id for r in journal.trials.values() if not r.over]
        self._askers: dict[str, Asker] = {}
        journal.write("session", at=time.time(), version=__version__)

    def next(self) -> Record | Literal["wait", "done"]:
        """The next trial to run, begun in the journal; or that there is none now, or ever."""
        if self._waiting:
            record = self.journal.trials[self._waiting.pop(0)]
            self._asker(record.task)
            self.live.add(record.id)
            return record
        for task in self.study.tasks:
            record = self._next_of(task)
            if record is not None:
                self.live.add(record.id)
                return record
        return "wait" if self.live else "done"

    def report(self, record: Record, values: dict[str, Any]) -> bool:
        """Take in a report; whether the trial goes on."""
        self.journal.write("report", trial=record.id, at=time.time(), **values)
        halving = self.study.search.stop_early
        if halving is None or record.phase != "search" or values["status"] != "running":
            return True
        metric = self.study.selector(record.task)
        rivals = self.journal.of(record.task, "search")
        return goes_on(record, rivals, metric, halving.keep)

    def end(self, record: Record, status: str, error: str | None = None) -> None:
        """A trial has ended: the journal has it, then the sampler knows."""
        task, metric = tasks.get(record.task), self.study.selector(record.task)
        scored = [r["scores"] for r in record.reports if r["scores"]]
        best = max(scored, key=lambda scores: scores[metric]) if scored else {}
        last = scored[-1] if scored else {}
        score = (best if self.study.search.select == "best" else last).get(metric)
        if status in ("diverged", "degenerate"):
            score = metrics.worst(task.metric)
        values = {"status": status, "score": score, "best": best, "last": last, "error": error}
        if record.phase == "search":
            values["sampler"] = self._asker(record.task).kept(record)
        self.journal.write("end", trial=record.id, at=time.time(), **values)
        self.live.discard(record.id)
        if record.phase == "search":
            self._asker(record.task).tell(record)

    def again(self, record: Record) -> None:
        """A trial whose lane died goes to the head of the queue."""
        self.live.discard(record.id)
        self._waiting.insert(0, record.id)

    def planned(self, task: str) -> dict[Phase, int]:
        """Trials of each phase, as far as can be told now."""
        return standing.planned(self.study, self.journal, task)

    def wants_weights(self, record: Record) -> bool:
        """Whether a trial's weights may become the task's best."""
        return record.phase == "confirm" or not self.study.confirm.seeds

    def order(self, record: Record) -> dict[str, Any]:
        """What a lane needs to know of a trial."""
        halving = self.study.search.stop_early
        rungs = halving.at if halving and record.phase == "search" else ()
        return {
            "trial": record.id,
            "task": record.task,
            "configuration": {**self.study.fixed_of(record.task), **record.configuration},
            "seed": record.seed,
            "rungs": tuple(rungs),
            "selector": self.study.selector(record.task),
            "keep": self.wants_weights(record),
            "attempt": record.attempts + 1,
            "retries": max(0, self.study.search.max_failures - record.attempts),
        }

    def _next_of(self, task: str) -> Record | None:
        planned = self.planned(task)
        searched = self.journal.of(task, "search")
        if len(searched) < planned["search"]:
            return self._propose(task)
        if any(not record.over for record in searched) or not planned["confirm"]:
            return None
        return self._confirm(task)

    def _confirm(self, task: str) -> Record | None:
        """The first confirmation that has not been begun."""
        top = [record.configuration for record in standing.ranked(self.journal, task)]
        for point in top[: self.study.confirm.top] if self.study.space_of(task) else [{}]:
            for seed in self.study.confirm.seeds:
                if self._id(task, "confirm", point, seed) not in self.journal.trials:
                    return self._begin(task, "confirm", point, seed)
        return None

    def _propose(self, task: str) -> Record:
        """A point that has not been tried: from the start list, the grid or the sampler."""
        seed, asker = self.study.search.seed, self._asker(task)
        for point in self.study.start(task):
            if self._id(task, "search", point, seed) not in self.journal.trials:
                return self._begin(task, "search", point, seed)
        for _ in range(ATTEMPTS if self.study.search.sampler != "grid" else 0):
            point, trial = asker.ask()
            known = self.journal.trials.get(self._id(task, "search", point, seed))
            if known is None:
                return self._begin(task, "search", point, seed, trial)
            self.journal.write("repeat", trial=known.id, at=time.time())
            asker.repeat(trial, known)
        return self._begin(task, "search", self._untried(task), seed)

    def _untried(self, task: str) -> Configuration:
        """A point that no trial has: a grid's cells in a seeded order, else one drawn at random."""
        seed, space = self.study.search.seed, self.study.space_of(task)
        if spaces.size(space) > CELLS:
            drawn = Asker(space, "random", seed + len(self.journal.of(task)), "")
            points = (drawn.ask()[0] for _ in itertools.count())
        else:
            points = spaces.cells(space)
            random.Random(seed).shuffle(points)
        known = self.journal.trials
        return next(p for p in points if self._id(task, "search", p, seed) not in known)

    def _begin(
        self, task: str, phase: Phase, point: Configuration, seed: int, trial: Any = None
    ) -> Record:
        identity = self._id(task, phase, point, seed)
        self.journal.write(
            "trial",
            trial=identity,
            number=len(self.journal.of(task)),
            task=task,
            phase=phase,
            configuration=point,
            seed=seed,
            devices=self.devices,
        )
        record = self.journal.trials[identity]
        if phase == "search":
            self._asker(task).begin(record, trial)
        return record

    def _asker(self, task: str) -> Asker:
        """The task's Optuna study, told everything that the journal holds."""
        if task not in self._askers:
            search, records = self.study.search, self.journal.of(task, "search")
            metric = self.study.selector(task)
            # A resumed sampler must not draw the numbers of the first session again.
            seed = search.seed + 1000 * len(records)
            asker = Asker(self.study.space_of(task), search.sampler, seed, metric)
            for record in records:
                asker.recall(record)
            self._askers[task] = asker
        return self._askers[task]

    def asker(self, task: str) -> Asker:
        """The task's Optuna study."""
        return self._asker(task)

    def _id(self, task: str, phase: Phase, point: Configuration, seed: int) -> str:
        """Identity of a trial: what decides its result, and nothing else.

        The rungs of a search are evaluations too, and the best of them may be the one that counts.
        """
        hyper = self.study.hyper(task, point).model_dump(mode="json")
        halving = self.study.search.stop_early if phase == "search" else None
        rungs = list(halving.at) if halving else []
        facts = [task, self.study.recipe, hyper, seed, self.content[task], __version__, rungs]
        text = json.dumps(_spelled(facts), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _spelled(value: Any) -> Any:
    """Numbers in one spelling: EPOCH 3 and EPOCH 3.0 are the same trial."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _spelled(x) for name, x in value.items()}
    return [_spelled(x) for x in value] if isinstance(value, list) else value
