"""Ray's own processes on the driver's node, found and started by private parts of Ray.

It is apart from `ray_internals` because it imports no torch: a run starts Ray while that loads.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from ray._private import services, worker


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
