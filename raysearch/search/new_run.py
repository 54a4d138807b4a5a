"""The folder of a new run: where it goes, whether it is taken, and how a start is undone.

It is apart from `run_study` because it only knows files: what a run trains does not matter here.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, Problem, printable, shorten
from ..preflight import Lanes
from ..run_folder import JOURNAL_NAME, TORN_NAME, Journal, Records, opening, read_journal
from ..run_folder.remote_files import resume_command
from ..storage import (
    MARKER,
    file_inside,
    kind_of,
    mark,
    name_problem,
    owner,
    remove_known,
    write_atomically,
)
from ..storage.uris import is_remote
from ..study import Study
from .provenance import provenance, write_facts
from .remote_sync import RemoteSync

RAY_ERROR = "ray-error.txt"  # the traceback of the error with which Ray failed


@dataclass(frozen=True, kw_only=True)
class RunLocation:
    """Where a new run goes.

    Attributes:
        folder: the run folder on this machine.
        remote: keeps a copy at a URI; None where the run was given a folder.
        taken: what to report if a run is there already.
    """

    folder: Path
    remote: RemoteSync | None
    taken: Problem

    @classmethod
    def of(cls, location: str) -> "RunLocation":
        """Return the location that a path or URI names.

        Raises:
            InputError: the URI cannot be reached.
        """
        remote = RemoteSync(location) if is_remote(location) else None
        text = (
            f"'{location}' is there already; go on with `{resume_command(location)}`, or"
            " give the run another name (--name)"
        )
        return cls(
            folder=remote.folder if remote else Path(location),
            remote=remote,
            taken=Problem(location="run folder", text=text),
        )

    def problems(self, *, probe: bool = True) -> list[Problem]:
        """Return the problem if anything is there but a run that never began a trial.

        Where nothing is at a URI, also the problem if no file can be written there.

        Args:
            probe: write a file at a URI and delete it, to see whether that can be done.
        """
        if _is_taken(self.folder) or (self.remote is not None and self.remote.exists):
            return [self.taken]
        return self.remote.problems() if self.remote and probe else []


def location_problems(storage: str, name: str) -> list[Problem]:
    """Return what is wrong with the storage and the name of a run folder, as texts."""
    problems = []
    if not storage.strip() or printable(storage) != storage:
        text = f"a folder or a URI is needed, without control characters, got {storage!r}"
        problems.append(Problem(location="storage", text=text))
    if problem := name_problem(name):
        text = f"{shorten(repr(name))} cannot name a run folder: {problem}; --name gives another"
        problems.append(Problem(location="name", text=text))
    return problems


def has_begun(records: Records) -> bool:
    """Return whether any trial was trained, or has ended."""
    return any(record.attempts or record.is_over for record in records.trials.values())


def remove_abandoned(folder: Path) -> None:
    """Remove what a start left that was killed before its first trial.

    Raises:
        InputError: its process still runs.
    """
    if is_abandoned(folder):
        with closing(Journal(folder)):
            remove_start(folder, owner(folder))


def remove_start(folder: Path, run: str | None) -> None:
    """Remove what the start of this run has written, and the folder if it is then empty.

    Args:
        folder: the run folder; if it is a link, it stays.
        run: id of the run; nothing is removed from a folder of another run.
    """
    if run is not None and owner(folder) == run:
        remove_known(folder, _start_names(folder))


def _is_taken(folder: Path) -> bool:
    return folder.exists() and any(folder.iterdir()) and not is_abandoned(folder)


def is_abandoned(folder: Path) -> bool:
    """Return whether a start was killed in a folder before its first trial.

    A run has marked the folder, and nothing but a start's files are in it; or the start was killed
    so early that it has only written an empty journal.
    """
    if not folder.is_dir():
        return False
    names = {path.name for path in folder.iterdir()}
    if names == {JOURNAL_NAME}:
        journal = folder / JOURNAL_NAME
        return kind_of(journal) == "a file" and not journal.stat().st_size
    if owner(folder) is None or names - set(_start_names(folder)):
        return False
    with suppress(InputError):
        return not has_begun(read_journal(folder))
    return False


def _start_names(folder: Path) -> list[str]:
    """Return the names of what a start leaves in its folder.

    The marker comes last: as long as it is there, the others may be removed.
    """
    staged = [path.name for path in folder.glob(".*.writing")]
    return [
        *staged,
        opening.STUDY,
        opening.PROVENANCE,
        opening.LOCK,
        RAY_ERROR,
        JOURNAL_NAME,
        TORN_NAME,
        "checkpoints",
        MARKER,
    ]


def write_new_run(
    folder: Path,
    study: Study,
    study_text: str,
    data: Path,
    content: dict[str, str],
    lanes: Lanes,
    reuse: Sequence[str] = (),
    duplicates: Mapping[str, Any] | None = None,
) -> str:
    """Write the first files of a run folder and return the run's id."""
    run_id = mark(folder)
    write_atomically(file_inside(folder, opening.STUDY), study_text)
    facts = {"data": str(data.resolve()), "content": content, "lanes": asdict(lanes)}
    facts |= {"reuse": list(reuse)} if reuse else {}
    facts |= {"duplicates": dict(duplicates)} if duplicates else {}
    write_facts(folder, provenance(study) | facts)
    return run_id
