"""TensorBoard event files: each trial's curves, and its settings and scores for the HParams tab.

It is apart because it needs the `tensorboard` package. Each trial has a folder. Its latest file
holds exactly what `TensorBoardWriter._events` yields for the trial's record so far.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import (
    HParamsPluginData,
    SessionEndInfo,
    SessionStartInfo,
)
from tensorboard.summary.writer.record_writer import RecordWriter

from .. import tasks
from ..errors import InputError
from ..run_folder import Record
from ..storage import empty_file, file_inside, folder_inside, inside, open_regular, replaced
from ..study import Study, TaskStudy
from . import formatting
from .leaderboard import counted_score
from .paper_table import hyperparameter_values, table_settings

FOLDER = "tensorboard"
HEAD = 4  # events of a file before those of reports
_TAIL_BYTES = 2**20  # at the end of a file; the end of a session is there
_FILE_NAME = re.compile(r"events\.out\.tfevents\.(\d{10})")


class TensorBoardWriter:
    """A writer that keeps a run's event files up to date with its records.

    It ignores a file that could not be written, because `export.write_exports` can make it from
    the journal.

    Attributes:
        folder: the run folder.
        study: the study of the run.
    """

    def __init__(self, folder: Path, study: Study) -> None:
        self.folder, self.study = folder, study
        self._experiment = _experiment(study)
        # Running trial -> its attempt, the number of events written, and its file.
        self._open_files: dict[str, tuple[int, int, Path]] = {}

    def report(self, record: Record) -> None:
        """Write a trial's new reports."""
        # The entry is removed first. After a failure the end of the file is unknown, and a new file
        # is written.
        attempt, written, path = self._open_files.pop(record.id, (None, 0, Path()))
        with suppress(OSError, InputError):
            if attempt == record.attempts and written <= HEAD + len(record.reports):
                events = list(self._events(record, written))
                _append(path, events)
            else:
                written, events = 0, list(self._events(record))
                path = self._write_new(record, events)
            self._open_files[record.id] = (record.attempts, written + len(events), path)

    def end(self, record: Record) -> None:
        """Write an ended trial's last reports and its final scores."""
        self.report(record)
        self._open_files.pop(record.id, None)

    def rebuild(self, record: Record) -> None:
        """Write an ended trial's file if it is missing or unfinished.

        Raises:
            InputError: a link or a special file is in the place of a file.
        """
        files = self._files(record)
        ended = metadata.SESSION_END_INFO_TAG.encode()
        if record.is_over and not (files and ended in _tail(files[-1])):
            self.end(record)

    def _path_parts(self, record: Record) -> tuple[str, str, str]:
        """Return the names of the folders from the run folder to a trial's event files.

        TensorBoard sorts them as texts, so numbers have zeros before them; a trial that
        has a folder without them keeps it.
        """
        slug = tasks.slug_of(record.task)
        old = f"{record.phase}-{record.number}-{record.id}"
        if inside(self.folder, slug, FOLDER, old).is_dir():
            return slug, FOLDER, old
        return slug, FOLDER, f"{record.phase}-{record.number:04d}-{record.id}"

    def _files(self, record: Record) -> list[Path]:
        """Return a trial's event files in the order of their numbers."""
        parts = self._path_parts(record)
        names = [path.name for path in inside(self.folder, *parts).glob("events.out.tfevents.*")]
        names = sorted(name for name in names if _FILE_NAME.fullmatch(name))
        return [file_inside(self.folder, *parts, name) for name in names]

    def _write_new(self, record: Record, events: list[Event]) -> Path:
        """Write all events of a trial to a new file, and empty its earlier files.

        The new file has a higher number, so that a running TensorBoard continues with it. It begins
        with the start of a session, which makes TensorBoard discard what it has read. The earlier
        files stay, without content, because TensorBoard fails on a file that is gone.

        Returns:
            The new file.
        """
        old, folder = self._files(record), folder_inside(self.folder, *self._path_parts(record))
        number = 1 + (int(old[-1].name.rpartition(".")[2]) if old else 0)
        path = folder / f"events.out.tfevents.{number:010d}"
        with replaced(path) as staged:
            _append(staged, events)
        for old_path in old:
            empty_file(old_path)
        return path

    def _events(self, record: Record, written: int = 0) -> Iterator[Event]:
        """Yield the events of a trial in order; further reports only add events at the end.

        Args:
            record: the trial.
            written: how many of them are left out: none, or HEAD and those of some reports.
        """
        if not written:
            yield from self._head(record)
        for report in record.reports[max(0, written - HEAD) :]:
            scores = {n.replace(".", "/", 1): x for n, x in report.scores.items()}
            values = {"train/loss": report.loss, "train/learning_rate": report.rate}
            values |= {f"train/{name}": x for name, x in report.terms.items()}
            if report.switched is not None:
                values["train/words_switched"] = report.switched
            yield _scalar_event(report.at, report.step, {**scores, **values})
        if not record.is_over:
            return
        ended = record.ended or 0.0
        step = record.reports[-1].step if record.reports else 0
        score = counted_score(self.study.resolve(record.task), record)
        yield _scalar_event(ended, step, {"score": score, **_final_scores(record)})
        status = api_pb2.STATUS_FAILURE if record.status == "failed" else api_pb2.STATUS_SUCCESS
        end = SessionEndInfo(status=status, end_time_secs=ended)
        yield _hparams_event(ended, metadata.SESSION_END_INFO_TAG, session_end_info=end)

    def _head(self, record: Record) -> Iterator[Event]:
        """Yield the HEAD events before a trial's reports: its session's start and settings."""
        began = record.start_time
        yield Event(wall_time=began, file_version="brain.Event:2")
        yield Event(wall_time=began, session_log=SessionLog(status=SessionLog.START))
        # The name in the HParams tab, which shows some 15 characters. Trials with the same name,
        # of several run folders, would be one row: the id tells them apart.
        task = record.task.rpartition("/")[2]
        name = f"{task} {record.number:04d} {record.phase} {record.id}"
        start = SessionStartInfo(start_time_secs=began, group_name=name)
        for name, value in self._settings(record).items():
            kind = "number_value" if isinstance(value, int | float) else "string_value"
            setattr(start.hparams[name], kind, value)
        yield _hparams_event(began, metadata.EXPERIMENT_TAG, experiment=self._experiment)
        yield _hparams_event(began, metadata.SESSION_START_INFO_TAG, session_start_info=start)

    def _settings(self, record: Record) -> dict[str, float | str]:
        """Return a trial's hyperparameters: as numbers in numeric columns, else as text."""
        hyper = hyperparameter_values(self.study.resolve(record.task), record)
        kinds = {info.name: info.type for info in self._experiment.hparam_infos}
        return {
            name: float(hyper[name])
            if kind == api_pb2.DATA_TYPE_FLOAT64
            else formatting.format_setting(hyper[name])
            for name, kind in kinds.items()
            if name in hyper and (hyper[name] is not None or kind != api_pb2.DATA_TYPE_FLOAT64)
        }


