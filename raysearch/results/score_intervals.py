"""The interval of a configuration's score, from the kept predictions of its seeds.

It is apart from the leaderboard because it reads files, which the search never needs to.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import metrics
from ..errors import InputError, Problem
from ..run_folder import Record
from ..run_folder.report import is_gap, scored_splits, splits_of
from ..statistics import intervals
from ..statistics.intervals import AGGREGATES, Aggregate, Interval, Sample, ScoreSample
from ..study import TaskStudy
from . import formatting
from .leaderboard import RankedConfiguration

Tables = dict[str, Any]  # dev split -> the table of a trial's predictions
_ROUNDING = 1e-6  # by which a kept score may differ from the journal's

# Returns the interval of a configuration's score: "dev.accuracy", "dev.mismatched.accuracy",
# "dev.mean.f1". It is None where the predictions of a seed were not kept, as of a diverged one, and
# for a gap between languages.
Intervals = Callable[[TaskStudy, RankedConfiguration, str], Interval | None]

# Returns the interval of the second configuration's score minus the first's, or None.
Differences = Callable[[TaskStudy, RankedConfiguration, RankedConfiguration, str], Interval | None]


def no_interval(task: TaskStudy, ranked: RankedConfiguration, name: str) -> Interval | None:
    """Return None: the intervals of a table that has no run folder."""
    return None


def no_difference(
    task: TaskStudy, first: RankedConfiguration, second: RankedConfiguration, name: str
) -> Interval | None:
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
        self._tables: dict[str, Tables | None] = {}
        self._incomplete: set[str] = set()  # columns of which it was noted

    def __call__(self, task: TaskStudy, ranked: RankedConfiguration, name: str) -> Interval | None:
        """Return an interval, see `Intervals`."""
        key = (name, *(record.id for record in ranked.trials))
        if key not in self._intervals:
            self._intervals[key] = self._interval(task, [ranked], name)
        return self._intervals[key]

    def difference(
        self,
        task: TaskStudy,
        first: RankedConfiguration,
        second: RankedConfiguration,
        name: str,
    ) -> Interval | None:
        """Return the interval of the second configuration's score minus the first's.

        It is paired by examples, and by seeds if both have the same.
        """
        return self._interval(task, [first, second], name)

    def _interval(
        self, task: TaskStudy, systems: Sequence[RankedConfiguration], name: str
    ) -> Interval | None:
        """Return the interval of one score, or of the difference of two; note why there is none."""
        seeds: list[list[ScoreSample]] = []
        reference: list[Tables] | None = None
        systems = [in_order_of_seeds(ranked) for ranked in systems]
        try:
            for ranked in systems:
                tables = self.tables(task, ranked, name)
                if tables is None:
                    self._note_incomplete(task, ranked)
                    return None
                reference = reference or tables
                _check_examples(ranked.trials[0], tables[0], reference[0])
                scores, samples = models(task, ranked, name, tables)
                seeds.append(scores)
        except InputError as error:
            text = "; ".join(problem.text for problem in error.problems)
            column = formatting.column_title(task.row)
            self._note(f"{column}: no interval of {name}: {error.source}: {text}.")
            return None
        aggregate = aggregate_of(task)
        if len(seeds) == 1:
            within = (metrics.worst(name.rpartition(".")[2]), 1.0)
            return intervals.interval(seeds[0], samples, aggregate=aggregate, within=within)
        return intervals.difference(
            seeds[0], seeds[1], samples, aggregate=aggregate, paired=same_seeds(*systems)
        )

    def _note_incomplete(self, task: TaskStudy, ranked: RankedConfiguration) -> None:
        """Note once for a task that trials of its result have no predictions.

        A winner of the search that is still to be confirmed has none yet, a diverged trial never.
        """
        column, records = formatting.column_title(task.row), ranked.trials
        missing = [r for r in self.without_predictions(task, ranked) if r.status != "diverged"]
        unconfirmed = records[0].phase == "search" and task.study.confirm.seeds
        if missing and not unconfirmed and column not in self._incomplete:
            self._incomplete.add(column)
            count = f"{len(missing)} of {formatting.counted(len(records), 'trial')}"
            self._note(f"{column}: no interval: the dev predictions of {count} were not kept.")

    def tables(
        self, task: TaskStudy, ranked: RankedConfiguration, name: str
    ) -> list[Tables] | None:
        """Return the predictions that a score rests on, of each trial; None if one kept none.

        Raises:
            InputError: a file is damaged, or has other examples than those before it.
        """
        kept: list[Tables] = []
        for record in ranked.trials:
            tables = self._splits(task, record, name)
            if tables is None:
                return None
            kept.append(tables)
            _check_examples(record, tables, kept[0])
        return kept

    def without_predictions(self, task: TaskStudy, ranked: RankedConfiguration) -> list[Record]:
        """Return the trials of a configuration whose predictions the run folder does not have."""
        return [record for record in ranked.trials if self._kept(task, record) is None]

    def _kept(self, task: TaskStudy, record: Record) -> Tables | None:
        """Return the predictions of a trial by dev split, read once; None if they were not kept."""
        from ..run_folder import dev_predictions  # pyarrow, which other tables do not need

        if record.id not in self._tables:
            self._tables[record.id] = dev_predictions.read(self._folder, record, task.row)
        return self._tables[record.id]

    def _splits(self, task: TaskStudy, record: Record, name: str) -> Tables | None:
        """Return the tables of the splits of a score; None if they were not kept."""
        tables = self._kept(task, record)
        if tables is None or is_gap(name):
            return None
        known = [split.name for split in task.row.dev]
        scored = scored_splits(record.scores_at(task.study.search.select), known)
        splits = splits_of(name, known)
        if len(splits) > 1:  # a mean, over those that have files
            splits = [split for split in splits if split in scored]
        missing = [split for split in splits if split not in tables]
        if missing:
            raise _misfit(record, f"it has no predictions of {', '.join(missing)}")
        return {split: tables[split] for split in splits}


def in_order_of_seeds(ranked: RankedConfiguration) -> RankedConfiguration:
    """Return a configuration with its trials in the order of their seeds, as pairs need them."""
    return replace(ranked, trials=tuple(sorted(ranked.trials, key=lambda record: record.seed)))


def same_seeds(first: RankedConfiguration, second: RankedConfiguration) -> bool:
    """Return whether two configurations, both in the order of their seeds, have the same ones."""
    return [r.seed for r in first.trials] == [r.seed for r in second.trials]


def aggregate_of(task: TaskStudy) -> Aggregate:
    """Return the statistic over seeds that a study reports."""
    return AGGREGATES[task.study.confirm.report]


def models(
    task: TaskStudy, ranked: RankedConfiguration, name: str, tables: list[Tables]
) -> tuple[list[ScoreSample], dict[str, Sample]]:
    """Return what each trial of a configuration scores, and the samples of the dev splits.

    Args:
        task: the task.
        ranked: the configuration.
        name: the score's name.
        tables: of each of its trials, see `RunIntervals.tables`.

    Raises:
        InputError: the predictions have another score than the journal.
    """
    seeds: list[ScoreSample] = []
    samples: dict[str, Sample] = {}
    for record, splits in zip(ranked.trials, tables, strict=True):
        score, samples = _sample(task, record, name, splits)
        seeds.append(score)
    return seeds, samples


def _sample(
    task: TaskStudy, record: Record, name: str, tables: Tables
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


def _check_examples(record: Record, tables: Tables, others: Tables) -> None:
    if any(not table["id"].equals(others[split]["id"]) for split, table in tables.items()):
        raise _misfit(record, "its examples are not those of the other seeds")


def _misfit(record: Record, text: str) -> InputError:
    return InputError(f"predictions/{record.id}.parquet", [Problem(location="file", text=text)])
