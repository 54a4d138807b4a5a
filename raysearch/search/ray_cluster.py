"""Ray itself: a cluster of this machine, or the one at an address.

It is apart because Ray reads its environment variables when it is imported: they are set first.
"""

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
os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "1000")  # all lanes start at the same time
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "86400")  # a run resumes from its journal
os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # one process for each lane
os.environ.setdefault("RAY_TRAIN_METRICS_ENABLED", "0")
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")  # a lane ends after a check
# A busy machine takes longer than Train's minute to import torch; Train would start over forever.
os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "1200")
os.environ.setdefault("RAY_worker_niceness", "0")  # with Ray's 15, other programs starve the work
os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")  # results are events, not metrics

import ray

from ..errors import RaysearchError
from ..workers.cpu_quota import usable_cores
from ..workers.machine import gpu_count

ATTEMPTS = 3  # to start Ray


@contextmanager
def connect(address: str | None, cpus: int | None = None) -> Iterator[dict[str, float]]:
    """Connect to Ray, or start it here, and give the cluster's resources.

    A connection that exists already is used, and left open.

    Args:
        address: of a running cluster, "auto" for the one on this node, None to start one.
        cpus: the cores that a cluster of this machine offers; None for all that this process may
            use, see `usable_cores`.

    Raises:
        RaysearchError: Ray does not start, or is not reached.
    """
    if ray.is_initialized():
        yield cluster_resources()
        return
    try:
        yield _start(address, cpus)
    finally:
        ray.shutdown()


def _start(address: str | None, cpus: int | None) -> dict[str, float]:
    """Start or join Ray and return its resources; try again, as a busy machine may be too slow."""
    options: dict[str, Any] = {"address": address}
    if address is None:
        cores = cpus or usable_cores()
        options = {"num_cpus": cores, "include_dashboard": False}
    for retries in reversed(range(ATTEMPTS)):
        try:
            ray.init(
                **options, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True
            )
            return cluster_resources()
        except Exception as error:  # Ray raises RuntimeError, ConnectionError or Exception itself
            ray.shutdown()
            if not retries:
                text = f"Ray does not start: {error}\nthe machine may be too busy: try again later"
                raise RaysearchError(text) from error
            time.sleep(1)
    raise AssertionError("no attempt was made")


def cluster_resources() -> dict[str, float]:
    """Return the resources of the cluster that Ray is connected to."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray's
    return resources


@contextmanager
def as_ctrl_c(number: signal.Signals) -> Iterator[None]:
    """Let a signal do what Ctrl-C does: schedulers of clusters end a job with SIGTERM.

    Args:
        number: of the signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread receives signals
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
    """Return the resources that a cluster of this machine would have, without starting it.

    Returns:
        "CPU" and "GPU" -> their number.
    """
    return {"CPU": float(usable_cores()), "GPU": float(gpu_count())}
