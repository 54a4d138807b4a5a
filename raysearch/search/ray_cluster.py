"""Ray itself: a cluster of this machine, or the one at an address."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Read by Ray when it is imported or when it starts its processes.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_WARN_THRESHOLD_S", "60")
os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "1000")  # all lanes come up at once
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "86400")  # the journal is what a run keeps
os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # a process for each lane
os.environ.setdefault("RAY_TRAIN_METRICS_ENABLED", "0")
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")  # lanes end with a poll
# A busy machine takes longer than Train's minute to import torch; it would begin again for ever.
os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "1200")
os.environ.setdefault("RAY_worker_niceness", "0")  # as every other program: nice work starves
os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")  # results are news, not metrics

import ray

from ..errors import RaysearchError

ATTEMPTS = 3  # to start Ray
HEAD = "node:__internal_head__"  # on every cluster's head node: lanes' coordinators stay there


@contextmanager
def connect(address: str | None, cpus: int | None = None) -> Iterator[dict[str, float]]:
    """Connect to Ray, or start it here; gives the cluster's resources.

    A connection that is already there is used, and left as it is.

    Args:
        address: of a running cluster, "auto" for the one on this node, None to start one.
        cpus: cores that a cluster of this machine offers; None for all that we may use.
    """
    if ray.is_initialized():
        yield ray.cluster_resources()
        return
    try:
        yield _start(address, cpus)
    finally:
        ray.shutdown()


def _start(address: str | None, cpus: int | None) -> dict[str, float]:
    """Start or join Ray, its resources; a busy machine may be too slow to answer at first."""
    options = {"address": address}
    if address is None:
        cores = cpus or len(os.sched_getaffinity(0))
        options = {"num_cpus": cores, "include_dashboard": False}
    for left in reversed(range(ATTEMPTS)):
        try:
            ray.init(
                **options, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True
            )
            return ray.cluster_resources()
        except Exception as error:  # of its own, RuntimeError, ConnectionError, Exception
            ray.shutdown()
            if not left:
                text = f"Ray does not start: {error}\nthe machine may be too busy: try again later"
                raise RaysearchError(text) from error
            time.sleep(1)
    raise AssertionError("no attempt was made")


@contextmanager
def as_ctrl_c(number: signal.Signals) -> Iterator[None]:
    """A signal does what Ctrl-C does: SIGTERM is how clusters' schedulers say that time is up."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only that one takes signals
        return

    def stop(*_: Any) -> None:
        if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):  # as in `raysearch run ... &`
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(number, stop)
    try:
        yield
    finally:
        signal.signal(number, before or signal.SIG_DFL)


def local_resources() -> dict[str, float]:
    """What a cluster of this machine would hold, without starting it."""
    gpus = len([name for name in os.listdir("/dev") if name.startswith("nvidia") and
                name.removeprefix("nvidia").isdigit()])  # fmt: skip
    return {"CPU": float(len(os.sched_getaffinity(0))), "GPU": float(gpus)}
