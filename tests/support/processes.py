"""The command in processes of its own, and what these have reported."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from raysearch import run_folder


def start(folder: Path, *command: str, **options: bool) -> subprocess.Popen:
    """The command line in a process of its own, its output in a file; options are Popen's."""
    code = "from raysearch.cli.commands import main; main()"
    with (folder / "out.txt").open("a") as out:
        return subprocess.Popen(
            [sys.executable, "-c", code, *command], stdout=out, stderr=out, cwd=folder, **options
        )


def reports(run: Path) -> int:
    path = run / run_folder.JOURNAL_NAME
    return path.read_text().count('"event":"report"') if path.exists() else 0


def wait_for_reports(run: Path, count: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 360
    while reports(run) < count:
        assert process.poll() is None, (run.parent.parent / "out.txt").read_text()[-3000:]
        assert time.monotonic() < deadline, "no progress"
        time.sleep(0.1)


def descendants(parent: int, title: str) -> Iterator[int]:
    """Processes below `parent` whose title begins so."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    below = {parent}
    for _ in range(8):
        below |= {int(pid) for pid, ppid, _ in rows if int(ppid) in below}
    yield from (int(pid) for pid, _, args in rows if int(pid) in below and args.startswith(title))
