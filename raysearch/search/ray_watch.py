"""A thread that notices when Ray's own processes on the driver's node die, and a last word.

It is apart because nothing else can say it: some time after such a death Ray's C++ code ends the
driver's process, with lines that name no remedy. A raylet that is asked to end, as by `ray stop`,
takes the object store along, and within 0.1 s the C++ code calls _exit(1) at the next use of it: no
Python runs after that, in this process.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from ..error_pages import FAULTS
from ..errors import RaysearchError, printable
from ..run_folder.remote_files import resume_command
from ..workers.ray_processes import end_agents, local_processes, own_raylet

INTERVAL = 0.5  # seconds between two looks
GRACE = 5.0  # seconds that the run has to end by itself; a raylet's death ends a driver in 13
NAMES = {"raylet": "the raylet", "gcs_server": "the GCS"}
# Prints its argument if its input ends without a line. A live panel has hidden a terminal's cursor.
_SHELL = r"""
read -r line && exit
[ -t 2 ] && printf '\033[?25h' >&2
printf '\n%s\n' "$1" >&2
"""


class LastWord:
    """A process that says how to go on if this one ends before it has closed it.

    Args:
        text: what it says, on the error output.
    """

    def __init__(self, text: str) -> None:
        command = ["sh", "-c", _SHELL, "sh", printable(text, lines=True)]
        # In a session of its own it outlives what a terminal or `timeout` sends to the run.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def close(self) -> None:
        """Let it end without a word."""
        self._process.communicate(b"\n")


class RayWatch:
    """A watch over the raylet and the GCS of this node.

    Args:
        folder: the run folder, for the message.

    Attributes:
        error: what the death of one of them means; None while they live.
        ends_ray: whether this process's connection to Ray, and with it every lane, ends with the
            run: it was not there before.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.ends_ray = folder, not ray.is_initialized()
        self.error: RaysearchError | None = None
        self._processes: dict[str, int] = {}
        self._own_raylet: int | None = None
        self._ended = threading.Event()
        self._last_word: LastWord | None = None

    def start(self) -> None:
        """Begin to watch; Ray must be up."""
        text = "the run's process was killed, or ended by Ray, whose processes here have died"
        self._last_word = LastWord(str(ray_failure(self.folder, text)))
        self._processes, self._own_raylet = local_processes(), own_raylet()
        threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """Watch no longer, as Ray will be shut down; after a death the run must still end."""
        if self.error is None:
            self._ended.set()

    def end(self) -> None:
        """Let the process live: the run has ended."""
        self._ended.set()
        if self._last_word is not None:
            self._last_word.close()

    def _watch(self) -> None:
        """Wait for the first death; end this process if the run does not end after it."""
        while not self._ended.wait(INTERVAL):
            dead = [NAMES[name] for name, pid in self._processes.items() if not is_alive(pid)]
            if dead:
                text = f"Ray's processes on this machine have died: {' and '.join(dead)}"
                self.error = ray_failure(self.folder, text)
                if self._own_raylet is not None:
                    end_agents(self._own_raylet)
                if not self._ended.wait(GRACE):
                    print(f"\n{self.error}", file=sys.stderr, flush=True)
                    if self._last_word is not None:
                        self._last_word.close()
                    os._exit(2)
                return


def ray_failure(folder: Path, text: str) -> RaysearchError:
    """Return the error that ends a run when Ray has failed: what it was, and how to go on."""
    return RaysearchError(
        f"{folder}: {text}\n"
        f"the trials that have ended are kept; go on with: {resume_command(folder)}",
        page=FAULTS,
    )


def is_alive(pid: int) -> bool:
    """Return whether a process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@contextmanager
def watched(folder: Path) -> Iterator[RayWatch]:
    """Give a watch that ends with the block, in which Ray is started and shut down."""
    watch = RayWatch(folder)
    try:
        yield watch
    finally:
        watch.end()
