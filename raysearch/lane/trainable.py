"""A lane as Tune sees it: a class trainable that owns one TorchTrainer, which stays up.

Trials flow through it by `reset_config`; each step is one report of the trial that it has."""

import logging
import threading
import uuid
from typing import Any

import ray
from ray import tune
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from .desk import Order
from .worker import loop

PATIENCE = 30 * 24 * 3600  # collectives wait this long: the desk's heartbeat notices a hang
LEAVE = 20.0  # seconds that workers have to leave when a lane closes


class Lane(tune.Trainable):
    """One warm group of workers."""

    def setup(
        self, config: dict[str, Any], desk: Any = None, workers: dict[str, Any] | None = None
    ) -> None:
        """Start the workers; they stay for as many trials as come.

        Args:
            config: {"order": Order}, the first trial.
            desk: handle of the desk.
            workers: count, cpus, gpus, storage and `loop`, the arguments of a Worker.
        """
        self.desk, self.name = desk, f"lane-{uuid.uuid4().hex[:8]}"
        self.order: Order | None = config["order"]
        self.failure: BaseException | None = None
        trainer = TorchTrainer(
            loop,
            train_loop_config={"desk": desk, "lane": self.name, **workers["loop"]},
            torch_config=TorchConfig(timeout_s=PATIENCE),
            scaling_config=ScalingConfig(
                num_workers=workers["count"],
                use_gpu=workers["gpus"] > 0,
                resources_per_worker=workers["resources"],
                placement_strategy="PACK",
            ),
            run_config=RunConfig(
                name=self.name,
                storage_path=workers["storage"],
                # Which trial may be tried again is the desk's matter: a lane may always rebuild.
                failure_config=FailureConfig(max_failures=-1, controller_failure_limit=3),
                checkpoint_config=CheckpointConfig(num_to_keep=1),
                worker_runtime_env={"env_vars": workers["environment"]},
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

    def step(self) -> dict[str, Any]:
        """The next news of the trial: a report, or its end."""
        order, self.order = self.order, None
        news = self.desk.exchange.remote(self.name, order)
        while not (ready := ray.wait([news], timeout=2)[0]):
            if not self.thread.is_alive():
                raise RuntimeError(f"the workers of {self.name} are gone: {self.failure}")
        said = ray.get(ready[0])
        if said["kind"] == "hung":
            raise RuntimeError(f"no sign of life from {self.name} for {said['seconds']:.0f} s")
        return {"news": (said,), "done": said["kind"] == "end"}  # Tune takes mappings apart

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial; the last one, if it still waits for a verdict, is stopped."""
        self.order = new_config["order"]
        return True

    def cleanup(self) -> None:
        """Send the workers home and wait for their resources to be free."""
        self.desk.close.remote(self.name)
        self.thread.join(LEAVE)
