"""A trial queue that is driven by hand, as lanes would do it."""

import math
from dataclasses import replace

from raysearch.run_folder.events import AttemptEvent, Plan, SpentEvent
from raysearch.run_folder.report import Report
from raysearch.search.trial_queue import QueueState

PLAN = Plan(steps=100, warmup=6, per_epoch=50, evaluations=(50, 100), rungs={"0.5": 50})


def drive_queue(queue, trial, lanes=2, outcome=lambda record: "finished", most=math.inf):
    """Run a queue's trials to the end of the study, or `most` of them.

    Args:
        queue: the TrialQueue.
        trial: yields after each event of a trial, from (queue, record, outcome).
        lanes: how many trials run at the same time.
        outcome: returns how the trial of a record ends.
        most: how many trials are begun.

    Returns:
        The records of the trials that ran, in the order in which they began.
    """
    begun, running = [], []
    while True:
        record = None
        while len(running) < lanes and len(begun) < most:
            record = queue.next()
            if isinstance(record, QueueState):
                break
            if record.is_over:
                continue
            teacher = record.teacher and queue.journal.trials.get(record.teacher)
            assert not teacher or teacher.is_over
            begun.append(record)
            running.append(trial(queue, record, outcome(record)))
        if not running:
            assert record is QueueState.DONE or len(begun) == most
            return begun
        first = running.pop(0)
        if next(first, "over") != "over":
            running.append(first)


def begin_attempt(queue, record, at=0.0, **plan):
    """Begin a trial's next attempt, with changes of PLAN."""
    number, plan = record.attempts + 1, replace(PLAN, **plan)
    queue.journal.write(AttemptEvent(trial=record.id, at=at, attempt=number, plan=plan))


def report(queue, record, step, scores, status="running", *, steps=100, loss=0.5, **more):
    """Report an evaluation of a trial; return whether it continues."""
    values = {"stage": "finetune", "rate": 1e-5, "seconds": float(step), **more}
    evaluation = Report(step=step, steps=steps, loss=loss, scores=scores, status=status, **values)
    return queue.report(record, evaluation, max(1, record.attempts))


def spend(queue, record, seconds):
    """Record what the running attempt of a trial has cost, in seconds."""
    values = {"attempt": max(1, record.attempts), "seconds": seconds, "step": record.step}
    queue.journal.write(SpentEvent(trial=record.id, **values))
