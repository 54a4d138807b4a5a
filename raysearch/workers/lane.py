"""A lane as Tune sees it: a class trainable that owns one TorchTrainer, which stays up.

Trials flow through it by `reset_config`; each step is one report of the trial that it has."""

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Collection
from typing import Any

import ray
from ray import tune
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.placement_group import PlacementGroup, remove_placement_group

from .broker import TrialRequest

COLLECTIVE_TIMEOUT = (
    30 * 24 * 3600
)  # collectives wait this long: the broker's heartbeat notices a hang
SHUTDOWN_TIMEOUT = 20.0  # seconds that workers have to leave when a lane closes
IDLE = 0.2  # seconds between an idle lane's questions
LANE_TAG = "memory"  # bytes of it in a bundle tell whose placement group it is


class Lane(tune.Trainable):
    """One warm group of workers."""

    def setup(
        self, config: dict[str, Any], broker: Any = None, workers: dict[str, Any] | None = None
    ) -> None:
        """Take the first trial. Tune discards some lanes unused: the workers start with a step.

        Args:
            config: {"request": TrialRequest}, None in its place for a lane that waits for one.
            broker: handle of the broker.
            workers: count, resources, storage, environment and `loop`, the arguments of a Worker.
        """
        self.broker, self.workers, self.name = broker, workers, f"lane-{uuid.uuid4().hex[:8]}"
        self.request: TrialRequest | None = config["request"]
        self.idle = self.request is None
        self.thread: threading.Thread | None = None
        self.failure: BaseException | None = None

    def step(self) -> dict[str, Any]:
        """The next event of the trial: a report, or its end."""
        if self.idle:
            time.sleep(IDLE)
            return {"event": ({"kind": "idle"},)}
        if self.thread is None:
            self._start()
        request, self.request = self.request, None
        event = self.broker.next_event.remote(self.name, request)
        while not (ready := ray.wait([event], timeout=2)[0]):
            if not self.thread.is_alive():
                raise RuntimeError(f"the workers of {self.name} are gone: {self.failure}")
        said = ray.get(ready[0])
        if said["kind"] == "hung":
            raise RuntimeError(f"no sign of life from {self.name} for {said['seconds']:.0f} s")
        return {"event": (said,), "done": said["kind"] == "end"}  # Tune takes mappings apart

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial; the last one, if it still waits for a decision, is stopped."""
        self.request = new_config["request"]
        self.idle = self.request is None
        return True

    def ping(self) -> None:
        """Answers where the lane is alive and idle."""

    def cleanup(self) -> None:
        """Send the workers home and wait for their resources to be free."""
        if self.thread is not None:
            self.broker.close_lane.remote(self.name)
            self.thread.join(SHUTDOWN_TIMEOUT)

    def _start(self) -> None:
        me = ray.get_runtime_context().current_actor
        number = ray.get(self.broker.register_lane.remote(self.name, self.request, me))
        trainer = _Trainer(
            loop,
            train_loop_config={"broker": self.broker, "lane": self.name, **self.workers["loop"]},
            torch_config=TorchConfig(timeout_s=COLLECTIVE_TIMEOUT),
            scaling_config=ScalingConfig(
                num_workers=self.workers["count"],
                use_gpu=self.workers["resources"].get("GPU", 0) > 0,
                resources_per_worker={**self.workers["resources"], LANE_TAG: number},
                placement_strategy="PACK",
            ),
            run_config=RunConfig(
                name=self.name,
                storage_path=self.workers["storage"],
                # Which trial may be tried again is the broker's matter: a lane may always rebuild.
                failure_config=FailureConfig(max_failures=-1, controller_failure_limit=3),
                checkpoint_config=CheckpointConfig(num_to_keep=1),
                worker_runtime_env={"env_vars": self.workers["environment"]},
            ),
        )
        self.thread = threading.Thread(target=self._fit, args=(trainer,), daemon=True)
        self.thread.start()

    def _fit(self, trainer: TorchTrainer) -> None:
        try:
            trainer.fit()
        except BaseException as error:
            self.failure = error
            logging.getLogger(__name__).debug("lane %s ended", self.name, exc_info=True)


class _Trainer(TorchTrainer):
    """A TorchTrainer without four processes that each would start and a lane has no use for.

    Two callbacks: one hands out Ray Data sets, the other frees placement groups with the help of
    the dashboard, see `release`. The controller's actor: it runs here, in the lane's thread. The
    coordinator that announces resources before a placement group does.
    Where Ray renames any of them it merely comes back.
    """

    def _create_default_callbacks(self) -> list[Any]:
        spare = ("DatasetsCallback", "PlacementGroupCleanerCallback")
        return [c for c in super()._create_default_callbacks() if type(c).__name__ not in spare]

    def _initialize_and_run_controller(self, **parts: Any) -> Any:
        try:
            from ray.train.v2._internal.execution.controller import TrainController
        except ImportError:
            return super()._initialize_and_run_controller(**parts)
        for announce in ("_send_resource_request", "_maybe_send_resource_request",
                         "_cancel_resource_request"):  # fmt: skip
            setattr(parts["scaling_policy"], announce, lambda: None)
        controller = TrainController(**parts)
        asyncio.run(controller.run())
        return controller.get_result()


def loop(config: dict[str, Any]) -> None:
    """What Ray Train runs in every worker of a lane.

    The controller and the lane load this function too: what a worker needs is imported inside.
    """
    import torch

    from .worker import Worker

    torch.set_num_threads(config.pop("threads"))
    Worker(**config).work()


def release(numbers: Collection[int]) -> None:
    """Set free what dead lanes' workers held or were waiting for.

    Ray frees a placement group with the job, not with the actor that made it; the next lane would
    wait for its resources for ever.
    """
    for group, facts in ray.util.placement_group_table().items():
        marks = {bundle.get(LANE_TAG) for bundle in facts["bundles"].values()}
        if facts["state"] != "REMOVED" and marks & set(numbers):
            remove_placement_group(PlacementGroup(ray.PlacementGroupID.from_hex(group)))
