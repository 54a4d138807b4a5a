"""Scores of kept dev predictions, which hold their gold labels: no data and no model is needed.

It is apart from `scoring`, which scores files in the benchmarks' formats.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError, Problem
from ..results import formatting
from ..run_folder.report import dev_scores
from ..tasks import Task
from .error_collection import join_errors
from .kept_files import KeptFile, find_kept
from .kept_gold import compare_gold

_MAX_COLUMNS = 8


@dataclass(frozen=True, kw_only=True)
class TrialScores:
    """The scores of one trial's kept predictions.

    Attributes:
        trial: its id.
        phase: "search" or "confirm"; "" if the journal does not know the trial.
        seed: its seed; None like `phase`.
        examples: dev split -> number of examples.
        scores: fractions by the names of the journal: "dev.accuracy", "dev.mean.f1".
        notes: facts that the scores alone do not show.
    """

    trial: str
    phase: str = ""
    seed: int | None = None
    examples: dict[str, int]
    scores: dict[str, float]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class KeptScores:
    """The scores of the kept predictions of a task's trials.

    Attributes:
        task: the task's name.
        trials: in the order of their numbers.
        notes: facts about all of them.
    """

    task: str
    trials: tuple[TrialScores, ...]
    notes: tuple[str, ...] = field(default=())


def score_kept(
    task: Task, path: Path, data: Path | None = None, threshold: float | None = None
) -> KeptScores:
    """Score kept predictions on all dev splits, to the last digit as the journal has them.

    Args:
        task: the task.
        path: a trial's file, a task's folder of them, or a run folder.
        data: the data folder, with which ids and gold labels are compared; None: they are not.
        threshold: the null score above which there is no answer; None: the trial's own.

    Raises:
        InputError: there are no such predictions, a file is damaged, or it differs from the data;
            with the problems of all files.
    """
    files, notes = find_kept(task, path)
    trials, errors = [], []
    for file in files:
        try:
            trials.append(_score_file(file, task, data, threshold))
        except InputError as error:
            errors.append(error)
    if errors:
        raise join_errors(f"score {task.name}", errors)
    return KeptScores(task=task.name, trials=tuple(trials), notes=tuple(notes))


def _score_file(
    file: KeptFile, task: Task, data: Path | None, threshold: float | None
) -> TrialScores:
    from ..run_folder import dev_predictions  # pyarrow

    if not file.path.is_file():
        text = f"there is no such file: '{file.path}'"
        raise InputError(f"score {task.name}", [Problem(location="--predictions", text=text)])
    tables = dev_predictions.read_file(file.path, task)
    known_splits = [split.name for split in task.dev]
    if unknown := [name for name in tables if name not in known_splits]:
        text = f"{', '.join(unknown)} is no dev split of {task.name}: {', '.join(known_splits)}"
        raise InputError(str(file.path), [Problem(location="split", text=text)])
    hyper, notes = file.hyper, []
    if threshold is None and task.unanswerable:
        threshold = hyper.null_threshold if hyper else 0.0
        if hyper is None:
            notes.append("no run around it: f1 and exact are those of --threshold 0")
    scores = dev_scores(
        {name: dev_predictions.scores_of(table, task, threshold) for name, table in tables.items()},
        known_splits[0],
        multilingual=bool(task.languages),
    )
    notes += _journal_notes(file, scores)
    dev_examples = hyper.dev_examples if hyper else None
    if dev_examples:
        notes.append(f"of each dev split {dev_examples:,} examples were scored (dev_examples)")
    if file.hold_out is not None:
        notes.append(f"of each dev split the held-out part is kept (hold_out {file.hold_out:g})")
    if data is not None:
        notes += compare_gold(file, tables, task, data)
    record = file.record
    return TrialScores(
        trial=file.trial,
        phase=record.phase if record else "",
        seed=record.seed if record else None,
        examples={name: table.num_rows for name, table in tables.items()},
        scores=scores,
        notes=tuple(notes),
    )


def _journal_notes(file: KeptFile, scores: Mapping[str, float]) -> list[str]:
    """Return in which scores the journal differs; the names that only one of them has included."""
    if file.searched is None:
        return []
    if file.record is None:
        return ["the run's journal has no such trial"]
    known = file.known_scores
    names = [name for name in {**known, **scores} if known.get(name) != scores.get(name)]
    return [
        f"the journal has {name} {_percent(known.get(name))}, the file {_percent(scores.get(name))}"
        for name in names
    ]


def _percent(score: float | None) -> str:
    return "not" if score is None else repr(100 * score)


def plain_text(result: KeptScores) -> str:
    """Return the scores in percent: a line for each score of one trial, or for each of several."""
    if len(result.trials) > 1:
        return "\n".join([*_table(result), *_note_lines(result)])
    trial = result.trials[0]
    origin = f"{trial.phase}, seed {trial.seed}, " if trial.phase else ""
    counts = ", ".join(f"{count:,} of {split}" for split, count in trial.examples.items())
    width = max(map(len, trial.scores))
    lines = [f"{result.task}, trial {trial.trial}, {origin}examples: {counts}"]
    lines += [f"{name:<{width}}  {100 * value:6.2f}" for name, value in trial.scores.items()]
    return "\n".join([*lines, *_note_lines(result)])


def _table(result: KeptScores) -> list[str]:
    """Return a line for each trial, and a title; of many scores the first ones and the means."""
    names = [*dict.fromkeys(name for trial in result.trials for name in trial.scores)]
    if len(names) > _MAX_COLUMNS:
        names = [name for name in names if name.count(".") == 1 or name.startswith("dev.mean.")]
    titles = [name.removeprefix("dev.") for name in names]
    rows = [["trial", "phase", "seed", *titles]]
    for trial in result.trials:
        cells = (trial.scores.get(name) for name in names)
        scores = ["-" if value is None else f"{100 * value:.2f}" for value in cells]
        seed = "-" if trial.seed is None else str(trial.seed)
        rows.append([trial.trial, trial.phase or "-", seed, *scores])
    title = f"{result.task}, kept dev predictions of {len(result.trials)} trials, in percent"
    return [title, *formatting.aligned(rows, left=2)]


def _note_lines(result: KeptScores) -> list[str]:
    """Return the notes; one that several trials share stands once, without their ids."""
    trials: dict[str, list[str]] = {}
    for trial in result.trials:
        for note in trial.notes:
            trials.setdefault(note, []).append(trial.trial)
    lines = [f"note: {note}" for note in result.notes]
    for note, identities in trials.items():
        shared = len(identities) == len(result.trials)
        lines.append(f"note: {note}" if shared else f"note: {', '.join(identities)}: {note}")
    return lines


def json_text(result: KeptScores) -> str:
    """Return a JSON object, with scores in percent."""
    trials = [
        {**vars(trial), "scores": {name: 100 * value for name, value in trial.scores.items()}}
        for trial in result.trials
    ]
    return json.dumps({"task": result.task, "trials": trials, "notes": result.notes}, indent=2)
