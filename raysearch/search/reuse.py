"""Trials of other runs that answer those of this one.

A trial's id is a hash of everything that decides its result, so that a trial with the same id in
another run folder has the same result. This is apart from the queue because it reads the folders of
other runs, which nothing here changes.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from .. import study as studies
from ..errors import InputError, Problem
from ..run_folder import Record, Records, dev_predictions, opening
from ..run_folder.outcomes import counts, has_model
from ..run_folder.remote_files import local_copy
from ..run_folder.trial_identity import origin_of
from ..storage import kind_of, mark, read_json, staged_folder
from ..storage.uris import is_remote
from ..study import Study
from .kept_weights import find_weights, run_of, trial_facts

ALL = "all"
_MODEL_FILES = (".json", ".safetensors", ".txt", ".model")  # ends of what is copied with weights


@dataclass(frozen=True, kw_only=True)
class OtherRun:
    """A run whose trials may be reused.

    Attributes:
        name: of its folder, or its URI.
        folder: where it is on this machine.
        study: what it has searched.
        records: its trials.
        content: task -> identity of the data and model of its trials.
    """

    name: str
    folder: Path
    study: Study
    records: Records
    content: Mapping[str, str]

    @classmethod
    def read(cls, location: str | Path) -> "OtherRun":
        """Read a run folder.

        Args:
            location: the folder, or its URI.

        Raises:
            InputError: it is none, or damaged, or of another version.
        """
        folder = local_copy(location, weights=True)
        if kind_of(folder) != "a folder":
            text = f"there is no run folder '{location}'{opening.near_runs(folder)}"
            raise InputError(str(location), [Problem(location="run folder", text=text)])
        opening.read_provenance(folder)
        study = studies.load(opening.study_file(folder))
        records, origin = opening.read_records(folder, study), origin_of(folder)
        assert origin is not None, "a provenance that was read"
        if origin.version != __version__:
            text = f"trained by raysearch {origin.version}, this is {__version__}: not comparable"
            raise InputError(str(location), [Problem(location="version", text=text)])
        name = str(location) if is_remote(str(location)) else folder.resolve().name
        return cls(name=name, folder=folder, study=study, records=records, content=origin.content)

    def predictions(self, record: Record) -> bytes | None:
        """Return the file of a trial's kept dev predictions; None without a whole one."""
        try:
            if dev_predictions.read(self.folder, record, self.study.task(record.task)) is None:
                return None
            return dev_predictions.path_of(self.folder, record).read_bytes()
        except (InputError, OSError):
            return None

    def weights(self, record: Record) -> Path | None:
        """Return the folder of a trial's weights; None if they were not kept."""
        try:
            return find_weights(self.folder, record)
        except InputError:  # a link leads out of the run folder
            return None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A trial of another run that has the id of one of this run.

    Attributes:
        run: the other run.
        record: the trial there.
        predictions: the file of its kept dev predictions; None if none are needed.
    """

    run: OtherRun
    record: Record
    predictions: bytes | None = None


class Reuse:
    """The trials that other runs can answer.

    Args:
        study: the study of this run.
        runs: the others; of equal trials the first one's counts.
        notes: on runs that are left out.

    Attributes:
        note: called with a line for the log.
        notes: see above.
    """

    note: Callable[[str], None] = staticmethod(lambda line: None)

    def __init__(
        self, study: Study, runs: Iterable[OtherRun] = (), notes: Sequence[str] = ()
    ) -> None:
        self.study, self.notes = study, notes
        self._answers: dict[str, list[tuple[OtherRun, Record]]] = {}
        for run in runs:
            for record in run.records.trials.values():
                if _is_whole(record) and _selects_alike(study, run.study, record.task):
                    self._answers.setdefault(record.id, []).append((run, record))

    def answer(self, record: Record, *, predictions: bool) -> Answer | None:
        """Return what answers a trial of this run; None if it has to be trained.

        Args:
            record: the trial.
            predictions: whether its dev predictions are needed.
        """
        answers = self._answers.get(record.id, [])
        for run, other in answers:
            if not (predictions and has_model(other.status)):
                return Answer(run=run, record=other)
            if content := run.predictions(other):
                return Answer(run=run, record=other, predictions=content)
        if answers:
            name = answers[0][0].name
            self.note(f"{record.task} {record.id}: {name} kept no dev predictions of it: trained")
        return None

    def copy_weights(self, folder: Path, record: Record, place: Path) -> bool:
        """Copy the weights of a reused trial from the run that has it; return whether it has them.

        Args:
            folder: the run folder of this run.
            record: the trial.
            place: where its weights go.

        Raises:
            OSError: they cannot be written.
        """
        for run, other in self._answers.get(record.id, []):
            if (source := run.weights(other)) is not None:
                _copy_model(source, place, trial_facts(self.study, record), run_of(folder))
                return True
        return False


class OtherRuns:
    """The runs that a user names to be reused.

    Args:
        names: see `reuse_names`.
        storage: the folder of run folders.
        own: the run folder of this run; None for a new one.

    Attributes:
        names: of the runs, as they are recorded.
        problems: what is wrong with them.
    """

    def __init__(self, names: Any, storage: str | Path, own: Path | None = None) -> None:
        self.problems: list[Problem] = []
        self.names: list[str] = []
        self._runs: list[OtherRun] = []
        self._notes: list[str] = []
        try:
            self.names = reuse_names(names)
        except InputError as error:
            self.problems = list(error.problems)
        if self.names:
            self._runs, self.problems, self._notes = find_runs(self.names, storage, own)

    def answering(
        self, study: Study, content: Mapping[str, str], *, needed: bool = True
    ) -> Reuse | None:
        """Return the trials that the runs can answer; None if none is to be reused.

        Args:
            study: of this run.
            content: task -> identity of the data and model of its trials.
            needed: refuse runs that can answer nothing.

        Raises:
            InputError: a run that is named can answer no trial.
        """
        if not self.names:
            return None
        runs, problems = matching_runs(self._runs, self.names, content)
        if problems and needed:
            raise InputError(study.name, problems)
        notes = [*self._notes, *(problem.text for problem in (*self.problems, *problems))]
        return Reuse(study, runs, notes)


def find_runs(
    names: Sequence[str], storage: str | Path, own: Path | None = None
) -> tuple[list[OtherRun], list[Problem], list[str]]:
    """Return the runs that `--reuse` names.

    Args:
        names: folders and URIs of runs; "all" stands for every run folder in the storage.
        storage: the folder of run folders.
        own: the run folder of this run, which is none of them; None if it is not known.

    Returns:
        The runs; what is wrong with those that are named; notes on folders that are left out.
    """
    runs: dict[Path, OtherRun] = {}
    problems, notes = [], []
    for name in names:
        if name != ALL:
            try:
                run = OtherRun.read(name)
                if own is not None and run.folder.resolve() == own.resolve():
                    text = f"'{name}' is this run itself; another one would do"
                    raise InputError(name, [Problem(location="run folder", text=text)])
                runs[run.folder.resolve()] = run
            except InputError as error:
                texts = [f"{name}: {problem.text}" for problem in error.problems]
                problems += [Problem(location="reuse", text=text) for text in texts]
        elif is_remote(str(storage)):
            text = f"'{ALL}' looks through a folder, and the storage is a URI; name the runs"
            problems.append(Problem(location="reuse", text=text))
        else:
            for folder in opening.run_folders(Path(storage)):
                if own is not None and folder.resolve() == own.resolve():
                    continue
                try:
                    runs.setdefault(folder.resolve(), OtherRun.read(folder))
                except InputError as error:
                    notes.append(f"{folder}: not reused: {error.problems[0].text.splitlines()[0]}")
    return list(runs.values()), problems, notes


def matching_runs(
    runs: Iterable[OtherRun], names: Sequence[str], content: Mapping[str, str]
) -> tuple[list[OtherRun], list[Problem]]:
    """Return the runs that may answer a trial, and problems of others that were named.

    Args:
        runs: of `find_runs`.
        names: see there.
        content: task -> identity of the data and model of this run's trials.
    """
    matching, problems = [], []
    for run in runs:
        if any(run.content.get(task) == identity for task, identity in content.items()):
            matching.append(run)
        elif ALL not in names:
            text = f"{run.name} can answer no trial: it has other tasks, other data or other models"
            problems.append(Problem(location="reuse", text=text))
    return matching, problems


def reuse_names(names: Any) -> list[str]:
    """Return the names of runs of the option or the argument: a text, or several.

    Raises:
        InputError: it is something else, or a name is empty.
    """
    parts = names.split(",") if isinstance(names, str) else names
    parts = [parts] if isinstance(parts, Path) else parts
    is_list = isinstance(parts, list | tuple) and all(isinstance(p, str | Path) for p in parts)
    if not is_list or any(not str(part).strip() for part in parts):
        text = f"run folders or URIs are needed, or '{ALL}', got {names!r}"
        raise InputError("reuse", [Problem(location="reuse", text=text)])
    return [str(part).strip() for part in parts]


def _is_whole(record: Record) -> bool:
    """Return whether a trial can answer another: it was trained to its end and has reports."""
    return counts(record.status) and record.phase != "teach" and record.plan is not None


def _selects_alike(study: Study, other: Study, task: str) -> bool:
    """Return whether the same evaluation of a trial counts in two studies.

    So it must for the trials that it started from: it decides which weights they left.
    """
    if task not in study.tasks or study.search.select != other.search.select:
        return False
    ours, theirs = ([one.selection_metric for one in s.resolve(task).chain] for s in (study, other))
    return ours == theirs


def _copy_model(source: Path, place: Path, trial: Mapping[str, Any], run: str) -> None:
    """Copy a folder of weights, complete or not at all, with the facts of this run's trial."""
    with staged_folder(place, replace=True) as staged:
        _copy_files(source, staged)
        if kind_of(source / opening.ADAPTER) == "a folder":
            (staged / opening.ADAPTER).mkdir()
            _copy_files(source / opening.ADAPTER, staged / opening.ADAPTER)
        config = read_json(staged / "config.json")
        config["raysearch"]["trial"] = dict(trial)
        (staged / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        mark(staged, run)


def _copy_files(source: Path, target: Path) -> None:
    """Copy the files of a model between two folders, without links and what lies below."""
    for path in source.iterdir():
        if kind_of(path) == "a file" and path.suffix in _MODEL_FILES:
            shutil.copyfile(path, target / path.name, follow_symlinks=False)
