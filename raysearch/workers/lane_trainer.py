"""Ray Train as a lane uses it, and everything in which that relies on private parts of Ray Train.

It is apart from `ray_internals` because only lanes need Ray Train, which takes long to import. It
imports no torch. tests/workers/test_ray_internals.py fails where Ray has renamed one of these parts
or calls it in another way.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ray.train import Result
from ray.train.backend import Backend, BackendConfig
from ray.train.v2._internal.execution.failure_handling import FailureDecision
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from .memory_kills import death_reason

# Callbacks that start one process each. The first distributes Ray Data sets, which no lane uses.
# The second removes placement groups with the help of the dashboard, which does not run here:
# `remove_worker_groups` does its work.
UNUSED_CALLBACKS = ("DatasetsCallback", "PlacementGroupCleanerCallback")

# Methods of a scaling policy that announce the resources of a worker group to a coordinator, an
# actor that this would start. The worker group's placement group asks for the same resources.
RESOURCE_REQUESTS = (
    "_send_resource_request",
    "_maybe_send_resource_request",
    "_cancel_resource_request",
)


class ProcessGroup(Backend):
    """What connects the workers of a lane: torch's process group, as TorchTrainer sets it up.

    A single worker needs none, and then the lane's process never imports torch, which would take
    as long as all else in it.
    """

    share_cuda_visible_devices = True  # as with TorchTrainer; `get_device` relies on it

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
        """Connect the workers."""
        if len(worker_group) > 1:
            backend, config = _torch_backend(backend_config)
            backend.on_start(worker_group, config)

    def on_shutdown(self, worker_group: Any, backend_config: BackendConfig) -> None:
        """Disconnect the workers."""
        if len(worker_group) > 1:
            backend, config = _torch_backend(backend_config)
            backend.on_shutdown(worker_group, config)


@dataclass
class ProcessGroupConfig(BackendConfig):
    """The settings of a ProcessGroup.

    Attributes:
        timeout_s: seconds that a collective may take.
    """

    timeout_s: int

    @property
    def backend_cls(self) -> type[ProcessGroup]:
        """The class that Ray Train calls."""
        return ProcessGroup


def _torch_backend(config: BackendConfig) -> tuple[Any, Any]:
    """Return the backend of a TorchTrainer, and its configuration."""
    from ray.train.torch import TorchConfig

    assert isinstance(config, ProcessGroupConfig)
    torch_config = TorchConfig(timeout_s=config.timeout_s)
    return torch_config.backend_cls(), torch_config


class NoSynchronization:
    """What takes the place of Ray Train's SynchronizationActor, without a process.

    It is for `ray.train.report` and Train's own collectives, which no worker calls.
    """

    def __init__(self, **_: Any) -> None: ...

    @classmethod
    def options(cls, **_: Any) -> type["NoSynchronization"]:
        """Return the class itself, as an actor's class does."""
        return cls

    @classmethod
    def remote(cls, **_: Any) -> "NoSynchronization":
        """Return an object of it, as an actor's class returns a handle."""
        return cls()


class LaneTrainer(DataParallelTrainer):
    """Ray Train's trainer without five processes that start for each lane and that none needs.

    Two belong to callbacks, see UNUSED_CALLBACKS. One is the controller's actor: the controller
    runs in the thread that calls `fit`. One is the coordinator, see RESOURCE_REQUESTS. One is
    replaced, see NoSynchronization. Where Ray renames one of these parts, its process starts as in
    a TorchTrainer.
    """

    failure_policy: Any = None  # replaces Ray's if it is set: has a method `make_decision`
    inherits_environment = False  # whether processes of workers have all variables already

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()
        return [c for c in callbacks if type(c).__name__ not in UNUSED_CALLBACKS]

    def _initialize_and_run_controller(self, **arguments: Any) -> Result:
        try:
            from ray.train.v2._internal.execution.controller import TrainController
        except ImportError:
            return super()._initialize_and_run_controller(**arguments)
        if self.failure_policy is not None:
            arguments["failure_policy"] = self.failure_policy
        _start_no_synchronization()
        if self.inherits_environment:
            _give_no_environment()
        for method in RESOURCE_REQUESTS:
            setattr(arguments["scaling_policy"], method, lambda: None)
        controller: Any = TrainController(**arguments)  # its methods have no types
        asyncio.run(controller.run())
        result: Result = controller.get_result()
        return result


def _start_no_synchronization() -> None:
    """Let Ray Train start no SynchronizationActor in this process, and end none."""
    from ray.train.v2._internal.execution.worker_group import state, worker_group

    starting: Any = worker_group
    ending: Any = state
    starting.SynchronizationActor = NoSynchronization
    ending._shutdown_sync_actor = lambda sync_actor: None


def _give_no_environment() -> None:
    """Let Ray Train add no variables of this process to a worker's runtime environment."""
    from ray.train.v2._internal.execution.worker_group import worker_group

    starting: Any = worker_group
    starting.get_env_vars_to_propagate = dict


class GroupRestarts:
    """Ray Train's failure policy of a lane: its workers start again, but not forever in vain.

    Args:
        count_attempts: returns how many attempts have begun in the lane; None if the lane is lost.
        limit: deaths in a row, without an attempt between them, after which the lane fails.
        record_death: called with the reason for a death if it is known.
    """

    def __init__(
        self,
        count_attempts: Callable[[], int | None],
        limit: int,
        record_death: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._count_attempts, self._limit = count_attempts, limit
        self._record_death = record_death
        self._attempts, self._deaths = 0, 0

    def make_decision(self, training_failed_error: Exception) -> FailureDecision:
        """Return what to do about a worker group that has died or does not start.

        Args:
            training_failed_error: why; Ray passes it by this name.
        """
        attempts = self._count_attempts()
        if attempts is None:
            return FailureDecision.RAISE
        if reason := death_reason(training_failed_error):
            self._record_death(reason)
        if attempts > self._attempts:
            self._attempts, self._deaths = attempts, 0
        self._deaths += 1
        return FailureDecision.RETRY if self._deaths < self._limit else FailureDecision.RAISE
