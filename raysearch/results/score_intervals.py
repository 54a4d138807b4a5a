"""The interval of a configuration's score, from the kept predictions of its seeds.

It is apart from the leaderboard because it reads files, which the search never needs to.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import statistics
from ..errors import InputError, Problem
from ..run_folder import Record
from ..statistics import Interval, Sample, ScoreSample
from ..study import TaskStudy
from . import formatting
from .leaderboard import RankedConfiguration

_AGGREGATES: dict[str, Callable[[statistics.Floats], statistics.Floats]] = {
    "median": statistics.median,
    "mean": statistics.mean,
    "max": statistics.maximum,
}
_ROUNDING = 1e-6  # by which a kept score may differ from the journal's

# Returns the interval of a configuration's score: "dev.accuracy", "dev.mismatched.accuracy",
# "dev.mean.f1". It is None where the predictions of a seed were not kept, as of a diverged one, and
# for a gap between languages.
Intervals = Callable[[TaskStudy, RankedConfiguration, str], Interval | None]


def no_interval(task: TaskStudy, ranked: RankedConfiguration, name: str) -> Interval | None:
    """Return None: the intervals of a table that has no run folder."""
    return None


class RunIntervals:
    """The intervals of a run folder's scores; every file is read and every interval drawn once.

    Args:
        folder: the run folder.
        note: called with a line for each score that has no interval because a file of predictions
            is damaged or does not fit the journal.
    """

    def __init__(self, folder: Path, note: Callable[[str], None]) -> None:
        self._folder, self._note = folder, note
        self._intervals: dict[tuple[str, ...], Interval | None] = {}
        self._tables: dict[str, dict[str, Any] | None] = {}

    def __call__(self, task: TaskStudy, ranked: RankedConfiguration, name: str) -> Interval | None:
        """Return an interval, see `Intervals`."""
        key = (name, *(record.id for record in ranked.trials))
        if key not in self._intervals:
            try:
                self._intervals[key] = self._interval(task, ranked, name)
            except InputError as error:
                self._intervals[key] = None
                text = "; ".join(problem.text for problem in error.problems)
                column = formatting.column_title(task.row)
                self._note(f"{column}: no interval of {name}: {error.source}: {text}.")
        return self._intervals[key]

    def _interval(self, task: TaskStudy, ranked: RankedConfiguration, name: str) -> Interval | None:
        seeds: list[ScoreSample] = []
        samples: dict[str, Sample] = {}
        first: dict[str, Any] | None = None
        for record in ranked.trials:
            tables = self._splits(task, record, name)
            if tables is None:
                return None
            first = first or tables
            if any(not table["id"].equals(first[n]["id"]) for n, table in tables.items()):
                raise _misfit(record, "its examples are not those of the other seeds")
            score, samples = self._sample(task, record, name, tables)
            seeds.append(score)
        aggregate = _AGGREGATES[task.study.confirm.report]
        return statistics.interval(seeds, samples, aggregate=aggregate)

    def _splits(self, task: TaskStudy, record: Record, name: str) -> dict[str, Any] | None:
        """Return the tables of the splits of a score; None if they were not kept."""
        from ..run_folder import dev_predictions  # pyarrow, which other tables do not need

        if record.id not in self._tables:
            self._tables[record.id] = dev_predictions.read(self._folder, record)
        tables = self._tables[record.id]
        prefix = name.removeprefix("dev.").rpartition(".")[0]
        if tables is None or prefix == "gap":
            return None
        first = task.row.dev[0].name
        wanted = [split.name for split in task.row.dev] if prefix == "mean" else [prefix or first]
        missing = [split for split in wanted if split not in tables]
        if missing:
            raise _misfit(record, f"it has no predictions of {', '.join(missing)}")
        return {split: tables[split] for split in wanted}

    def _sample(
        self, task: TaskStudy, record: Record, name: str, tables: dict[str, Any]
    ) -> tuple[ScoreSample, dict[str, Sample]]:
        """Return what a trial scores on the splits of a score, and the samples of these splits.

        Raises:
            InputError: the predictions have another score than the journal.
        """
        from ..run_folder import dev_predictions

        metric = name.rpartition(".")[2]
        threshold = task.hyperparameters(record.configuration).null_threshold
        score, samples = dev_predictions.score_sample(tables, task.row, metric, threshold)
        ones = {sample: np.ones((1, len(s.clusters))) for sample, s in samples.items()}
        kept, known = float(score(ones)[0]), record.scores_at(task.study.search.select).get(name)
        if known is None or not abs(kept - known) <= _ROUNDING:
            raise _misfit(record, f"its predictions score {kept:.4f}, and the journal has {known}")
        return score, samples


def _misfit(record: Record, text: str) -> InputError:
    return InputError(f"predictions/{record.id}.parquet", [Problem(location="file", text=text)])