def _experiment(study: Study) -> api_pb2.Experiment:
    """Return the columns of the HParams tab, which are the same for all trials of a study."""
    infos = []
    for name in table_settings(study):
        values = [
            value for task in study.tasks for value in _possible_values(study.resolve(task), name)
        ]
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        info = api_pb2.HParamInfo(name=name, type=api_pb2.DATA_TYPE_STRING)
        if numbers:
            info.type = api_pb2.DATA_TYPE_FLOAT64
            info.domain_interval.min_value = min(values)
            info.domain_interval.max_value = max(values)
        else:
            info.domain_discrete.extend(list(dict.fromkeys(map(formatting.format_setting, values))))
        info.differs = len({formatting.format_setting(value) for value in values}) > 1
        infos.append(info)
    names = dict.fromkeys(
        f"{which}/{name}"
        for which in ("best", "last")
        for task in map(study.task, study.tasks)
        for metric in task.metrics
        for name in formatting.dev_names(task, metric)
    )
    metrics = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in ("score", *names)]
    return api_pb2.Experiment(name=study.name, hparam_infos=infos, metric_infos=metrics)


def _possible_values(task: TaskStudy, name: str) -> tuple[Any, ...]:
    """Return the values of a choice, both ends of a range, or the fixed value."""
    if name in task.space:
        return task.space[name].ends
    return (task.shared.model_dump()[name],)


def _final_scores(record: Record) -> dict[str, float]:
    """Return all scores at the best and at the last evaluation, by the names of the metrics."""
    return {
        f"{which}/{name.removeprefix('dev.')}": score
        for which in ("best", "last")
        for name, score in getattr(record, which).items()
    }


def _scalar_event(time: float, step: int, values: Mapping[str, float | None]) -> Event:
    """Return an event with the values that are not None, at a Unix time."""
    known = [Summary.Value(tag=tag, simple_value=x) for tag, x in values.items() if x is not None]
    return Event(wall_time=time, step=step, summary=Summary(value=known))


def _hparams_event(time: float, tag: str, **content: Any) -> Event:
    """Return an event of the HParams plugin, at a Unix time."""
    summary = metadata.create_summary_metadata(HParamsPluginData(**content))
    value = Summary.Value(tag=tag, metadata=summary, tensor=metadata.NULL_TENSOR)
    return Event(wall_time=time, summary=Summary(value=[value]))


def _tail(path: Path) -> bytes:
    """Return the last `_TAIL_BYTES` bytes of a file."""
    with open_regular(path) as file:
        file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
        return file.read(_TAIL_BYTES)


def _append(path: Path, events: list[Event]) -> None:
    with open_regular(path, write=True) as file:
        records = RecordWriter(file)
        for event in events:
            records.write(event.SerializeToString())
