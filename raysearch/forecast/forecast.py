"""The forecast of a study: what it will take on this machine, before anything is searched.

It is apart from the timing and the estimate because it finds out what they need: the trials that
the search would begin, the prepared data, and the number of lanes.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from .. import tasks
from ..data import encoding_cache
from ..errors import InputError
from ..preflight import Lanes, lane_problems
from ..run_folder import DraftJournal
from ..search.data_preparation import BackgroundPreparation
from ..search.first_trials import first_trials
from ..study import Configuration, Study
from ..study.samplers import own_class
from ..workers.machine import local_resources
from .estimate import TaskForecast, estimate_task, wall_seconds

SECONDS = 3.0  # of each of the four measurements of steps of a task
MOST_POINTS = 500  # trials of a task that are listed; further ones cost what these do on average


@dataclass(frozen=True, kw_only=True)
class StudyForecast:
    """What a study will take on this machine.

    Attributes:
        tasks: of its tasks, those first that others start from.
        ends: hours from the start of the first trial to the end of each task.
        lanes: that run at the same time.
        device: that was timed.
        price: of a device hour; None if none was given.
        notes: what the numbers leave out, or assume.
    """

    tasks: tuple[TaskForecast, ...]
    ends: tuple[float, ...]
    lanes: int
    device: str
    price: float | None
    notes: tuple[str, ...]

    @property
    def device_hours(self) -> float:
        """Device hours of all tasks."""
        return sum(task.device_hours for task in self.tasks)

    @property
    def hours(self) -> float:
        """Hours from the start of the first trial to the end of the last one."""
        return max(self.ends, default=0.0)


def forecast(
    study: Study,
    data: Path,
    lanes: Lanes | None = None,
    *,
    price: float | None = None,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.perf_counter,
    note: Callable[[str], None] = lambda line: None,
) -> StudyForecast:
    """Time real steps of each task here, and return what a run of the study will take.

    Args:
        study: the study; its problems have been looked for.
        data: the data folder.
        lanes: as they would be given to `run`.
        price: of a device hour.
        seconds: of each measurement of steps.
        clock: returns seconds; on a busy machine `time.process_time` tells what a quiet one takes.
        note: called with lines about the preparation of the data.

    Raises:
        InputError: this machine does not hold the lanes, or what is wrong with data or models.
    """
    lanes = lanes or Lanes()
    resources = local_resources()
    if problems := lane_problems(lanes, resources):
        raise InputError(study.name, problems)
    needs, count = lanes.needs(resources), lanes.count or lanes.fit(resources)
    import torch

    from .timing import TaskTimer, threads

    has_gpu = bool(needs.get("GPU")) and torch.cuda.is_available()
    device = torch.device("cuda" if has_gpu else "cpu")
    preparation = LocalPreparation(study, data, note)
    estimates = []
    with threads(max(1, int(lanes.cpus))):
        for name, points in search_points(study):
            task = study.resolve(name)
            timer = TaskTimer(task, preparation.data_of(name), device, seconds, clock)
            timing = timer.time(points)
            estimates.append(
                estimate_task(
                    task,
                    points,
                    timing,
                    cache_bytes=preparation.bytes_of(name),
                    workers=lanes.workers,
                    lanes=count,
                )
            )
    for index, estimate in enumerate(estimates):
        estimates[index] = _with_budget(study, estimate, estimates[:index], count)
    ends = tuple(end / 3600 for end in wall_seconds(estimates, count))
    return StudyForecast(
        tasks=tuple(estimates),
        ends=ends,
        lanes=count,
        device=torch.cuda.get_device_name() if has_gpu else "CPU",
        price=price,
        notes=tuple(_notes(study, lanes, count)),
    )


class LocalPreparation(BackgroundPreparation):
    """A preparation whose results stay in this process, task by task.

    Args:
        study: its tasks, model and lengths.
        root: the data folder.
        note: called with a line for the log.
    """

    def __init__(self, study: Study, root: Path, note: Callable[[str], None]) -> None:
        super().__init__(study, root, self, note)
        self._published: dict[str, Any] = {}
        self._paths: dict[str, set[Path]] = {}
        self._is_checked = False

    def data_of(self, name: str) -> dict[str, Any]:
        """Return what workers of a task would get."""
        if not self._is_checked:
            self._tasks = list(self.study.tasks)
            self._check_models()
            self._is_checked = True
        self._published.clear()
        task = self.study.resolve(name)
        # The winner that a task with `from` starts from is of the same size as its model.
        self._provide(name, {"": Path(task.model)} if task.source else None)
        data: dict[str, Any] = self._published.pop(name)
        return data

    def bytes_of(self, name: str) -> int:
        """Return the bytes of a task's prepared files."""
        return sum(path.stat().st_size for path in self._paths[name])

    def publish_data(self, name: str, data: dict[str, Any]) -> None:
        """Keep a task's data, as the broker would."""
        self._published[name] = data

    def _prepare(self, task: tasks.Task, *values: Any, **more: Any) -> encoding_cache.Prepared:
        prepared = super()._prepare(task, *values, **more)
        self._paths.setdefault(task.name, set()).add(prepared.path)
        return prepared

    def _put(self, value: Any) -> Any:
        return value

    def _input(self, table: pa.Table, parts: list[encoding_cache.Prepared]) -> Any:
        return table, parts[0].padding


def search_points(study: Study) -> Iterator[tuple[str, list[Configuration]]]:
    """Yield each task with the points of the trials that its search would begin, in order.

    Tasks come in the order of the study, after those that they start from.
    A sampler that learns has learned nothing here: it draws as for its first trials. A task that
    starts from a winner, which is not known here, begins with the same points as from a model.
    """
    order = sorted(study.tasks, key=lambda name: len(study.resolve(name).chain))
    names = {"sampler": "random"} if own_class(study.search.sampler) else {}
    search = study.search.model_copy(update=names)
    parts = {n: part.model_copy(update={"start": None}) for n, part in study.per_task.items()}
    study = study.model_copy(update={"search": search, "per_task": parts})
    begun = dict(first_trials(study, DraftJournal(), MOST_POINTS))
    for name in order:
        points = [record.configuration for record in begun[name] if record.phase == "search"]
        yield name, points or [{}]


def _with_budget(
    study: Study, forecast: TaskForecast, earlier: list[TaskForecast], lanes: int
) -> TaskForecast:
    """Return a forecast whose search ends where the budget of the study does."""
    search, limit = study.search, math.inf
    if search.device_hours is not None:
        limit = search.device_hours * 3600 / forecast.devices
    if search.hours is not None:
        limit = min(limit, search.hours * 3600 * lanes)
    spent, trials = sum(sum(one.search) for one in earlier), []
    for seconds in forecast.search:
        if spent >= limit:
            break
        trials.append(seconds)
        spent += seconds
    return replace(forecast, search=tuple(trials))


def _notes(study: Study, lanes: Lanes, count: int) -> Iterator[str]:
    yield "the time until Ray and the lanes are up, 20 to 60 seconds, is not counted"
    if count > 1:
        yield f"one trial was timed alone; {count} lanes may slow each other down"
    if lanes.workers > 1:
        yield f"a step of {lanes.workers} workers is taken for that share of a step of one"
    if study.search.sampler not in ("random", "grid", "qmc"):
        text = f"{study.search.sampler} may move to cheaper or dearer settings than it begins with"
        yield f"{text}, on which this rests"
    if study.search.stop_early is not None:
        yield "early stopping: its expected saving, where the order of trials says nothing of them"
