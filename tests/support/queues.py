"""A trial queue that is driven by hand, as lanes would do it."""

import math

from raysearch.search.trial_queue import QueueState


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
