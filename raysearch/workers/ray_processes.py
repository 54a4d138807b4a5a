"""Ray's own processes on the driver's node, found and started by private parts of Ray.

A cluster of this machine starts in half the time without the processes that it does not need, and
its lanes without runtime environments: for these Ray starts Python twice, and leaves the processes
unused that it has started ahead.

It is apart from `ray_internals`, which asks a cluster that is up.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from ray import _raylet
from ray._private import parameter, services, worker

_COMPILED: Any = _raylet  # has no types
AGENT = "--dashboard_agent_command="
AGENT_PORTS = (
    _COMPILED.METRICS_AGENT_PORT_NAME,
    _COMPILED.METRICS_EXPORT_PORT_NAME,
    _COMPILED.DASHBOARD_AGENT_LISTEN_PORT_NAME,
)


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


def worker_environment(threads: int = 1) -> dict[str, str]:
    """Return the environment variables of a lane's workers.

    Args:
        threads: of torch.
    """
    return {
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "passive",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
    }


@contextmanager
def small_cluster() -> Iterator[None]:
    """Start a cluster of this machine whose processes have the environment of single-core workers.

    It goes without what would only wait in it: the autoscaler, which has no nodes to add; the log
    monitor, as the driver shows no logs; the dashboard's process, which starts even without a
    dashboard; and the dashboard's agent, for metrics that nobody reads. Ray waits for the last two
    before it starts any worker, and for the agent of runtime environments, unless it is told its
    port. Where Ray does not know these parameters any more, starting it raises TypeError.
    """
    parameters, dashboard = parameter.RayParams, services.start_api_server
    start = services.start_ray_process
    options: dict[str, Any] = {
        "no_monitor": True,
        "include_log_monitor": False,
        "env_vars": worker_environment(),
        "runtime_env_agent_port": _free_port(),
    }

    def start_process(command: list[str], *positional: Any, **options: Any) -> Any:
        return start(_without_dashboard_agent(command), *positional, **options)

    parameter.RayParams = partial(parameters, **options)  # type: ignore[assignment,misc]
    services.start_api_server = lambda *_, **__: (None, None)  # as where it does not start
    services.start_ray_process = start_process
    try:
        yield
    finally:
        parameter.RayParams = parameters  # type: ignore[misc]
        services.start_api_server, services.start_ray_process = dashboard, start


def _free_port() -> int:
    """Return a port that is free now. Where another program takes it first, Ray does not start."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
    return port


def _without_dashboard_agent(command: list[str]) -> list[str]:
    """Return the command of a process of Ray; a raylet gets `idle_agent` as its dashboard agent.

    A raylet waits until its agent has told its ports, and ends with it. -1 stands for no service,
    as Ray's own agent says where the packages of the dashboard are missing.
    """
    agents = [word for word in command if word.startswith(AGENT)]
    if not agents:
        return command
    options = dict(word.split("=", 1) for word in command if word.startswith("--") and "=" in word)
    for port in AGENT_PORTS:
        _COMPILED.persist_port(options["--session_dir"], options["--node_id"], port, -1)
    idle = subprocess.list2cmdline([sys.executable, "-S", "-E", idle_agent_path()])
    return [f"{AGENT}{idle}" if word in agents else word for word in command]


def idle_agent_path() -> str:
    """Return the file of the program that takes the place of the dashboard agent."""
    return str(Path(__file__).with_name("idle_agent.py"))


def have_environment(variables: Mapping[str, str]) -> bool:
    """Return whether all processes of the cluster have these environment variables already.

    That is known of a cluster that this process has started, whose raylet has them.
    """
    raylet = own_raylet()
    if raylet is None:
        return False
    try:
        content = Path(f"/proc/{raylet}/environ").read_bytes().split(b"\0")
    except OSError:  # it has died, or this is not Linux
        return False
    return {f"{name}={value}".encode() for name, value in variables.items()} <= set(content)


@contextmanager
def inherited_environment(inherited: bool) -> Iterator[None]:
    """Let Tune start actors without a runtime environment while this is entered.

    Tune's has variables of the driver, which the processes of a cluster of this machine inherit.

    Args:
        inherited: whether they do.
    """
    from ray.tune.execution import class_cache  # loads Tune

    variables = class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE
    if inherited:
        class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, set()
    try:
        yield
    finally:
        class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = variables


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
