"""NVIDIA's Multi-Process Service, by which processes that share a GPU compute at the same time.

It is apart because it knows nothing of lanes: it starts a daemon of its own, and ends it. Without
MPS the processes that share a GPU take turns.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"
TIMEOUT = 20.0  # seconds that the daemon has to start, to answer and to end
MOST_PATH = 80  # characters of its folder: names of sockets end after 107
PIPES, LOGS = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"


@contextmanager
def mps_daemon(
    folder: Path, note: Callable[[str], None], wanted: bool = True
) -> Iterator[dict[str, str]]:
    """Run a daemon of MPS in a folder of its own, if that can be done here.

    Args:
        folder: for its pipes and logs; it must exist.
        note: shows a line in the log: that MPS is used, or why not.
        wanted: False for no daemon, of which nothing is said.

    Yields:
        The variables by which other processes find the daemon; none if there is none.
    """
    if not wanted:
        yield {}
        return
    if reason := _obstacle(folder):
        note(f"MPS is not used: {reason}")
        yield {}
        return
    environment = {PIPES: str(folder / "mps"), LOGS: str(folder / "mps-log")}
    for path in environment.values():
        Path(path).mkdir()
    try:  # from here on a daemon may run, whenever Ctrl-C comes
        if reason := _start(environment):
            note(f"MPS is not used: {reason}")
            yield {}
        else:
            note("NVIDIA's MPS is started: lanes that share a GPU compute at the same time")
            yield environment
    finally:
        if not _end(environment):
            note(f"the daemon of MPS did not end; see {environment[LOGS]}")


def _obstacle(folder: Path) -> str:
    """Return why no daemon can be started here; "" if nothing is in the way."""
    if shutil.which(CONTROL) is None:
        return f"there is no {CONTROL}; it comes with NVIDIA's driver"
    if directory := os.environ.get(PIPES):
        return f"{PIPES} is set to {directory}: workers use the daemon that answers there, if any"
    if (process := _running()) is not None:
        return f"a daemon of MPS runs already (process {process})"
    if len(str(folder)) > MOST_PATH:
        return f"the name of its folder is too long: {folder}; a shorter TMPDIR would do"
    return ""


def _running() -> int | None:
    """Return the id of a process of MPS on this machine, of any user; None if there is none."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):  # it has ended
            if entry.name.isdigit() and _is_mps(int(entry.name)):
                return int(entry.name)
    return None


def _is_mps(process: int) -> bool:
    """Return whether a process is the daemon or a server of MPS.

    Their names begin alike; the kernel keeps 15 characters of one.

    Raises:
        OSError: there is no such process.
    """
    name = Path(f"/proc/{process}/comm").read_bytes().strip()
    return name == CONTROL[:15].encode() and not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "Z"


def _start(environment: dict[str, str]) -> str:
    """Start the daemon; return why it does not answer, "" if it does."""
    try:
        started = _call([CONTROL, "-d"], environment)
        if started.returncode == 0:
            started = _ask(environment, "get_server_list")
    except (OSError, subprocess.SubprocessError) as error:
        return f"{CONTROL}: {error}"
    if started.returncode == 0:
        return ""
    said = (started.stderr.strip() or started.stdout.strip() or "it says nothing").splitlines()
    return f"{CONTROL} ends with code {started.returncode}: {said[-1]}"


def _end(environment: dict[str, str]) -> bool:
    """End the daemon and its servers; return whether it has ended."""
    process = _daemon(environment)
    for command in ("quit -t 5", "quit"):  # drivers before 2022 know no time limit
        with suppress(OSError, subprocess.SubprocessError):
            if _ask(environment, command).returncode == 0:
                break
    if process is None:
        return True
    if _has_ended(process, TIMEOUT / 2):
        return True
    with suppress(OSError):
        os.kill(process, signal.SIGTERM)
    return _has_ended(process, TIMEOUT / 2)


def _daemon(environment: dict[str, str]) -> int | None:
    """Return the id of the daemon's process, from its file; None if it is not known or gone."""
    with suppress(OSError, ValueError):
        process = int(Path(environment[PIPES], f"{CONTROL}.pid").read_text().split()[0])
        return process if _is_mps(process) else None
    return None


def _has_ended(process: int, seconds: float) -> bool:
    """Wait until a process of MPS has ended; return whether it has."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if not _is_mps(process):
                return True
        except OSError:
            return True
        time.sleep(0.1)
    return False


def _ask(environment: dict[str, str], command: str) -> "subprocess.CompletedProcess[str]":
    """Give the daemon a command."""
    return _call([CONTROL], environment, f"{command}\n")


def _call(
    command: list[str], environment: dict[str, str], text: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the control program in a session of its own, which Ctrl-C of a terminal does not reach.

    Its output goes to a file, since a daemon keeps it open.
    """
    with (
        Path(environment[LOGS], "out").open("w+") as out,
        Path(environment[LOGS], "err").open("w+") as err,
    ):
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            input=text,
            stdin=None if text is not None else subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            text=True,
            timeout=TIMEOUT,
            start_new_session=True,
        )
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(command, done.returncode, out.read(), err.read())
