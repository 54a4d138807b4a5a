"""Ray itself: a cluster of this machine, or the one at an address.

It is apart because Ray reads its environment variables when it is imported: they are set first.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

# Read by Ray when it is imported or when it starts its processes.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_WARN_THRESHOLD_S", "60")
os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "1000")  # all lanes start at the same time
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # see `on_first_ctrl_c`
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

from ..error_pages import FAULTS
from ..errors import InputError, Problem, RaysearchError
from ..workers.cpu_quota import usable_cores
from ..workers.ray_address import why_unreachable
from ..workers.ray_internals import node_types
from ..workers.ray_processes import own_sessions, small_cluster
from .cluster_options import LOCAL, chosen_address

ATTEMPTS = 3  # to start Ray
PROBE_TIMEOUT = 5.0  # seconds in which a cluster answers


@contextmanager
def connect(address: str | None, cpus: int | None = None) -> Iterator[dict[str, float]]:
    """Connect to Ray, or start it here, and give the cluster's resources.

    A connection that exists already is used, and left open.

    Args:
        address: of a running cluster, "auto" for the one on this node, "local" to start one here;
            None for the one that RAY_ADDRESS names, else "local".
        cpus: the cores that a cluster of this machine offers; None for all that this process may
            use, see `usable_cores`.

    Raises:
        InputError: no cluster answers at the address, or it does not take the token.
        RaysearchError: Ray does not start, or is not reached.
    """
    if ray.is_initialized():
        yield cluster_resources()
        return
    try:
        yield _start(chosen_address(address), cpus)
    finally:
        ray.shutdown()


def _start(address: str, cpus: int | None) -> dict[str, float]:
    """Start or join Ray and return its resources; try again, as a busy machine may be too slow."""
    options: dict[str, Any] = {"address": address}
    is_local = address == LOCAL
    if is_local:  # also beside a cluster of `ray start`: ports and folders are its own
        options |= {"num_cpus": cpus or usable_cores(), "include_dashboard": False}
    else:
        _check_address(address)
    for retries in reversed(range(ATTEMPTS)):
        try:
            with own_sessions(), small_cluster() if is_local else nullcontext():
                ray.init(
                    **options,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    configure_logging=True,
                )
            return cluster_resources()
        except Exception as error:  # Ray raises RuntimeError, ConnectionError or Exception itself
            ray.shutdown()
            if not retries:
                text = f"Ray does not start: {error}\nthe machine may be too busy: try again later"
                raise RaysearchError(text, page=FAULTS) from error
            time.sleep(1)
    raise AssertionError("no attempt was made")


def _check_address(address: str) -> None:
    """Refuse an address at which no cluster answers; Ray itself would try for a minute.

    Raises:
        InputError: what was tried and what would do.
    """
    name = address if os.environ.get("RAY_ADDRESS") != address else f"{address} (RAY_ADDRESS)"
    for retries in reversed(range(ATTEMPTS)):
        failure = why_unreachable(address, PROBE_TIMEOUT)
        if failure is None:
            return
        if not failure.may_pass or not retries:
            text = f"{name}: {failure.text}"
            raise InputError("the cluster", [Problem(location="address", text=text)])
        time.sleep(1)


class RayCluster:
    """The cluster that Ray is connected to, see `lane_demand.Cluster`."""

    def nodes(self) -> list[dict[str, float]]:
        """Return the resources of each node that is there."""
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]  # Ray's

    def node_types(self) -> dict[str, float]:
        """Return the most of each resource that an autoscaler may add; empty without one."""
        return node_types()

    def free(self) -> dict[str, float]:
        """Return the resources that nothing uses, of all nodes together."""
        free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]  # Ray's
        return free

    def request(self, bundles: list[dict[str, float]]) -> str:
        """Ask the autoscaler for room for all of these workers; return why it cannot be asked."""
        from ray.autoscaler.sdk import request_resources

        try:
            request_resources(bundles=bundles)
        except Exception as error:  # gRPC's and Ray's own; without more nodes the run goes on
            return f"{type(error).__name__}: {error}".splitlines()[0]
        return ""


def cluster_resources() -> dict[str, float]:
    """Return the resources of the cluster that Ray is connected to."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray's
    return resources


def cluster_nodes() -> dict[str, dict[str, str]]:
    """Return the nodes of the cluster that are up: id -> host and resources."""
    return {
        node["NodeID"]: {
            "host": str(node["NodeManagerHostname"]),
            "resources": ", ".join(
                f"{amount:g} {name}"
                for name, amount in sorted(node["Resources"].items())
                if not name.startswith("node:")
            ),
        }
        for node in ray.nodes()  # type: ignore[no-untyped-call]  # Ray's
        if node["Alive"]
    }


def on_first_ctrl_c(action: Callable[[], None]) -> AbstractContextManager[None]:
    """Let the first Ctrl-C call `action`, and the next one do what it did before."""
    before = signal.getsignal(signal.SIGINT) or signal.SIG_DFL

    def act(*_: Any) -> None:
        signal.signal(signal.SIGINT, before)
        action()

    return _handled(signal.SIGINT, act)


def as_ctrl_c(number: signal.Signals) -> AbstractContextManager[None]:
    """Let a signal do what Ctrl-C does: schedulers of clusters end a job with SIGTERM.

    Args:
        number: of the signal.
    """

    def stop(*_: Any) -> None:
        if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):  # as in `raysearch run ... &`
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    return _handled(number, stop)


@contextmanager
def _handled(number: signal.Signals, handler: Callable[..., None]) -> Iterator[None]:
    """Let a handler receive a signal; in the main thread only, as no other one receives any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before or signal.SIG_DFL)
