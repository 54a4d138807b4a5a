"""Times real optimizer steps and evaluations of a task, in this process and without Ray.

It is apart from the estimate because it needs torch, data and weights.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import torch

from ..data import encoding_cache
from ..data.dataset import EncodedDataset
from ..data.training_set import as_training_set
from ..heads import HEADS
from ..models import ReusableModel
from ..models.pruned_embedding import full_state_dict
from ..models.reusable import export_weights
from ..recipes import Hyperparameters
from ..recipes.schedule import make_schedule
from ..run_folder import dev_predictions
from ..study import Configuration, TaskStudy
from ..training import Job, Trainer
from ..training.evaluation import predict_outputs
from ..workers.remote_text import open_split
from ..workers.trial_setup import scored_splits

WARMING = 2  # steps that are not counted: memory and caches are filled
LEAST_STEPS, MOST_STEPS = 6, 200  # that are timed in one measurement
EXAMPLES = 512  # of a dev split that are scored


class _Enough(Exception):
    """A measurement has its steps."""


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """How long optimizer steps take.

    Attributes:
        seconds: BSZ -> seconds of a step, at the smallest and the largest that were timed.
        steps: the number of steps that were timed.
    """

    seconds: Mapping[int, float]
    steps: int

    def of(self, batch: int) -> float:
        """Return the seconds of a step of a batch size, on the line through what was timed."""
        low, high = min(self.seconds), max(self.seconds)
        if low == high:
            return self.seconds[low] * batch / low
        slope = (self.seconds[high] - self.seconds[low]) / (high - low)
        return max(0.0, self.seconds[low] + slope * (batch - low))


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What one task costs on this machine.

    Attributes:
        trial: of the steps of a trial.
        teacher: of those of a teacher; None if no trial has one.
        evaluation: seconds to score all dev splits.
        keep: seconds to copy the weights of an evaluation.
        start: seconds between two trials of a lane.
        rows: of the training set.
        weight_bytes: of the weights that are kept of a trial.
        model_bytes: of the folder of a winner, which has the whole model beside its adapters.
        prediction_bytes: of the kept dev predictions of a trial.
    """

    trial: StepTimes
    teacher: StepTimes | None
    evaluation: float
    keep: float
    start: float
    rows: int
    weight_bytes: int
    model_bytes: int
    prediction_bytes: int


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch compute with so many threads, as a worker of a lane does."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class TaskTimer:
    """Times the steps and the evaluation of a task.

    Args:
        task: of the study.
        data: what the preparation publishes for workers.
        device: to train on.
        seconds: of each measurement of steps.
        clock: returns seconds.
    """

    def __init__(
        self,
        task: TaskStudy,
        data: Mapping[str, Any],
        device: torch.device,
        seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self.task, self.data, self.device, self.seconds = task, data, device, seconds
        self.clock = clock
        self.model = ReusableModel(device)
        self._start = 0.0
        names = list(data["splits"])
        self.train = open_split(*data["splits"][names[0]])
        parts = [{n: data["splits"][n] for n in names[1:]}, data.get("searched", {})]
        self.vocabulary = vocabulary_of(data)
        self._dev = [{name: _sample(*split) for name, split in part.items()} for part in parts]

    def time(self, points: Sequence[Configuration]) -> Timing:
        """Return what trials of these points cost.

        Args:
            points: the searched values of trials; the smallest and the largest BSZ are timed.
        """
        hypers = [self.task.hyperparameters(point) for point in points]
        teachers = [
            self.task.recipe.hyper.model_validate(configuration)
            for hyper in hypers
            if (configuration := self.task.recipe.teacher_configuration(hyper)) is not None
        ]
        trial = self._steps(hypers)
        teacher = self._steps(teachers) if teachers else None
        evaluation, prediction_bytes = self._evaluation(hypers[0])
        model, begin = self._model(hypers[0]), self.clock()
        weights = export_weights(model)
        keep = self.clock() - begin
        return Timing(
            trial=trial,
            teacher=teacher,
            evaluation=evaluation,
            keep=keep,
            start=self._start,
            rows=len(as_training_set(self.train, hypers[0], self.data.get("views"))),
            weight_bytes=sum(array.nbytes for array in weights.values()),
            model_bytes=sum(4 * x.numel() for x in full_state_dict(model).values()),
            prediction_bytes=prediction_bytes,
        )

    def _steps(self, hypers: Sequence[Hyperparameters]) -> StepTimes:
        """Time steps at the smallest and the largest BSZ: each twice, in turns."""
        by_batch = {hyper.BSZ: hyper for hyper in hypers}
        ends = list(dict.fromkeys((min(by_batch), max(by_batch))))
        order = [*ends, *reversed(ends)]
        measured: dict[int, list[tuple[float, int, float]]] = {batch: [] for batch in ends}
        for batch in order:
            measured[batch].append(self._measure(by_batch[batch]))
        seconds = {}
        for batch, parts in measured.items():
            total, steps, tokens = (sum(column) for column in zip(*parts, strict=True))
            # What was drawn is longer or shorter than the average: tokens set the time.
            expected = self._mean_tokens(by_batch[batch]) * batch * steps
            seconds[batch] = total / steps * (expected / tokens if tokens else 1.0)
        count = sum(part[1] for parts in measured.values() for part in parts)
        return StepTimes(seconds=seconds, steps=count)

    def _mean_tokens(self, hyper: Hyperparameters) -> float:
        train = as_training_set(self.train, hyper, self.data.get("views"))
        return float(train.tokens[:].mean())

    def _measure(self, hyper: Hyperparameters) -> tuple[float, int, float]:
        """Take optimizer steps; return their seconds, their number and their tokens."""
        begin = self.clock()
        model = self._model(hyper)
        train = as_training_set(self.train, hyper, self.data.get("views"))
        schedule = make_schedule(hyper, len(train))
        last = max(schedule.steps, WARMING + MOST_STEPS + 1)
        job = Job(
            task=self.task.row,
            stage=self.task.recipe.stage_of(hyper),
            hyper=hyper,
            schedule=replace(schedule, steps=last, evaluations=(last,)),
            seed=self.task.study.search.seed,
            train=train,
            dev={},
        )
        clock = _StepClock(self.device, self.seconds, self.clock)
        teacher = self._teacher(hyper)
        trainer = Trainer(job, model, teacher=teacher, on_step=clock)
        self._start = self.clock() - begin  # the last one, of a model that was built before
        with suppress(_Enough):
            for _ in trainer:
                pass
        return clock.seconds, clock.steps, clock.tokens

    def _model(self, hyper: Hyperparameters) -> Any:
        seed = self.task.study.search.seed
        return self.model.model(self.data["pretrained"], hyper, seed, self.vocabulary)

    def _teacher(self, hyper: Hyperparameters) -> torch.nn.Module | None:
        """Return a teacher of a trial's shape, with the weights that training begins from."""
        weights = self.data.get("teacher")
        if weights is None and self.task.recipe.teacher_configuration(hyper) is None:
            return None
        encoder = self.data["pretrained"]
        encoder = encoder if weights is None else replace(encoder, weights=weights, digest="given")
        model: torch.nn.Module = ReusableModel(self.device).model(encoder, hyper, 1)
        return model.eval().requires_grad_(False)

    def _evaluation(self, hyper: Hyperparameters) -> tuple[float, int]:
        """Return the seconds to score all dev splits, and the bytes of their predictions."""
        model, head, seconds, size = self._model(hyper), HEADS[self.task.row.head], 0.0, 0
        trainer = Trainer(self._empty_job(hyper), model)
        for part in self._dev:
            scored = scored_splits({name: split for name, (split, _) in part.items()}, hyper)
            kept = {}
            for name, examples in scored.items():
                begin = self.clock()
                outputs = predict_outputs(
                    trainer.forward, examples, self.task.row, hyper, autocast=trainer.autocast
                )
                predictions = head.decode(outputs, examples, hyper)
                head.score(predictions, examples, self.task.row, hyper)
                seconds += (self.clock() - begin) * part[name][1]
                kept[name] = head.kept(predictions, examples, self.task.row, hyper)
            if kept:
                share = max(share for _, share in part.values())
                size = int(len(dev_predictions.to_parquet(kept)) * share)
        return seconds, size

    def _empty_job(self, hyper: Hyperparameters) -> Job:
        train = as_training_set(self.train, hyper, self.data.get("views"))
        return Job(
            task=self.task.row,
            stage=self.task.recipe.stage_of(hyper),
            hyper=hyper,
            schedule=make_schedule(hyper, len(train)),
            seed=1,
            train=train,
            dev={},
        )


def vocabulary_of(data: Mapping[str, Any]) -> np.ndarray | None:
    """Return all token ids that the trials of a task look up, as a worker has them.

    None where views may hold any: the model keeps its whole embedding.
    """
    if "views" in data:
        return None
    splits: list[Any] = [*data["splits"].values(), *data.get("searched", {}).values()]
    return reduce(np.union1d, (open_split(*split).vocabulary() for split in splits))


class _StepClock:
    """Measures the seconds and tokens of a trainer's steps, and ends them when they suffice.

    Args:
        device: whose work is waited for where the measurement begins and ends.
        limit: seconds of a measurement.
        clock: returns seconds.

    Attributes:
        seconds: of the steps that count.
        steps: their number.
        tokens: that they trained on.
    """

    def __init__(self, device: torch.device, limit: float, clock: Callable[[], float]) -> None:
        self.device, self.limit, self.clock = device, limit, clock
        self.seconds, self.steps, self.tokens = 0.0, 0, 0
        self._begin, self._tokens = 0.0, 0

    def __call__(self, trainer: Trainer) -> None:
        """Look at the clock after a step."""
        if trainer.step < WARMING:
            return
        if trainer.step == WARMING:
            self._wait()
            self._begin, self._tokens = self.clock(), trainer.tokens
            return
        self.steps = trainer.step - WARMING
        enough = self.steps >= LEAST_STEPS and self.clock() - self._begin > self.limit
        if enough or self.steps >= MOST_STEPS:
            self._wait()
            self.seconds = self.clock() - self._begin
            self.tokens = trainer.tokens - self._tokens
            raise _Enough

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _sample(table: Any, padding: dict[str, int]) -> tuple[EncodedDataset, float]:
    """Return some examples of a split, and how many times as many it has."""
    sample: Callable[[Any, int], Any] = encoding_cache.subsample
    rows = table if encoding_cache.is_token_stream(table.schema) else sample(table, EXAMPLES)
    examples: Any = open_split(rows, padding)
    return examples, table.num_rows / max(1, rows.num_rows)
