"""TensorBoard event files: each trial's curves, and its settings and scores for the HParams tab.

Written with the `tensorboard` package alone, one folder per trial, all of it made from the
trial's record: a trial's latest file is what `Curves._events` gives so far."""

import re
from collections.abc import Iterator
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
from ..study import Study
from . import formatting
from .leaderboard import counted_score
from .paper_table import settings, values_of

FOLDER = "tensorboard"
TAIL = 2**20  # bytes at the end of a file, in which a session's end stands
_FILE = re.compile(r"events\.out\.tfevents\.(\d{10})")


class TensorBoardWriter:
    """Keeps a run's event files up to date with its records.

    A file that could not be written is no loss: `export.write` makes it from the journal.

    Args:
        folder: the run folder.
        study: what is searched.
    """

    def __init__(self, folder: Path, study: Study) -> None:
        self.folder, self.study = folder, study
        self._columns = _experiment(study)
        self._live: dict[str, tuple[int, int, Path]] = {}  # trial -> attempt, events, file

    def report(self, record: Record) -> None:
        """Show a trial's new reports."""
        events = list(self._events(record))
        # Taken out: after a failure the end of the file is not known, and it is written anew.
        attempt, written, path = self._live.pop(record.id, (None, 0, Path()))
        with suppress(OSError, InputError):
            if attempt == record.attempts and written <= len(events):
                _append(path, events[written:])
            else:
                path = self._renew(record, events)
            self._live[record.id] = (record.attempts, len(events), path)

    def end(self, record: Record) -> None:
        """Show an ended trial with its final scores."""
        self.report(record)
        self._live.pop(record.id, None)

    def rebuild(self, record: Record) -> None:
        """Write an ended trial's file where it is missing or was left unfinished.

        Raises:
            InputError: a link or a special file stands in a file's place.
        """
        files = self._files(record)
        ended = metadata.SESSION_END_INFO_TAG.encode()
        if record.is_over and not (files and ended in _tail(files[-1])):
            self.end(record)

    def _parts(self, record: Record) -> tuple[str, str, str]:
        name = f"{record.phase}-{record.number}-{record.id}"
        return tasks.get(record.task).slug, FOLDER, name

    def _files(self, record: Record) -> list[Path]:
        """Return a trial's event files in their order."""
        parts = self._parts(record)
        names = [path.name for path in inside(self.folder, *parts).glob("events.out.tfevents.*")]
        names = sorted(name for name in names if _FILE.fullmatch(name))
        return [file_inside(self.folder, *parts, name) for name in names]

    def _renew(self, record: Record, events: list[Event]) -> Path:
        """Write a trial's file anew, and empty those that were written before.

        The new one has a higher number, so that a TensorBoard that reads along goes on to it, and
        opens with the start of a session, which makes that forget what it has read. The old ones
        stay, without content: TensorBoard stumbles over a file that is gone.
        """
        old, place = self._files(record), folder_inside(self.folder, *self._parts(record))
        number = 1 + (int(old[-1].name.rpartition(".")[2]) if old else 0)
        path = place / f"events.out.tfevents.{number:010d}"
        with replaced(path) as staged:
            _append(staged, events)
        for other in old:
            empty_file(other)
        return path

    def _events(self, record: Record) -> Iterator[Event]:
        """Everything that a trial's folder shows, in order; more reports only add to the end."""
        began = record.began or record.ended or 0.0
        yield Event(wall_time=began, file_version="brain.Event:2")
        yield Event(wall_time=began, session_log=SessionLog(status=SessionLog.START))
        start = SessionStartInfo(start_time_secs=began)
        for name, value in self._settings(record).items():
            kind = "number_value" if isinstance(value, int | float) else "string_value"
            setattr(start.hparams[name], kind, value)
        yield _plugin(began, metadata.EXPERIMENT_TAG, experiment=self._columns)
        yield _plugin(began, metadata.SESSION_START_INFO_TAG, session_start_info=start)
        for report in record.reports:
            scores = {n.replace("dev.", "dev/", 1): x for n, x in report["scores"].items()}
            values = {"train/loss": report["loss"], "train/learning_rate": report["rate"]}
            values |= {f"train/{name}": x for name, x in report.get("terms", {}).items()}
            if report.get("switched") is not None:
                values["train/words_switched"] = report["switched"]
            yield _scalars(report["at"], report["step"], {**scores, **values})
        if not record.is_over:
            return
        step = record.reports[-1]["step"] if record.reports else 0
        score = counted_score(self.study, record)
        yield _scalars(record.ended, step, {"score": score, **_finals(record)})
        status = api_pb2.STATUS_FAILURE if record.status == "failed" else api_pb2.STATUS_SUCCESS
        end = SessionEndInfo(status=status, end_time_secs=record.ended)
        yield _plugin(record.ended, metadata.SESSION_END_INFO_TAG, session_end_info=end)

    def _settings(self, record: Record) -> dict[str, float | str]:
        """A trial's hyperparameters: numbers in columns of numbers, otherwise as papers write."""
        hyper = values_of(self.study, record)
        kinds = {info.name: info.type for info in self._columns.hparam_infos}
        return {
            name: float(hyper[name])
            if kind == api_pb2.DATA_TYPE_FLOAT64
            else formatting.format_setting(hyper[name])
            for name, kind in kinds.items()
            if name in hyper and (hyper[name] is not None or kind != api_pb2.DATA_TYPE_FLOAT64)
        }


def _experiment(study: Study) -> api_pb2.Experiment:
    """The columns of the HParams tab, the same for all of a study's trials."""
    infos = []
    for name in settings(study):
        values = [value for task in study.tasks for value in _possible(study, task, name)]
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
        for task in map(tasks.get, study.tasks)
        for metric in task.metrics
        for name in formatting.dev_names(task, metric)
    )
    metrics = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in ("score", *names)]
    return api_pb2.Experiment(name=study.name, hparam_infos=infos, metric_infos=metrics)


def _possible(study: Study, task: str, name: str) -> tuple[Any, ...]:
    """Values that a hyperparameter may take: a choice, both ends of a range, or what is fixed."""
    space = study.space_of(task)
    if name in space:
        return space[name].ends
    return (study.hyperparameters(task, {}).model_dump()[name],)


def _finals(record: Record) -> dict[str, float]:
    return {
        f"{which}/{name.removeprefix('dev.')}": score
        for which in ("best", "last")
        for name, score in getattr(record, which).items()
    }


def _scalars(at: float, step: int, values: dict[str, float | None]) -> Event:
    shown = [Summary.Value(tag=tag, simple_value=x) for tag, x in values.items() if x is not None]
    return Event(wall_time=at, step=step, summary=Summary(value=shown))


def _plugin(at: float, tag: str, **content: Any) -> Event:
    described = metadata.create_summary_metadata(HParamsPluginData(**content))
    value = Summary.Value(tag=tag, metadata=described, tensor=metadata.NULL_TENSOR)
    return Event(wall_time=at, summary=Summary(value=[value]))


def _tail(path: Path) -> bytes:
    """Return the last bytes of a file."""
    with open_regular(path) as file:
        file.seek(max(0, file.seek(0, 2) - TAIL))
        return file.read(TAIL)


def _append(path: Path, events: list[Event]) -> None:
    with open_regular(path, write=True) as file:
        records = RecordWriter(file)
        for event in events:
            records.write(event.SerializeToString())
