"""Ray Tune's side of a run: it asks the queue what to try, reports what lanes say, and stops.

Tune's trials come and go; the study's own are records in the journal."""

import time
from collections.abc import Callable
from typing import Any

import ray
from ray.tune import Callback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from ..errors import RaysearchError
from ..run_folder import Record
from ..workers.broker import TrialRequest
from ..workers.lane import release
from .data_preparation import BackgroundPreparation
from .trial_queue import TrialQueue

PULSE = 1.0  # seconds between looks at the running attempts
SPENT = 10.0  # seconds between entries of what a running attempt has cost


class TuneAdapter:
    """What Tune's searcher, scheduler and callback share.

    Args:
        queue: decides.
        broker: handle of the broker.
        preparation: an error there ends the run.
        lanes: gives how many lanes there may be now.
        on_change: called with a record after each of its events.
        on_weights: called with a record and its weights before its end is written.
        on_time: called between Tune's steps.
    """

    def __init__(
        self,
        queue: TrialQueue,
        broker: Any,
        preparation: BackgroundPreparation,
        lanes: Callable[[], int],
        on_change: Callable[[Record], None],
        on_weights: Callable[[Record, Any], None],
        on_time: Callable[[], None],
    ) -> None:
        self.queue, self.broker, self.preparation, self.lanes = queue, broker, preparation, lanes
        self.on_change, self.on_weights, self.on_time = on_change, on_weights, on_time
        self.error: Exception | None = None  # of a trial's end; Tune would hide what it is
        self.running: dict[str, Record | None] = {}  # Tune's trial id -> record, None: an idle lane
        self._next: Record | None = None  # begun by an idle lane for the next suggestion
        self._lent: dict[str, list[Any]] = {}  # teacher -> its weights, while trials learn from it
        self._deaths: dict[str, int] = {}
        self._buried: set[int] = set()  # lanes whose workers may come up again until they are gone
        self._pulsed = 0.0
        self._entered: dict[tuple[str, int], float] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles what it is given, to restore it; a run goes on from its journal instead."""
        return {}

    def suggest(self, tune_id: str) -> dict[str, Any] | str | None:
        """The next trial for a lane, None for later, FINISHED for never."""
        if len(self.running) >= self.lanes():
            return None
        record, self._next = self._next or self._draw(), None
        if record == "done":
            return Searcher.FINISHED
        if record == "wait":
            if not self._spare():
                return None
            self.running[tune_id] = None
            return {"request": None}
        self.running[tune_id] = record
        self.on_change(record)
        self._publish_teachers()
        return {"request": TrialRequest(**self.queue.request(record))}

    def _draw(self) -> Record | str:
        """The next trial to run; those that end without a step are told."""
        while isinstance(record := self.queue.next(), Record) and record.is_over:
            self.on_change(record)
        return record

    def _publish_teachers(self) -> None:
        """Lay out the teachers of the trials that run, and no others: each is a whole model."""
        wanted = {record.teacher for record in self.running.values() if record} - {""}
        if wanted != set(self._lent):
            store = self.queue.store
            self._lent = {t: self._lent.get(t) or [ray.put(store.weights(t))] for t in wanted}
            ray.get(self.broker.publish_teachers.remote(self._lent))

    def _spare(self) -> bool:
        """Whether a lane without a trial will be needed; one that leaves has to start again."""
        idle = sum(record is None for record in self.running.values())
        return idle < self.queue.remaining

    def _rests(self) -> bool:
        """Whether an idle lane stays idle."""
        if self._next is None:
            record = self._draw()
            if record == "wait":
                return True
            self._next = record if record != "done" else None
        return False

    def on_report(self, tune_id: str, event: dict[str, Any]) -> bool:
        """What a lane says of its trial; whether it goes on."""
        record = self.running[tune_id]
        if record is None:
            return self._rests()
        progress = event.pop("progress", {})
        if progress:
            self._record_progress(
                {**progress, "seconds": event.get("seconds", progress["seconds"])}, final=True
            )
        if event.pop("kind") == "end":
            return False
        going = self.queue.report(record, event)
        self.on_change(record)
        return going

    def on_end(self, tune_id: str, event: dict[str, Any]) -> None:
        """A trial has ended: by itself with its last event, or stopped at a report."""
        record = self.running.pop(tune_id)
        if record is None:
            return
        if event["status"] == "running":
            self.queue.end(record, "stopped")
        else:
            if self.queue.wants_weights(record) and event["status"] not in ("failed", "diverged"):
                left = ray.get(self.broker.pop_weights.remote(record.id))
                try:
                    if left:
                        self.on_weights(record, ray.get(left[0]))
                except (OSError, RaysearchError) as error:
                    self.error = error
                    return
            self.queue.end(record, event["status"], event.get("error"))
        self.on_change(record)

    def on_lane_death(self, tune_id: str) -> None:
        """A lane died: its workers' resources are set free, its trial is tried again."""
        record = self.running.pop(tune_id, None)
        self._buried.update(ray.get(self.broker.forget_dead_lanes.remote(record and record.id)))
        self._release()
        if record is None:
            return
        self._deaths[record.id] = self._deaths.get(record.id, 0) + 1
        if self._deaths[record.id] > self.queue.study.search.max_failures:
            self.queue.end(record, "failed", f"its lane died {self._deaths[record.id]} times")
        else:
            self.queue.requeue(record)
        self.on_change(record)

    def poll(self) -> None:
        """Enter what the running attempts have cost, now and then.

        Raises what the preparation met, as the lanes would wait for its material for ever, and why
        weights could not be kept.
        """
        if error := self.error or self.preparation.error:
            raise error
        if time.monotonic() - self._pulsed < PULSE:
            return
        self._pulsed = time.monotonic()
        self._release()
        for progress in ray.get(self.broker.running_attempts.remote()):
            self._record_progress(progress)

    def _release(self) -> None:
        if self._buried:
            release(self._buried)

    def _record_progress(self, progress: dict[str, Any], final: bool = False) -> None:
        record = self.queue.journal.trials.get(progress.get("trial", ""))
        if record is None or record.is_over:
            return
        journal, attempt = self.queue.journal, progress["attempt"]
        if attempt > record.attempts:
            begun = {name: progress[name] for name in ("attempt", "plan", "from_step")}
            begun["devices"] = self.queue.points.devices  # a resumed run may have other lanes
            journal.write("attempt", trial=record.id, **self.queue.clock.stamp(), **begun)
            self.on_change(record)
        seconds = progress["seconds"] - progress["spent_before"]
        if final or seconds - self._entered.get((record.id, attempt), 0.0) > SPENT:
            step = progress.get("step", record.step)
            spent = {"attempt": attempt, "seconds": seconds, "step": step}
            journal.write("spent", trial=record.id, **self.queue.clock.elapsed(), **spent)
            self._entered[record.id, attempt] = seconds


class AdapterSearcher(Searcher):
    """Tune's searcher: the adapter's suggestions."""

    def __init__(self, adapter: TuneAdapter) -> None:
        super().__init__(metric="score", mode="max")
        self.adapter = adapter

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """See Conductor.suggest."""
        return self.adapter.suggest(trial_id)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A Tune trial is over."""
        if error:
            self.adapter.on_lane_death(trial_id)
        elif trial_id in self.adapter.running:
            self.adapter.on_end(trial_id, result["event"][0])

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is what a run goes on from."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the journal is what a run goes on from."""


class AdapterScheduler(FIFOScheduler):
    """Tune's scheduler: the queue's decision on every report."""

    def __init__(self, adapter: TuneAdapter) -> None:
        super().__init__()
        self.adapter = adapter

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether the trial goes on after a report."""
        going = self.adapter.on_report(trial.trial_id, dict(result["event"][0]))
        return TrialScheduler.CONTINUE if going else TrialScheduler.STOP


class AdapterCallback(Callback):
    """Looks at the lanes between Tune's steps."""

    def __init__(self, adapter: TuneAdapter) -> None:
        self.adapter = adapter

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """After each of Tune's steps."""
        self.adapter.poll()
        self.adapter.on_time()
