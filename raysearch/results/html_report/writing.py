"""Writes the page of a run: once, or again and again while the run goes on.

It is apart from the page because it reads the run folder and knows the time.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ...errors import InputError
from ...run_folder import Records, opening, refuse_running
from ...storage import file_inside, write_atomically
from ..leaderboard import is_complete
from ..run_results import RunResults, read_run
from .page import PageContent, make_page

REPORT = "report.html"


def write_report(
    run: RunResults, to: Path | None = None, *, running: bool, refresh: int | None = None
) -> Path:
    """Write the page of a run.

    Args:
        run: what was read from the run folder.
        to: the file; report.html in the run folder by default.
        running: whether the run goes on.
        refresh: seconds after which a browser loads the page again; None for never.

    Returns:
        The file.

    Raises:
        InputError: a link or a folder is in the file's place in the run folder.
        OSError: it cannot be written; the previous file is complete and unchanged.
    """
    path = to or file_inside(run.folder, REPORT)
    complete = all(is_complete(run.study.resolve(name), run.records) for name in run.study.tasks)
    facts = {}
    with suppress(InputError):
        facts = opening.read_provenance(run.folder)
    content = PageContent(
        study=run.study,
        records=run.records,
        intervals=run.intervals,
        table=run.table,
        facts=facts,
        state="complete" if complete else "running" if running else "not finished",
        times=_times(run.records),
        refresh=refresh,
    )
    write_atomically(path, make_page(content))
    return path


def is_running(folder: Path) -> bool:
    """Return whether a process on this machine is writing the journal of a folder."""
    try:
        refuse_running(folder)
    except InputError:
        return True
    return False


def watch_report(
    folder: Path, to: Path | None, seconds: int, note: Callable[[str], None] | None = None
) -> Path:
    """Write the page of a run every so many seconds, until the run ends or Ctrl-C.

    Args:
        folder: the run folder.
        to: see `write_report`.
        seconds: between two pages; a browser loads the page again as often.
        note: see `read_run`.

    Returns:
        The file; its last state does not refresh itself.
    """
    with suppress(KeyboardInterrupt):
        while is_running(folder):
            write_report(read_run(folder), to, running=True, refresh=seconds)
            time.sleep(seconds)
    return write_report(read_run(folder, note=note), to, running=is_running(folder))


def _times(records: Records) -> dict[str, str]:
    """Return the times of the page's head, in UTC."""
    times = {"written": _time_text(time.time())}
    if records.sessions:
        last = max(session.until or session.at for session in records.sessions)
        times = {
            "began": _time_text(records.sessions[0].at),
            "last event": _time_text(last),
            **times,
        }
    return times


def _time_text(at: float) -> str:
    with suppress(OverflowError, ValueError, OSError):
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
    return "unknown"
