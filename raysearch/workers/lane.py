"""A lane as Tune sees it: a class trainable that owns a trainer of Ray Train whose workers stay up.

Trials flow through it by `reset_config`, and each step is one report of its trial. It is apart from
the worker because it runs in an actor of its own, without torch.
"""

import logging
import threading
import time
import uuid
from functools import partial
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayActorError
from ray.train.v2.api.config import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig

from .lane_trainer import GroupRestarts, LaneTrainer, ProcessGroupConfig
from .messages import (
    LaneEvent,
    LaneGivenUp,
    LaneIdle,
    LaneLost,
    NodeLost,
    TrialEnd,
    TrialRequest,
    WorkerHung,
    WorkersReleased,
)
from .ray_internals import LANE_TAG, remove_worker_groups
from .worker_loop import worker_loop

# Collectives wait this long, in seconds: a hang is noticed by the broker's heartbeat instead.
COLLECTIVE_TIMEOUT = 30 * 24 * 3600
SHUTDOWN_TIMEOUT = 4.0  # seconds that workers have to leave by themselves when a lane closes
LEAVE_TIMEOUT = 30.0  # seconds that they have to leave when their broker has died
VAIN_STARTS = 3  # deaths of worker groups in a row, before any trial begins, that end a lane
IDLE = 0.2  # seconds that a step of an idle lane takes


class Lane(tune.Trainable):
    """One group of workers that stays up from trial to trial."""

    def setup(
        self, config: dict[str, Any], broker: Any = None, workers: dict[str, Any] | None = None
    ) -> None:
        """Take the first trial. The workers start with the first step: Tune drops some lanes.

        Args:
            config: {"request": TrialRequest}, or {"request": None} for a lane that waits for one.
            broker: handle of the broker.
            workers: count, resources, storage, `environment`, the variables that their processes
                do not have yet, and `loop`, the arguments of a Worker.
        """
        assert workers is not None
        self.broker, self.workers, self.name = broker, workers, ""
        self.request: TrialRequest | None = config["request"]
        self.idle = self.request is None
        self.thread: threading.Thread | None = None
        self.failure: BaseException | None = None
        self.number = 0

    def step(self) -> dict[str, Any]:
        """Return the next event of the trial: a report, or its end.

        Returns:
            `event`: a LaneEvent; `done`: whether no more come of the trial.

        Raises:
            RuntimeError: the workers are gone, or show no sign of life.
        """
        if self.idle:
            time.sleep(IDLE)
            return {"event": LaneIdle()}
        try:
            event = self._next_event(self.thread or self._start())
        except RayActorError:  # the broker has died
            event = LaneLost()
        if isinstance(event, NodeLost):
            raise RuntimeError(f"the node of {self.name} has left the cluster")
        if isinstance(event, LaneGivenUp):
            raise RuntimeError(f"{self.name} is one too many on its device")
        if isinstance(event, WorkerHung):
            raise RuntimeError(f"no sign of life from {self.name} for {event.seconds:.0f} s")
        if isinstance(event, LaneLost):
            self._leave_lost_workers()
        return {"event": event, "done": isinstance(event, TrialEnd | LaneLost)}

    def _next_event(self, thread: threading.Thread) -> LaneEvent:
        """Pass a new request on, and wait for the workers' next event."""
        request, self.request = self.request, None
        next_event = self.broker.next_event.remote(self.name, request)
        while not (ready := ray.wait([next_event], timeout=2)[0]):
            if not thread.is_alive():
                raise RuntimeError(f"the workers of {self.name} are gone: {self.failure}")
        event: LaneEvent = ray.get(ready[0])
        if isinstance(event, WorkersReleased):
            thread.join(SHUTDOWN_TIMEOUT)
            self.request = request
            return self._next_event(self._start())
        return event

    def _leave_lost_workers(self) -> None:
        """Wait until workers that the broker does not know have left; the next trial gets others.

        Raises:
            RuntimeError: they do not leave, as a hung one does not.
        """
        time.sleep(IDLE)
        if self.thread is not None:
            self.thread.join(LEAVE_TIMEOUT)
            if self.thread.is_alive():
                raise RuntimeError(f"the workers of {self.name} have lost the broker and stay")
        self.thread = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial; the last one, if it still waits for a decision, is stopped."""
        self.request = new_config["request"]
        self.idle = self.request is None
        return True

    def cleanup(self) -> None:
        """Let the workers leave, and wait until their resources are free."""
        if self.thread is not None:
            self.broker.close_lane.remote(self.name)
            self.thread.join(SHUTDOWN_TIMEOUT)
            if self.thread.is_alive():  # in a long step, or hung
                remove_worker_groups([self.number])

    def _start(self) -> threading.Thread:
        """Register the lane and start its workers, in a thread that ends with them."""
        self.name = f"lane-{uuid.uuid4().hex[:8]}"  # new, as Train resumes a run of the same name
        actor = ray.get_runtime_context().get_actor_id()
        admitted = self.broker.admit_lane.remote(self.name, self.request, actor)
        self.number, share = ray.get(admitted)
        resources = self.workers["resources"] | ({} if share is None else {"GPU": share})
        trainer = LaneTrainer(
            worker_loop,
            train_loop_config={"broker": self.broker, "lane": self.name, **self.workers["loop"]},
            backend_config=ProcessGroupConfig(timeout_s=COLLECTIVE_TIMEOUT),
            scaling_config=ScalingConfig(
                num_workers=self.workers["count"],
                use_gpu=resources.get("GPU", 0) > 0,
                resources_per_worker={**resources, LANE_TAG: self.number},
                placement_strategy="PACK",
            ),
            run_config=RunConfig(  # type: ignore[arg-type]  # Ray declares that of Train V1
                name=self.name,
                storage_path=self.workers["storage"],
                # The broker decides which trial is tried again; see GroupRestarts.
                failure_config=FailureConfig(max_failures=-1, controller_failure_limit=3),
                checkpoint_config=CheckpointConfig(num_to_keep=1),
                worker_runtime_env={"env_vars": self.workers["environment"]},
            ),
        )
        trainer.inherits_environment = not self.workers["environment"]
        trainer.failure_policy = GroupRestarts(
            partial(self._count_attempts, self.name),
            VAIN_STARTS,
            partial(self._record_death, self.name),
        )
        self.thread = threading.Thread(target=self._fit, args=(trainer,), daemon=True)
        self.thread.start()
        return self.thread

    def _record_death(self, lane: str, reason: str) -> None:
        self.broker.record_death.remote(lane, reason)

    def _count_attempts(self, lane: str) -> int | None:
        """Return how many attempts have begun in a lane; None if it closes or is lost."""
        try:
            count: int | None = ray.get(self.broker.count_attempts.remote(lane))
        except RayActorError:
            return None
        return count

    def _fit(self, trainer: LaneTrainer) -> None:
        try:
            trainer.fit()
        except BaseException as error:
            self.failure = error
            logging.getLogger(__name__).debug("lane %s ended", self.name, exc_info=True)
