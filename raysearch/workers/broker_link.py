"""The driver's side of the broker: an actor on the driver's node that comes back when it dies.

It is apart from the broker because it holds what a new process of the broker must be told again.
"""

import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from .broker import TrialBroker
from .lane_places import LanePlaces
from .messages import AttemptProgress, TrainedModel
from .ray_internals import dead_actors, worker_group_lanes

RETURN = 120.0  # seconds that the driver waits for a broker that has died
PAUSE = 0.2  # seconds between two calls of a broker that does not answer


class BrokerLink:
    """What the driver asks of the broker, and tells a new process of it again.

    The broker shares the driver's node, so that no other node's death ends a run. A process of the
    broker that was killed starts again without its memory: lanes that it knew begin anew, with
    numbers above all earlier ones.

    Args:
        hang: see TrialBroker.
        on_restart: called after the broker has started again.

    Attributes:
        actor: the broker's handle, for lanes and workers.
        first: number of the first lane that the broker's present process knows; the workers of
            lanes with lower numbers are lost.
    """

    def __init__(self, hang: float | None, on_restart: Callable[[], None]) -> None:
        node = ray.get_runtime_context().get_node_id()
        options: dict[str, Any] = {
            "num_cpus": 0,
            "max_concurrency": 1000,
            "max_restarts": -1,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False),
        }
        self._start(ray.remote(TrialBroker).options(**options).remote(hang), on_restart)

    def _start(self, actor: Any, on_restart: Callable[[], None]) -> None:
        self.actor, self._on_restart = actor, on_restart
        self.first, self._highest = 1, 0
        self._data: dict[str, dict[str, Any]] = {}
        self._teachers: dict[str, Any] = {}
        self._places: LanePlaces | None = None
        self._process: str | None = None
        self._closed = False
        self._lock = threading.RLock()  # data is published from the preparation's thread

    def publish_data(self, task: str, data: dict[str, Any]) -> None:
        """Publish what workers need for a task: object references."""
        with self._lock:
            self._data[task] = data
        self._call("publish_data", task, data)

    def publish_teachers(self, teachers: dict[str, Any]) -> None:
        """Publish the weights of these teachers, and of no others."""
        with self._lock:
            self._teachers = dict(teachers)
        self._call("publish_teachers", teachers)

    def set_places(self, places: LanePlaces) -> int:
        """Let so many lanes share each device, see `TrialBroker.set_places`."""
        with self._lock:
            self._places = places
        too_many: int = self._call("set_places", places)
        return too_many

    def pop_given_up(self, trial: str) -> bool:
        """Return whether a lane that is one too many did not take a trial."""
        given_up: bool = self._call("pop_given_up", trial)
        return given_up

    def running_attempts(self) -> list[AttemptProgress]:
        """Return the progress of the running attempts."""
        attempts: list[AttemptProgress] = self._call("running_attempts")
        return attempts

    def recorded_facts(self) -> dict[str, dict[str, Any]]:
        """Return what workers recorded, see `TrialBroker.recorded_facts`."""
        facts: dict[str, dict[str, Any]] = self._call("recorded_facts")
        return facts

    def pop_model(self, trial: str, weights: bool) -> TrainedModel | None:
        """Return what a trial left; None if it was lost with a process or a node.

        Args:
            trial: id of the trial.
            weights: whether its weights are fetched too; if not, they stay on their node, which
                frees them.
        """
        references = self._call("pop_model", trial)
        if not references:
            return None
        try:
            predictions = ray.get(references[0])
            fetched = ray.get(references[1]) if weights else None
        except ray.exceptions.ObjectLostError:
            return None
        return TrainedModel(weights=fetched, predictions=predictions)

    def forget_dead_lanes(self, trial: str | None) -> set[int]:
        """Drop dead lanes, see `TrialBroker.forget_dead_lanes`; those of a dead broker as well."""
        numbers: list[int] = self._call("forget_dead_lanes", trial, dead_actors())
        return {*numbers, *range(1, self.first)}

    def warn_nodes(self, nodes: Collection[str]) -> None:
        """Warn workers of nodes that are about to leave, see `TrialBroker.warn_nodes`."""
        self._call("warn_nodes", nodes)

    def interrupt(self) -> None:
        """Let all workers leave and all lanes return, see `TrialBroker.interrupt`; do not wait."""
        self.actor.interrupt.remote()

    def fit_lanes(
        self, running: Collection[str], remaining: int, waiting: Collection[int], surplus: int
    ) -> list[str]:
        """Let lanes follow nodes and trials, see `TrialBroker.fit_lanes`."""
        trials: list[str] = self._call("fit_lanes", running, remaining, waiting, surplus)
        return trials

    def close(self) -> None:
        """End the broker's process, which would stay as long as Ray does."""
        self._closed = True
        with suppress(Exception):  # Ray may have gone before
            ray.kill(self.actor)

    def _call(self, method: str, *values: Any) -> Any:
        """Return what the broker answers; wait for it while it starts again.

        Raises:
            RayActorError: it does not come back.
        """
        deadline = time.monotonic() + RETURN
        while True:
            try:
                process, lanes, value = ray.get(self.actor.answer.remote(method, *values))
                with self._lock:
                    if process == self._process:
                        self._highest = max(self._highest, lanes)
                        return value
                    self._tell(process)
            except RayActorError:
                if self._closed or time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE)

    def _tell(self, process: str) -> None:
        """Tell a new process of the broker what the one before knew from the driver.

        A call that a broker without its memory answered is made again.
        """
        has_restarted = self._process is not None
        if has_restarted:
            self._highest = max(self._highest, *worker_group_lanes(), 0)
            self.first = self._highest + 1
        known = self._data, self._teachers, self._places
        ray.get(self.actor.begin.remote(self.first, *known))
        self._process = process
        if has_restarted:
            self._on_restart()
