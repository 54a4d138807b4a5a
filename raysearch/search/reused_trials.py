"""How trials of this run end by those of other runs, and what is trained of them all the same.

It is apart from the queue, which asks it, and from `reuse`, which reads the other runs.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from ..results.leaderboard import is_complete, leaderboard
from ..run_folder import Record, dev_predictions
from ..run_folder.events import LostEvent
from ..run_folder.outcomes import has_model
from ..run_folder.reuse_events import ReusedEvent
from .kept_weights import find_weights
from .reuse import Answer, Reuse

if TYPE_CHECKING:
    from .trial_queue import TrialQueue


class ReusedTrials:
    """The trials of a queue that other runs answer.

    Args:
        queue: the queue.
        reuse: what other runs can answer.
    """

    def __init__(self, queue: "TrialQueue", reuse: Reuse) -> None:
        self.queue, self.reuse = queue, reuse
        self._to_train: set[str] = set()  # ids of winners whose weights no run has
        self._at_hand: set[str] = set()  # ids of winners whose weights are here

    def end(self, record: Record) -> bool:
        """End a trial that another run answers, as it ended there; return whether one does.

        Its reports pass this run's stopping rule, which may end it earlier.

        Raises:
            OSError: its dev predictions cannot be written.
        """
        if record.attempts or record.phase == "teach" or record.id in self._to_train:
            return False
        needed = self.queue.wants_predictions(record)
        answer = self.reuse.answer(record, predictions=needed)
        if answer is None:
            return False
        self._begin(record, answer)
        clock, journal = self.queue.clock, self.queue.journal
        for report in answer.record.reports:
            journal.write(replace(report, at=clock.at, elapsed=clock.elapsed), wait=False)
            if not self.queue.goes_on(record):
                self.queue.end(record, "stopped")
                return True
        if answer.predictions is not None:
            dev_predictions.write(journal.folder, record, answer.predictions)
        status = answer.record.status
        assert status != "running", "an answer has ended"
        self.queue.end(record, status)
        return True

    def winner_to_train(self, task: str) -> Record | None:
        """Return a trial of the winner whose weights are kept, if it was reused and has none here.

        They are copied from the run that has them. If none has, the trial runs again here. It may
        be any of the winner's where all of them are kept or started from, else it is the best.

        Raises:
            OSError: they cannot be copied.
        """
        queue, study = self.queue, self.queue.study
        facts = study.resolve(task)
        records = queue.journal.of(task)
        if not any(record.reused_from for record in records):
            return None
        if not is_complete(facts, queue.journal):
            return None
        leader = next(iter(leaderboard(facts, queue.journal)), None)
        if leader is None:
            return None
        starts = (part.start for part in study.per_task.values() if part.start)
        each_seed = any(start.task == task and start.seed == "same" for start in starts)
        needs_all = each_seed or study.search.keep_weights == "confirmed"
        for record in leader.trials if needs_all else [leader.best_trial]:
            if record.reused_from and has_model(record.status) and not self._has_weights(record):
                self.reuse.note(f"{task} {record.id}: no run kept its weights: it is trained again")
                self._to_train.add(record.id)
                at, elapsed = queue.clock.at, queue.clock.elapsed
                queue.journal.write(LostEvent(trial=record.id, at=at, elapsed=elapsed))
                return record
        return None

    def _has_weights(self, record: Record) -> bool:
        """Return whether a winner's weights are here, or were copied now from a run that has them.

        Raises:
            OSError: they cannot be copied.
            InputError: a symbolic link leads out of the run folder.
        """
        weights, folder = self.queue.weights, self.queue.journal.folder
        if record.id not in self._at_hand and find_weights(folder, record) is None:
            if not self.reuse.copy_weights(folder, record, weights.place(record)):
                return False
            weights.add(record)
            weights.remove_losers(record.task)
        self._at_hand.add(record.id)
        return True

    def _begin(self, record: Record, answer: Answer) -> None:
        other, clock = answer.record, self.queue.clock
        assert other.plan is not None, "a trial that was trained"
        event = ReusedEvent(
            trial=record.id,
            at=clock.at,
            elapsed=clock.elapsed,
            run=answer.run.name,
            plan=other.plan,
            device_seconds=other.reused_seconds or 3600 * other.device_hours,
        )
        self.queue.journal.write(event, wait=False)
