"""The searcher, scheduler, stopper and callback that Ray Tune calls; they pass on to the adapter.

They are apart from the adapter because Tune prescribes their methods.
"""

from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from .tune_adapter import TuneAdapter


class NothingBegun(BaseException):
    """Ends Tune at once. After an Exception it waits for seconds until its lanes have ended.

    Attributes:
        reason: why the run ends before its first trial has begun.
    """

    def __init__(self, reason: BaseException) -> None:
        super().__init__(reason)
        self.reason = reason


class AdapterSearcher(Searcher):
    """Tune's searcher: it returns the adapter's suggestions."""

    def __init__(self, adapter: TuneAdapter) -> None:
        super().__init__(metric="score", mode="max")
        self.adapter = adapter

    def suggest(  # type: ignore[override]  # FINISHED is a text, which Searcher's type leaves out
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """Return `TuneAdapter.suggest`."""
        return self.adapter.suggest(trial_id)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """End a Tune trial."""
        if error:
            self.adapter.on_lane_death(trial_id)
        elif trial_id in self.adapter.running:
            assert result is not None
            self.adapter.on_end(trial_id, result["event"])

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: a run continues from its journal."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: a run continues from its journal."""


class AdapterScheduler(FIFOScheduler):
    """Tune's scheduler: it returns the queue's decision on every report."""

    def __init__(self, adapter: TuneAdapter) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Tune's has no types
        self.adapter = adapter

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return whether Tune's trial continues after a report."""
        continues = self.adapter.on_event(trial.trial_id, result["event"])
        return TrialScheduler.CONTINUE if continues else TrialScheduler.STOP

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Leave the choice to Tune: a free lane takes the newest trial.

        Tune's own scheduler chooses the oldest that waits, whose lane starts. That lane would be
        removed, and with short trials only few lanes ever come up. It also looks at every trial of
        the study, several times for each.
        """


class AdapterStopper(Stopper):
    """Tune's stopper: an interrupted run ends without waiting for what its workers do."""

    def __init__(self, adapter: TuneAdapter) -> None:
        self.adapter = adapter

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: the scheduler decides about single trials."""
        return False

    def stop_all(self) -> bool:
        """Return whether the run is interrupted; its lanes are told."""
        if self.adapter.interrupted.is_set():
            self.adapter.broker.interrupt()
        return self.adapter.interrupted.is_set()


class AdapterCallback(Callback):
    """Tune's callback: it looks at the lanes between Tune's steps."""

    def __init__(self, adapter: TuneAdapter) -> None:
        self.adapter = adapter

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Look at why a lane died, after the searcher was told that it did."""
        lines = str(trial.get_error() or "").strip().splitlines()
        self.adapter.on_lane_error(lines[-1] if lines else "no reason known")

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Poll the lanes after one of Tune's steps."""
        self.adapter.on_time()
        self.adapter.poll()
