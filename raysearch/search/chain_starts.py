"""The weights from which tasks with `from` start, in the run folder, and when they may be read.

It is apart from the queue, which decides by the records alone, and from the preparation, which
reads folders of models, whoever made them.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, Problem
from ..results.leaderboard import is_complete, lacks_start, start_of, starts_of
from ..results.start_notes import start_text
from ..run_folder import Record, Records
from ..run_folder.opening import PROVENANCE
from ..run_folder.outcomes import has_model
from ..study import Study, TaskStudy
from .kept_weights import find_weights, is_adapter_folder
from .provenance import add_facts
from .winner_folders import make_whole

if TYPE_CHECKING:  # imports Ray
    from .data_preparation import BackgroundPreparation

Starts = dict[str, Path]  # id of a trial -> the folder of its weights, the most common one first


def start_folders(folder: Path, task: TaskStudy, records: Records) -> Starts:
    """Return where the weights are that a task's trials start from, as far as they are there."""
    first = start_of(task, records, task.study.search.seed)
    known = [*([first] if first else []), *starts_of(task, records)]
    found = {start.id: find_weights(folder, start) for start in known if has_model(start.status)}
    return {identity: path for identity, path in found.items() if path is not None}


def lost_starts(folder: Path, study: Study, records: Records) -> list[Problem]:
    """Return a problem for each task that goes on from weights that are not in the run folder."""
    incomplete = [t for t in map(study.resolve, study.tasks) if not is_complete(t, records)]
    return [p for task in incomplete for p in _lost_start(folder, task, records)]


def _lost_start(folder: Path, task: TaskStudy, records: Records) -> Iterator[Problem]:
    """Yield the problem of a task if weights that it starts from are known and not there.

    Those of reused trials are no problem: they are copied or trained again.
    """
    if lost := [s for s in _without_weights(folder, task, records) if not s.reused_from]:
        text = (
            f"starts from trial {', '.join(start.id for start in lost)} of {lost[0].task}, whose"
            " weights are not in the run folder: put them back, or begin another run, which trains"
            f" {lost[0].task} again"
        )
        yield Problem(location=task.name, text=text)


def _without_weights(folder: Path, task: TaskStudy, records: Records) -> list[Record]:
    """Return the trials that a task starts from whose weights are not in the run folder."""
    folders = start_folders(folder, task, records)
    starts = [start for start in starts_of(task, records) if has_model(start.status)]
    return [start for start in starts if start.id not in folders]


def whole_starts(folder: Path, task: TaskStudy, records: Records) -> Starts:
    """Return `start_folders`, with adapters merged into their model where they lie.

    Raises:
        InputError: the model is another one now, or cannot be read.
    """
    starts = start_folders(folder, task, records)
    for path in starts.values():
        if task.source is not None and is_adapter_folder(path):
            make_whole(folder, path, task.source, records, path)
    return starts


class ChainStarts:
    """The tasks of a session that wait for another task's winner.

    Args:
        folder: the run folder.
        study: what is searched.
        records: its trials, which change as they run.
        note: called with a line for the log.
    """

    def __init__(
        self, folder: Path, study: Study, records: Records, note: Callable[[str], None]
    ) -> None:
        self.folder, self.study, self.records, self.note = folder, study, records, note
        incomplete = [n for n in study.tasks if not is_complete(study.resolve(n), records)]
        self.ready = [name for name in incomplete if study.resolve(name).source is None]
        self.waiting = [name for name in incomplete if name not in self.ready]

    def prepare(self, preparation: "BackgroundPreparation") -> None:
        """Let the tasks be prepared whose starts have become known; note those that have none.

        If weights are not there, that is the preparation's error: Tune would hide one that is
        raised.
        """
        try:
            self._prepare(preparation)
        except (OSError, InputError) as error:
            preparation.error = error

    def _prepare(self, preparation: "BackgroundPreparation") -> None:
        for name in list(self.waiting):
            task = self.study.resolve(name)
            if lacks_start(task, self.records):
                self.waiting.remove(name)
            elif start_of(task, self.records, self.study.search.seed) is not None:
                if problems := [*_lost_start(self.folder, task, self.records)]:
                    raise InputError(self.study.name, problems)
                if _without_weights(self.folder, task, self.records):
                    continue
                self.waiting.remove(name)
                preparation.add(name, whole_starts(self.folder, task, self.records))
            else:
                continue
            self.note(f"{name}: {start_text(task, self.records)}")
            self._record(task)

    def _record(self, task: TaskStudy) -> None:
        """Write to the provenance which trials a task starts from."""
        assert task.source is not None
        trials = [start.id for start in starts_of(task, self.records)]
        facts = {"task": task.source.name, "trials": trials}
        try:
            add_facts(self.folder, {"starts": {task.name: facts}})
        except (OSError, InputError) as error:  # the run goes on; the journal has them too
            self.note(f"{PROVENANCE}: what {task.name} starts from is not written: {error}")
