"""The comparison of two runs: the difference of every score that both print, on the same examples.

It is apart from the intervals of one run because it checks first that two runs can be compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from .. import study
from ..errors import InputError, Problem, unknown_name
from ..run_folder import opening
from ..run_folder.report import scored_splits
from ..statistics.intervals import Difference, average, difference
from ..statistics.paired_tests import holm
from ..study import TaskStudy
from ..tasks.glue import AVERAGED
from . import formatting
from .leaderboard import RankedConfiguration, is_complete, leaderboard
from .paired_predictions import aligned, example_points, p_value, refusal
from .score_intervals import (
    RunIntervals,
    Tables,
    aggregate_of,
    in_order_of_seeds,
    models,
    same_seeds,
)


@dataclass(frozen=True, kw_only=True)
class ComparedScore:
    """One score of two runs.

    Attributes:
        task: the task's name; "" for the average over GLUE's tasks.
        name: the score's name without "dev.", such as "accuracy" or "mean.f1".
        first: the score of the first run, a fraction.
        second: that of the second run.
        difference: the second minus the first, with its interval.
        p: of the test on examples, two-sided; None where it does not apply.
        adjusted: the same by Holm's method for all tests of the comparison.
    """

    task: str
    name: str
    first: float
    second: float
    difference: Difference
    p: float | None = None
    adjusted: float | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs, compared.

    Attributes:
        folders: the two run folders.
        studies: their studies.
        scores: every score that both runs print, in the order of the tasks.
        average: of GLUE's tasks, where both runs have all of them.
        left_out: task -> why it cannot be compared.
        notes: what a reader must know of the run folders.
    """

    folders: tuple[Path, Path]
    studies: tuple[study.Study, study.Study]
    scores: tuple[ComparedScore, ...]
    average: ComparedScore | None = None
    left_out: Mapping[str, str]
    notes: tuple[str, ...] = ()


def printed_scores(task: TaskStudy) -> Iterator[str]:
    """Yield the names of the scores of a task that a table prints and that have intervals."""
    row = task.row
    for metric in row.metrics:
        yield from (f"dev.{name}" for name in formatting.dev_names(row, metric))
    for code in (*row.languages[1:], *(["mean"] if row.languages else [])):
        yield f"dev.{code}.{row.metric}"


def compare(
    first: str | Path, second: str | Path, *, tasks: Sequence[str] | None = None
) -> Comparison:
    """Compare the winners of two runs on every task that both have.

    The predictions on the dev splits are paired by the ids of the examples, and the seeds too where
    both runs used the same ones.

    Args:
        first: a run folder.
        second: another one.
        tasks: the tasks to compare; all that both have by default.

    Raises:
        InputError: a folder holds no run, or no task can be compared, with the reason of each; of
            the named tasks one is enough.
    """
    runs = _opened(Path(first), Path(second))
    names = _common_tasks(runs, tasks)
    scores: list[ComparedScore] = []
    left_out: dict[str, str] = {}
    for index, name in enumerate(names):
        try:
            scores += _compare_task(runs, name, index)
        except InputError as error:
            left_out[name] = "; ".join(problem.text for problem in error.problems)
    if left_out and (tasks is not None or not scores):
        problems = [Problem(location=name, text=text) for name, text in left_out.items()]
        raise InputError("compare", problems)
    return Comparison(
        folders=(Path(first), Path(second)),
        studies=(runs[0].study, runs[1].study),
        scores=tuple(_adjusted(scores)),
        average=_average(runs, scores),
        left_out=left_out,
        notes=tuple(f"{run.letter}: {note}" for run in runs for note in run.notes),
    )


def _opened(first: Path, second: Path) -> tuple["_Run", "_Run"]:
    """Return the runs of two folders.

    Raises:
        InputError: what is wrong with both.
    """
    runs: list[_Run] = []
    problems: list[Problem] = []
    for letter, folder in (("A", first), ("B", second)):
        try:
            runs.append(_Run(letter, folder))
        except InputError as error:
            source = error.source
            problems += [replace(p, location=f"{source} {p.location}") for p in error.problems]
    if problems:
        raise InputError("compare", problems)
    return runs[0], runs[1]


class _Run:
    """A run that is compared.

    Attributes:
        letter: "A" or "B".
        study: its study.
        notes: what could not be understood of its folder.
        kept: its kept predictions.
    """

    def __init__(self, letter: str, folder: Path) -> None:
        opening.refuse_other_folders(folder, opening.STUDY)
        self.letter, self.study = letter, study.load(opening.study_file(folder))
        self._records = opening.read_records(folder, self.study)
        self.notes = list(self._records.notes)
        self.kept = RunIntervals(folder, self.notes.append)

    def winner(self, task: TaskStudy) -> RankedConfiguration:
        """Return the configuration that the table prints for a task.

        Raises:
            InputError: there is none yet.
        """
        if not is_complete(task, self._records):
            raise refusal(f"{self.letter} is not finished: `raysearch resume` finishes it")
        ranked = leaderboard(task, self._records)
        if not ranked:
            raise refusal(f"{self.letter} has no result: all its trials failed")
        return ranked[0]


