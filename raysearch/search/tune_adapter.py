"""What Ray Tune's events mean for the trial queue: suggestions, reports, ends and deaths of lanes.

It is apart from the queue because Tune's trials come and go with lanes, while the study's own
trials are records in the journal. Tune calls it through the classes of `tune_hooks`.
"""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import ray
from ray.tune.search import Searcher

from ..error_pages import FAULTS
from ..errors import RaysearchError
from ..run_folder import Record
from ..run_folder.events import AttemptEvent, SpentEvent
from ..run_folder.outcomes import has_model
from ..run_folder.remote_files import resume_command
from ..workers.broker_link import BrokerLink
from ..workers.messages import (
    AttemptProgress,
    LaneEvent,
    LaneLost,
    TrainedModel,
    TrialEnd,
    TrialReport,
)
from ..workers.ray_internals import remove_worker_groups
from .data_preparation import BackgroundPreparation
from .trial_queue import QueueState, TrialQueue

POLL = 1.0  # seconds between two looks at the running attempts
SPENT_INTERVAL = 10.0  # seconds between journal events of what a running attempt has cost


class TuneAdapter:
    """What Tune's searcher, scheduler and callback share.

    Args:
        queue: decides which trials run and which stop.
        broker: link to the broker.
        preparation: prepares the data; an error there ends the run.
        lanes: returns how many lanes there may be now.
        on_change: called with a record after each of its events.
        on_model: called with a record and its trained model before its end is written.
        on_time: called between Tune's steps.
        on_note: called with a line for the log.
        on_progress: called with the progress of running attempts, and their records.

    Attributes:
        running: Tune's trial id -> record; None for a lane without a trial.
        interrupted: set when the user interrupts the run.
        error: why a trial's end could not be recorded; `poll` raises it, as Tune would hide it.
    """

    def __init__(
        self,
        queue: TrialQueue,
        broker: BrokerLink,
        preparation: BackgroundPreparation,
        lanes: Callable[[], int],
        on_change: Callable[[Record], None],
        on_model: Callable[[Record, TrainedModel], None],
        on_time: Callable[[], None],
        on_note: Callable[[str], None] = lambda line: None,
        on_progress: Callable[[AttemptProgress, Record], None] = lambda progress, record: None,
    ) -> None:
        self.queue, self.broker, self.preparation, self.lanes = queue, broker, preparation, lanes
        self.on_change, self.on_model, self.on_time = on_change, on_model, on_time
        self.on_note, self.on_progress = on_note, on_progress
        self._noted: dict[str, str] = {}  # trial -> what the log has said of its attempts
        self.error: Exception | None = None
        self.interrupted = threading.Event()
        self.running: dict[str, Record | None] = {}
        self._next: Record | None = None  # taken for an idle lane, for the next suggestion
        # Teacher's id -> its weights in the object store, while trials learn from it.
        self._teachers: dict[str, list[Any]] = {}
        self._deaths: dict[str, int] = {}
        self._excused: dict[str, int] = {}  # trial -> attempts lost with the broker or a node
        self._vain_deaths = 0  # of lanes, since an attempt was last seen
        # Ids of trials whose lanes end because their node has left: no fault of the trial's.
        self._displaced: set[str] = set()
        # Numbers of dead lanes; their workers may come up again until they are removed.
        self._dead_lanes: set[int] = set()
        self._last_poll = 0.0
        self._written_seconds: dict[tuple[str, int], float] = {}  # (trial, attempt) -> seconds

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles its parts to restore them, a run uses its journal."""
        return {}

    def suggest(self, tune_id: str) -> dict[str, Any] | str | None:
        """Return the configuration of the next Tune trial.

        Args:
            tune_id: Tune's id of that trial.

        Returns:
            {"request": TrialRequest}, as Tune's configurations are mappings; {"request": None} for
            a lane that starts without a trial; None for later; Searcher.FINISHED for never.
        """
        if len(self.running) >= self.lanes():
            return None
        record, self._next = self._next or self._take(), None
        if record is QueueState.DONE:
            finished: str = Searcher.FINISHED
            return finished
        if record is QueueState.WAITING:
            if not self._needs_idle_lane():
                return None
            self.running[tune_id] = None
            return {"request": None}
        self.running[tune_id] = record
        self.on_change(record)
        self._publish_teachers()
        return {"request": self.queue.request(record, self._excused.get(record.id, 0))}

    def _take(self) -> Record | QueueState:
        """Return the queue's next trial that needs a lane; announce those that end without one."""
        while isinstance(record := self.queue.next(), Record) and record.is_over:
            self.on_change(record)
        return record

    def _publish_teachers(self) -> None:
        """Publish the teachers of the running trials, and no others: each is a whole model."""
        needed = {record.teacher for record in self.running.values() if record} - {""}
        if needed != set(self._teachers):
            store, published = self.queue.store, self._teachers
            self._teachers = {t: published.get(t) or [ray.put(store.weights(t))] for t in needed}
            self.broker.publish_teachers(self._teachers)

    def _needs_idle_lane(self) -> bool:
        """Return whether one more lane without a trial will be needed: starting takes long."""
        idle = sum(record is None for record in self.running.values())
        return idle < self.queue.remaining

    def _stays_idle(self) -> bool:
        """Return whether an idle lane stays idle; if not, its next trial is taken."""
        if self._next is None:
            record = self._take()
            if record is QueueState.WAITING:
                return True
            self._next = record if isinstance(record, Record) else None
        return False

    def on_event(self, tune_id: str, event: LaneEvent) -> bool:
        """Record an event of a lane and return whether its trial continues.

        Args:
            tune_id: Tune's id of the trial.
            event: what the lane's step returned.
        """
        record = self.running[tune_id]
        if record is None:
            return self._stays_idle()
        if isinstance(event, LaneLost):
            return False
        assert isinstance(event, TrialReport | TrialEnd), "a lane with a trial is not idle"
        seconds = event.report.seconds if isinstance(event, TrialReport) else event.seconds
        if (progress := event.progress) is not None:
            progress = progress if seconds is None else replace(progress, seconds=seconds)
            self._record_progress(progress, final=True)
        if isinstance(event, TrialEnd):
            return False
        continues = self.queue.report(record, event.report, event.attempt)
        self.on_change(record)
        return continues

    def on_end(self, tune_id: str, event: LaneEvent) -> None:
        """End a trial that has ended by itself or was stopped at a report.

        Args:
            tune_id: Tune's id of the trial.
            event: its last one; of a stopped trial a report.
        """
        record = self.running.pop(tune_id)
        if record is None:
            return
        if isinstance(event, LaneLost):
            self._requeue_excused(record)
        elif not isinstance(event, TrialEnd):
            self.queue.end(record, "stopped")
        else:
            self._end(record, event)
        if self.error is None:
            self.on_change(record)

    def _end(self, record: Record, event: TrialEnd) -> None:
        """End a trial after what is needed of it is kept; if that was lost, it runs again."""
        predictions = self.queue.wants_predictions(record)
        if has_model(event.status) and (predictions or self.queue.wants_weights(record)):
            weights = self.queue.wants_weights(record, event.status)
            model = self.broker.pop_model(record.id, weights)
            if model is None and (weights or predictions):
                self._requeue_excused(record)
                return
            try:
                if model is not None:
                    self.on_model(record, model)
            except (OSError, RaysearchError) as error:
                self.error = error
                return
        self.queue.end(record, event.status, event.error)

    def _requeue_excused(self, record: Record) -> None:
        """Queue a trial again whose attempt was lost by no fault of its own."""
        self._excused[record.id] = self._excused.get(record.id, 0) + 1
        self.queue.requeue(record)

    def on_lane_death(self, tune_id: str) -> None:
        """Free the resources of a dead lane's workers, and requeue or fail its trial."""
        record = self.running.pop(tune_id, None)
        self._dead_lanes.update(self.broker.forget_dead_lanes(record.id if record else None))
        self._free_dead_lanes()
        if record is not None and self._is_excused(record.id):
            self._requeue_excused(record)
            self.on_change(record)
            return
        self._vain_deaths += 1
        if record is None:
            return
        if self._vain_deaths > self.queue.study.search.max_failures:
            self.queue.requeue(record)  # `on_lane_error` ends the run: a resumed one begins it
            return
        self._deaths[record.id] = self._deaths.get(record.id, 0) + 1
        if self._deaths[record.id] > self.queue.study.search.max_failures:
            self.queue.end(record, "failed", f"its lane died {self._deaths[record.id]} times")
        else:
            self.queue.requeue(record)
        self.on_change(record)

    def _is_excused(self, trial: str) -> bool:
        """Return whether a lane has ended by no fault of its trial: without a node, or given up."""
        if trial in self._displaced:
            self._displaced.discard(trial)
            return True
        return self.broker.pop_given_up(trial)

    def on_lane_error(self, reason: str) -> None:
        """End the run if lanes die one after another without beginning an attempt.

        Args:
            reason: why the last one died.
        """
        if self._vain_deaths > self.queue.study.search.max_failures:
            text = f"{self._vain_deaths} lanes died one after another before any began a trial"
            folder = self.queue.journal.folder
            self.error = self.error or RaysearchError(
                f"{folder}: {text}; the last one: {reason}\n"
                f"mend that, then go on with: {resume_command(folder)}",
                page=FAULTS,
            )

    def fit_lanes(self, waiting: Collection[int]) -> None:
        """Let the workers of idle lanes go that no trial needs, and end lanes without a node.

        A lane whose node has left holds its trial while its workers wait for another node. If a
        lane with workers is free, or the cluster holds fewer lanes than there are, the trial goes
        to another lane.

        Args:
            waiting: the numbers of lanes whose workers wait for a node.
        """
        running = {record.id for record in self.running.values() if record}
        surplus = len(self.running) - self.lanes()
        moved = self.broker.fit_lanes(running, self.queue.remaining, waiting, surplus)
        self._displaced.update(moved)

    def poll(self) -> None:
        """Write what the running attempts have cost to the journal, from time to time.

        Raises:
            Exception: the error of the preparation, as the lanes would wait for its data forever,
                or the reason why a model or an event could not be kept, which Tune takes for a
                fault of the lane.
        """
        if error := self.error or self.preparation.error or self.queue.journal.failure:
            self.broker.interrupt()  # no lane waits for a trial or its data
            raise error
        if time.monotonic() - self._last_poll < POLL:
            return
        self._last_poll = time.monotonic()
        self._free_dead_lanes()
        for progress in self.broker.running_attempts():
            self._record_progress(progress)

    def _free_dead_lanes(self) -> None:
        if self._dead_lanes:
            remove_worker_groups(self._dead_lanes)

    def _record_progress(self, progress: AttemptProgress, final: bool = False) -> None:
        """Write an attempt's beginning, and what it has cost, to the journal.

        Args:
            progress: of the attempt.
            final: whether its cost is written however recent the last entry is. Then a report or
                an end follows, and the disk is waited for once, with that.
        """
        self._vain_deaths = 0
        record = self.queue.journal.trials.get(progress.trial)
        if record is None or record.is_over:
            return
        self.on_progress(progress, record)
        journal, clock, attempt = self.queue.journal, self.queue.clock, progress.attempt
        if attempt > record.attempts:
            begun = AttemptEvent(
                trial=record.id,
                at=clock.at,
                elapsed=clock.elapsed,
                attempt=attempt,
                plan=progress.plan,
                from_step=progress.from_step,
                devices=self.queue.proposals.devices,  # a resumed run may have other lanes
                lane=progress.lane,
                host=progress.host,
                device=progress.device,
            )
            journal.write(begun, wait=not final)
            self.on_change(record)
        if progress.note and self._noted.get(record.id) != progress.note:
            self._noted[record.id] = progress.note
            self.on_note(f"{record.task} {record.id}: {progress.note}")
        seconds = progress.seconds - progress.spent_before
        written = self._written_seconds.get((record.id, attempt), 0.0)
        if final or seconds - written > SPENT_INTERVAL:
            step = record.step if progress.step is None else progress.step
            spent = SpentEvent(
                trial=record.id, elapsed=clock.elapsed, attempt=attempt, seconds=seconds, step=step
            )
            journal.write(spent, wait=not final)
            self._written_seconds[record.id, attempt] = seconds
