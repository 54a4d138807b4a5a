"""Ray's own processes on the driver's node, found and started by private parts of Ray.

It is apart from `ray_internals`, which asks a cluster that is up.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from ray._private import parameter, services, worker


@contextmanager
def own_sessions() -> Iterator[None]:
    """Start Ray's processes in sessions of their own while this is entered.

    A signal to the process group of the driver, as `timeout` and SLURM send it, does not end them
    then; they end with the driver.
    """
    start = services.ConsolePopen
    services.ConsolePopen = partial(start, start_new_session=True)  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        services.ConsolePopen = start  # type: ignore[misc]


@contextmanager
def without_idle_services() -> Iterator[None]:
    """Start a cluster of this machine without its autoscaler and its log monitor.

    The first has no nodes to add, and the second reads logs that the driver does not show. Where
    Ray does not know these parameters any more, starting it raises TypeError.
    """
    parameters = parameter.RayParams
    unused: dict[str, Any] = {"no_monitor": True, "include_log_monitor": False}
    few = partial(parameters, **unused)
    parameter.RayParams = few  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        parameter.RayParams = parameters  # type: ignore[misc]


def own_raylet() -> int | None:
    """Return the pid of the raylet that this process has started; None if it has joined one."""
    node: Any = worker._global_node
    started = node.all_processes.get("raylet") if node is not None else None
    return int(started[0].process.pid) if started else None


def end_agents(raylet: int) -> None:
    """End the agents of a raylet that still lives; without a GCS they would stay for a minute."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            title = path.with_name("cmdline").read_bytes()
            if parent == raylet and title.startswith((b"ray::DashboardAgent", b"ray::RuntimeEnv")):
                os.kill(int(path.parent.name), signal.SIGKILL)


def local_processes() -> dict[str, int]:
    """Return the pids of the raylet and the GCS on the driver's node; a GCS elsewhere is left out.

    They are found by their command lines, whoever started them: the raylet by its socket, as a
    host may have others of the same session.
    """
    node: Any = worker._global_node
    marks = {
        "raylet": f"--raylet_socket_name={node.raylet_socket_name}",
        "gcs_server": node.session_name,
    }
    found: dict[str, int] = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            program, *arguments = path.read_bytes().decode(errors="replace").split("\0")
            name = program.rpartition("/")[2]
            if name in marks and any(marks[name] in argument for argument in arguments):
                found[name] = int(path.parent.name)
    return found