@dataclass(frozen=True, kw_only=True)
class _Side:
    """A run's winner on a task.

    Attributes:
        run: the run.
        task: the task of its study.
        winner: the configuration; its trials are in the order in which they are paired.
    """

    run: _Run
    task: TaskStudy
    winner: RankedConfiguration

    def tables(self, name: str) -> list[Tables]:
        """Return the predictions that a score rests on.

        Raises:
            InputError: they were not kept, or do not fit.
        """
        tables = self.run.kept.tables(self.task, self.winner, name)
        if tables is None:
            missing = self.run.kept.without_predictions(self.task, self.winner)
            trials = ", ".join(f"{one.id} ({one.status})" for one in missing)
            count = f"{len(missing)} of the {len(self.winner.trials)} trials"
            raise refusal(
                f"{self.run.letter} lacks the dev predictions of {count} of its winner: {trials}."
                " Runs keep them of confirmed trials (search.keep_predictions); a diverged trial"
                " has none"
            )
        return tables


_Runs = tuple[_Run, _Run]


def _common_tasks(runs: _Runs, requested: Sequence[str] | None) -> list[str]:
    """Return the tasks to compare.

    Raises:
        InputError: there are none, or a wanted one is not a task of both runs.
    """
    first, second = (run.study.tasks for run in runs)
    common = [name for name in first if name in second]
    requested = common if requested is None else list(dict.fromkeys(requested))
    problems = []
    if not common or not requested:
        text = f"a task of both runs is needed; A has {', '.join(first)}, B {', '.join(second)}"
        problems.append(Problem(location="tasks", text=text))
    for name in (name for name in requested if name not in common):
        text = unknown_name("task", name, common)
        if name in (*first, *second):
            text = f"{name} is a task of {'A' if name in first else 'B'} alone"
        problems.append(Problem(location="tasks", text=text))
    if problems:
        raise InputError("compare", problems)
    return requested


def _compare_task(runs: _Runs, name: str, seed: int) -> list[ComparedScore]:
    """Return every score of a task that both runs print.

    Raises:
        InputError: the task cannot be compared.
    """
    resolved = [run.study.resolve(name) for run in runs]
    winners = [run.winner(task) for run, task in zip(runs, resolved, strict=True)]
    first, second = (run.study.confirm.report for run in runs)
    if first != second:
        text = f"A prints the {first} over seeds and B the {second}"
        raise refusal(f"{text}: give both study.yaml the same `confirm: report`")
    winners = [in_order_of_seeds(winner) for winner in winners]
    one, other = (
        _Side(run=run, task=task, winner=winner)
        for run, task, winner in zip(runs, resolved, winners, strict=True)
    )
    names = [
        score
        for score in printed_scores(one.task)
        if score in one.winner.scores and score in other.winner.scores
    ]
    if text := _other_languages(one, other):
        names = [score for score in names if not score.startswith("dev.mean.")]
        one.run.notes.append(f"{name}: the mean over languages is not compared: {text}")
    return [_compare_score(one, other, score, seed) for score in names]


def _other_languages(one: _Side, other: _Side) -> str:
    """Return which languages only one run scored, in words; "" if there are none."""
    row = one.task.row
    codes = [split.name for split in row.dev] if row.languages else []
    ours, theirs = (scored_splits(side.winner.scores, codes) for side in (one, other))
    alone = [
        f"{side.run.letter} alone has scores of {', '.join(codes)}"
        for side, codes in (
            (one, [code for code in ours if code not in theirs]),
            (other, [code for code in theirs if code not in ours]),
        )
        if codes
    ]
    return "; ".join(alone)


def _compare_score(one: _Side, other: _Side, name: str, seed: int) -> ComparedScore:
    """Return one score of a task.

    Raises:
        InputError: the predictions of the two runs cannot be paired.
    """
    first, second = one.tables(name), other.tables(name)
    second = [aligned(first[0], tables) for tables in second]
    ours, samples = models(one.task, one.winner, name, first)
    theirs, _ = models(other.task, other.winner, name, second)
    points = (
        example_points(one.task, one.winner.trials, name, first),
        example_points(other.task, other.winner.trials, name, second),
    )
    paired, p = same_seeds(one.winner, other.winner), None
    if points[0] is not None and points[1] is not None:
        keys = [sample for sample, _ in ours[0].measures]
        p = p_value(points[0], points[1], keys, samples)
    return ComparedScore(
        task=one.task.name,
        name=name.removeprefix("dev."),
        first=one.winner.scores[name],
        second=other.winner.scores[name],
        difference=difference(
            ours, theirs, samples, aggregate=aggregate_of(one.task), seed=seed, paired=paired
        ),
        p=p,
    )


def _adjusted(scores: Sequence[ComparedScore]) -> list[ComparedScore]:
    """Return the scores with their p-values adjusted for the number of tests."""
    tested = [score.p for score in scores if score.p is not None]
    adjusted = iter(holm(tested))
    return [s if s.p is None else replace(s, adjusted=next(adjusted)) for s in scores]


def _average(runs: _Runs, scores: Sequence[ComparedScore]) -> ComparedScore | None:
    """Return the average over GLUE's tasks of the printed scores; None if one is missing."""
    selecting = {
        score.task: score
        for score in scores
        if f"dev.{score.name}" == runs[0].study.resolve(score.task).printed_metric
    }
    if not set(AVERAGED) <= set(selecting):
        return None
    chosen = [selecting[name] for name in AVERAGED]
    return ComparedScore(
        task="",
        name="AVG",
        first=fmean(score.first for score in chosen),
        second=fmean(score.second for score in chosen),
        difference=average([score.difference for score in chosen]),
    )
