"""Run folders of whole studies: the product's own queue, driven by simulated lanes and time."""

import heapq
import json
import math
import os
import random
from contextlib import closing, nullcontext
from itertools import count
from unittest import mock

from raysearch import study
from raysearch.run_folder import Journal, Record
from raysearch.run_folder.events import AttemptEvent, Plan, SpentEvent
from raysearch.run_folder.report import Report
from raysearch.search.trial_queue import QueueState, TrialQueue
from support.run_folders import START, write_study

STEPS, EVALUATIONS = 100, (25, 50, 75, 100)
PLAN = Plan(steps=STEPS, warmup=6, per_epoch=50, evaluations=EVALUATIONS, rungs={"0.5": 50})
SETUP = 5.0  # seconds before a lane's first trial and between two trials


RTE, PANX = "glue/rte", "xtreme/panx"
NAME = 'report"><script>alert(1)<script>'
STUDY = {
    "name": NAME,
    "tasks": [RTE, PANX],
    "model": "scratch",
    "space": {
        "BSZ": {"choice": [16, 32, 64]},
        "LR": {"log": [5e-6, 2e-4]},
        "WARMUP": {"choice": [16, {"steps": 50}]},
        "weight_decay": {"uniform": [0, 0.1]},
    },
    "search": {"sampler": "random", "trials": 16, "stop_early": {"at": [0.5]}},
    "confirm": {"top": 2, "seeds": [11, 12, 13]},
    "published": [
        {
            "row": "<b>BERT</b>",
            "source": "a & b",
            "results": {
                RTE: {"scores": {"accuracy": 86.4}},
                PANX: {"scores": {"entity_f1": 88.0, "de.entity_f1": 87.5}},
            },
        }
    ],
}
ENDS = {3: "failed", 5: "diverged", 7: "degenerate"}


def search_end(record):
    """How a trial of a test's study ends."""
    return ENDS.get(record.number, "finished") if record.phase == "search" else "finished"


class SimulatedClock:
    """A clock that the lanes of a simulation set."""

    def __init__(self):
        self.at = START

    @property
    def elapsed(self):
        return self.at - START


def score_of(record):
    """Best near LR 3e-5 and a large BSZ, with noise by trial; a fraction."""
    noise = random.Random(f"{record.id}{record.seed}")
    away = abs(math.log10(record.configuration.get("LR", 3e-5) / 3e-5))
    size = record.configuration.get("BSZ", 32)
    return 0.9 - 0.12 * away**2 - 0.02 * (size == 16) + noise.gauss(0, 0.008)


def drive(
    folder,
    raw,
    *,
    lanes=2,
    most=math.inf,
    outcome=lambda record: "finished",
    around=lambda journal: nullcontext(),
):
    """Run a study with toy trials, to its end or to `most` trials.

    Args:
        folder: the run folder to make, or one that such a run left off.
        raw: the study as its YAML file has it.
        lanes: how many trials run at the same time.
        most: how many trials are begun; those that run then stay unfinished.
        outcome: returns how the trial of a record ends.
        around: returns a context, of the open journal, in which the trials run.
    """
    write_study(folder, **raw)
    searched = study.load(folder / "study.yaml")
    clock, begun = SimulatedClock(), count(1)
    with mock.patch.object(os, "fsync"), closing(Journal(folder)) as journal, around(journal):
        clock.at = max([START, *((s.until or s.at) + 3600 for s in journal.sessions)])
        with mock.patch("raysearch.search.trial_queue.SessionClock", return_value=clock):
            queue = TrialQueue(searched, journal, dict.fromkeys(searched.tasks, "model-data"))
        waiting = [(clock.at, lane, None) for lane in range(1, lanes + 1)]
        while waiting:
            clock.at, lane, trial = heapq.heappop(waiting)
            if trial is None:
                record = queue.next()
                if record is QueueState.DONE or (isinstance(record, Record) and next(begun) > most):
                    break
                if record is QueueState.WAITING:
                    heapq.heappush(waiting, (clock.at + 1 + lane / 100, lane, None))
                    continue
                trial = _trial(queue, record, lane, outcome(record))
            pause = next(trial, None)
            after = SETUP + lane / 100 if pause is None else pause
            heapq.heappush(waiting, (clock.at + after, lane, None if pause is None else trial))
    facts = {"raysearch": "0.2.0", "data": "data", "lanes": {"count": lanes},
             "content": dict.fromkeys(raw["tasks"], "model-data")}  # fmt: skip
    (folder / "provenance.json").write_text(json.dumps(facts))
    return folder


def _trial(queue, record, lane, outcome):
    """One trial, event by event; yields the seconds until the next one."""
    attempt, journal = record.attempts + 1, queue.journal
    start = queue.clock.at
    journal.write(AttemptEvent(trial=record.id, at=start, attempt=attempt, plan=PLAN, lane=lane))
    if outcome == "failed":
        yield 7.0
        queue.end(record, "failed", 'RuntimeError: </pre><script>alert("x")</script> & more')
        return
    pace = random.Random(record.id).uniform(6, 12)
    for step in EVALUATIONS:
        yield pace
        share, last = 1 - math.exp(-4 * step / STEPS), step == STEPS
        scores = {name: share * score_of(record) * (1 - 0.005 * number)
                  for number, name in enumerate(_score_names(queue, record))}  # fmt: skip
        if diverges := outcome == "diverged" and step > 25:
            scores = {}
        seconds = queue.clock.at - start
        journal.write(SpentEvent(trial=record.id, attempt=attempt, seconds=seconds, step=step))
        status = "diverged" if diverges else outcome if last else "running"
        loss = math.nan if diverges else 0.7 * (1 - share) + 0.1
        report = Report(stage="finetune", step=step, steps=STEPS, loss=loss, scores=scores,
                        status=status, seconds=seconds, rate=1e-5)  # fmt: skip
        if not queue.report(record, report, attempt):
            queue.end(record, "stopped")
            return
        if diverges:
            break
    queue.end(record, outcome)


def _score_names(queue, record):
    task = queue.study.resolve(record.task)
    names = [f"dev.{metric}" for metric in task.row.metrics]
    names += [f"dev.{s.name}.{m}" for s in task.row.dev[1:] for m in task.row.metrics]
    return [*names, *([f"dev.mean.{task.row.metric}"] if task.row.languages else [])]
