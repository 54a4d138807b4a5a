"""The paper's table of a study: the winners, their scores, and the published scores beside them.

It is apart from the formats and from files because it makes plain values.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from .. import metrics
from ..errors import shorten
from ..run_folder import Record, Records
from ..study import Study, TaskStudy
from ..study.model_names import resolve_model_folder
from ..tasks import Task
from ..tasks.glue import AVERAGED
from . import formatting
from .confirmation_notes import confirmation_notes
from .cost import cost_table
from .leaderboard import (
    RankedConfiguration,
    configurations_without_result,
    is_complete,
    leaderboard,
    planned_trials,
)
from .optimism import optimism_notes
from .pareto import front_tables
from .published_rows import comparison_rows
from .published_setting import published_setting_notes, published_setting_rows
from .published_table import published_table
from .score_cells import interval_cell, result_cell, result_scores, score_cell
from .score_intervals import Differences, Intervals, no_difference, no_interval
from .search_notes import search_notes
from .start_notes import start_text
from .table_rows import BLANK, UNKNOWN, Cell, Row, Table

PAPER_SETTINGS = ("BSZ", "LR", "EPOCH", "WARMUP")  # every table has rows for them

INTERVAL = "95 %"  # the row of intervals

Leaders = dict[str, RankedConfiguration | None]


def paper_table(
    study: Study,
    records: Records | None = None,
    intervals: Intervals = no_interval,
    differences: Differences = no_difference,
) -> Table:
    """Return a study's table, one column per task.

    Args:
        study: the study.
        records: its trials; None for a table of the published rows alone.
        intervals: returns the interval of a score, see `score_intervals`; without it the table has
            neither intervals nor verdicts.
        differences: returns the interval of the difference of two configurations.
    """
    average = set(AVERAGED) <= set(study.tasks)
    if records is None:
        return published_table(study, table_settings(study), average)
    columns = [formatting.column_title(study.task(name)) for name in study.tasks]
    if average:
        columns.append("AVG")
    leaders = leading_configurations(study, records)
    rows = [
        *_setting_rows(study, leaders),
        *_result_rows(study, leaders),
        *_interval_rows(study, leaders, intervals),
        *published_setting_rows(study, records, leaders, intervals, differences),
        *_progress_rows(study, records),
        *_metric_rows(study, leaders),
        *_language_rows(study, leaders),
    ]
    if average:
        rows = [_with_average(row, leaders) for row in rows]
    published_rows, notes = comparison_rows(study, leaders, average, intervals)
    return Table(
        title=f"{study.name}: {study.model}",
        columns=tuple(columns),
        rows=(*rows, *published_rows),
        notes=(
            _measurement_note(study),
            *search_notes(study, records),
            *confirmation_notes(study, records),
            *published_setting_notes(study),
            *_model_notes(study, records),
            *_division_notes(study, leaders),
            *_result_notes(study, records, leaders),
            *_single_seed_notes(study, leaders, intervals),
            *optimism_notes(study, records, leaders, intervals),
            *notes,
            *_deviation_notes(study),
        ),
        fronts=front_tables(study, records),
        cost=cost_table(study, records),
    )


def leading_configurations(study: Study, records: Records) -> Leaders:
    """Return the leading configuration of each task; None while it is not finished."""
    return {
        name: next(iter(leaderboard(study.resolve(name), records)), None)
        if is_complete(study.resolve(name), records)
        else None
        for name in study.tasks
    }


def hyperparameter_values(task: TaskStudy, record: Record) -> dict[str, Any]:
    """Return a trial's hyperparameters by name; a teacher's without those that have no effect."""
    hyper = task.hyperparameters(record.configuration)
    ineffective = hyper.ineffective_fields() if record.phase == "teach" else frozenset()
    values = hyper.model_dump(mode="json")
    return {name: value for name, value in values.items() if name not in ineffective}


def table_settings(study: Study) -> list[str]:
    """Return the hyperparameters that have a row: the papers' four and the searched ones."""
    searched = [name for task in study.tasks for name in study.resolve(task).space]
    return list(dict.fromkeys((*PAPER_SETTINGS, *searched)))


def _setting_rows(study: Study, leaders: Leaders) -> list[Row]:
    hypers = [
        leader and study.resolve(name).hyperparameters(leader.configuration)
        for name, leader in leaders.items()
    ]
    rows = []
    for name in table_settings(study):
        cells = []
        for hyper in hypers:
            value = hyper.model_dump()[name] if hyper else None
            cells.append(Cell(formatting.format_setting(value), value) if hyper else UNKNOWN)
        rows.append(Row(name=name, cells=tuple(cells)))
    return rows


def _result_rows(study: Study, leaders: Leaders) -> list[Row]:
    def row(name: str, make_cell: Callable[[Task, RankedConfiguration], Cell]) -> Row:
        cells = [
            make_cell(study.task(task), leader) if leader else UNKNOWN
            for task, leader in leaders.items()
        ]
        return Row(name=name, cells=tuple(cells))

    def spread(task: Task, leader: RankedConfiguration) -> Cell:
        if len(leader.trials) < 2:
            return UNKNOWN
        return result_cell(study.resolve(task.name), leader.standard_deviations)

    return [
        row("Result", lambda task, leader: result_cell(study.resolve(task.name), leader.scores)),
        row("Spread", spread),
        row("Seeds", lambda _, leader: Cell(format_seed_count(leader), len(leader.trials))),
    ]


def _interval_rows(study: Study, leaders: Leaders, intervals: Intervals) -> list[Row]:
    """Return the row of the results' intervals; none where no predictions were kept."""
    cells = []
    for name, leader in leaders.items():
        task = study.resolve(name)
        names = result_scores(task)
        cells.append(interval_cell([intervals(task, leader, n) if leader else None for n in names]))
    return [Row(name=INTERVAL, cells=tuple(cells))] if any(cell.value for cell in cells) else []


def format_seed_count(leader: RankedConfiguration) -> str:
    """Return the number of seeds behind a score: "3", or "2 of 3" if one failed."""
    counted = str(len(leader.trials))
    return f"{counted} of {leader.seeds}" if leader.missing else counted


def _progress_rows(study: Study, records: Records) -> list[Row]:
    """Return a row with the number of trials that are over, unless all tasks are complete."""
    if all(is_complete(study.resolve(name), records) for name in study.tasks):
        return []
    cells = []
    for name in study.tasks:
        done = sum(record.is_over for record in records.of(name))
        planned = sum(planned_trials(study.resolve(name), records).values())
        cells.append(Cell(f"{done} of {planned}", [done, planned]))
    return [Row(name="Trials", cells=tuple(cells))]


def _metric_rows(study: Study, leaders: Leaders) -> list[Row]:
    """Return a row for each metric that is reported in addition to the one that selects."""
    further = [metric for name in study.tasks for metric in study.task(name).extra_metrics]
    rows = []
    for metric in dict.fromkeys(further):
        cells = []
        for name, leader in leaders.items():
            task = study.task(name)
            cell = score_cell(task, metric, leader.scores) if leader else UNKNOWN
            cells.append(cell if metric in task.metrics else BLANK)
        rows.append(Row(name=metric, cells=tuple(cells)))
    return rows


def _language_rows(study: Study, leaders: Leaders) -> list[Row]:
    """Return rows with the metric that selects: each language, their mean, and their gap.

    The gap is the score of the first language minus the mean of the others.
    """
    names = dict.fromkeys(code for name in leaders for code in study.task(name).languages)
    rows = []
    for code in (*names, "mean", "gap") if names else ():
        cells = []
        for name, leader in leaders.items():
            task = study.task(name)
            first = task.languages[:1] == (code,)
            key = f"dev.{task.metric}" if first else f"dev.{code}.{task.metric}"
            value = leader.scores.get(key) if leader and task.languages else None
            cell = UNKNOWN if value is None else Cell(formatting.format_percent(value), value)
            cells.append(cell if code in (*task.languages, "mean", "gap") else BLANK)
        if any(cell.value is not None for cell in cells):
            rows.append(Row(name=code, cells=tuple(cells)))
    return rows


def _with_average(row: Row, leaders: Leaders) -> Row:
    """Return the row with the papers' average as its last cell; only results have an average."""
    if row.name != "Result":
        return replace(row, cells=(*row.cells, BLANK))
    scores = {name: leader.score for name, leader in leaders.items() if leader}
    mean = metrics.average(scores, AVERAGED)
    cell = UNKNOWN if mean is None else Cell(formatting.format_percent(mean), mean)
    return replace(row, cells=(*row.cells, cell))


def _measurement_note(study: Study) -> str:
    """Return the note that says how the row of results was measured."""
    groups: dict[str, list[str]] = {}
    for name in study.tasks:
        task = study.task(name)
        groups.setdefault(task.metric, []).append(formatting.column_title(task))
    names = "; ".join(f"{metric} of {', '.join(group)}" for metric, group in groups.items())
    printed = len(study.confirm.seeds)
    seeds = f"{study.confirm.report} over seeds, " if printed > 1 else "one seed, " * printed
    part = "dev" if study.search.hold_out is None else "held-out part of dev"
    text = f"Result: {part}, {seeds}{study.search.select} evaluation, percent. {names}."
    codes = dict.fromkeys(c for name in study.tasks for c in study.task(name).languages[:1])
    if codes and study.search.select_on == "mean":
        text += " Selected on the mean over languages: not zero-shot."
    elif codes:
        text += f" Selected on {', '.join(codes)} alone."
    for count in {study.resolve(name).fixed.get("dev_examples") for name in study.tasks} - {None}:
        verb = "Scored on" if study.search.hold_out is None else "Divided:"
        text += f" {verb} {count} examples of each dev split."
    return text


def _model_notes(study: Study, records: Records) -> list[str]:
    """Return a note for each model, other than the study's, or winner, from which tasks start."""
    columns_by_start: dict[str, list[str]] = {}
    for task in map(study.resolve, study.tasks):
        start = f"from {task.model}" if task.model != resolve_model_folder(study.model) else ""
        if start := start_text(task, records) or start:
            columns_by_start.setdefault(start, []).append(formatting.column_title(task.row))
    return [f"{', '.join(columns)}: {start}." for start, columns in columns_by_start.items()]


def _division_notes(study: Study, leaders: Leaders) -> list[str]:
    """Return a note for each task on what was searched, and of what the result is printed."""
    notes = []
    for name, leader in leaders.items():
        plan = leader.trials[0].plan if leader else None
        if plan is None or plan.searched is None or plan.held_out is None:
            continue
        searched, printed = (_counts(part.values()) for part in (plan.searched, plan.held_out))
        column = formatting.column_title(study.task(name))
        notes.append(
            f"{column}: searched on {searched} examples of dev, printed on the other {printed}."
        )
    return notes


def _counts(counts: Iterable[int]) -> str:
    """Return the numbers of examples in dev splits: "4,908/4,916", or one that all of them have."""
    texts = [f"{count:,}" for count in counts]
    return texts[0] if len(set(texts)) == 1 else "/".join(texts)


def _deviation_notes(study: Study) -> list[str]:
    """Return one note that names what the study does otherwise than its source, shortened."""
    texts = "; ".join(shorten(text.rstrip(".")) for text in study.deviations)
    return [f"Otherwise than the source: {texts}."] if texts else []


def _result_notes(study: Study, records: Records, leaders: Leaders) -> list[str]:
    """Return notes on tasks that are not finished or have no result, and on seeds of winners.

    A seed is noted if it failed, diverged or learned nothing, with the rule by which it counts.
    """
    notes, confirm = [], study.confirm
    for name, leader in leaders.items():
        column = formatting.column_title(study.task(name))
        if leader is not None:
            notes += [f"{column}: {text}." for text in _seed_notes(study.task(name), leader)]
        if not is_complete(study.resolve(name), records):
            notes.append(f"{column}: not finished; its result follows when all trials are over.")
            continue
        failed = configurations_without_result(study.resolve(name), records)
        if leader is None:
            ends = [record.status for record in records.of(name) if record.phase != "teach"]
            counts = [f"{ends.count(end)} {end}" for end in dict.fromkeys(ends)]
            text = ", ".join(counts) or "no trials"
            trials = (
                "printed trial of its winner" if confirm.choose else "trial of its confirmation"
            )
            why = f": every {trials} failed" if failed else ""
            notes.append(f"{column}: no result{why} ({text}).")
        elif failed:
            several = len(failed) > 1
            text = f"every seed of {len(failed)} other configuration{'s' * several} failed"
            notes.append(f"{column}: {text}; no result of {'those' if several else 'it'}.")
    return notes


def _single_seed_notes(study: Study, leaders: Leaders, intervals: Intervals) -> list[str]:
    """Return the note on intervals that cover the dev examples alone; none if all cover seeds."""
    columns = []
    for name, leader in leaders.items():
        task = study.resolve(name)
        if leader and len(leader.trials) == 1 and intervals(task, leader, task.printed_metric):
            columns.append(formatting.column_title(task.row))
    text = f"{INTERVAL}, and verdicts by it, are of a single seed and the dev examples alone"
    return [f"{', '.join(columns)}: {text}: other seeds may lie outside."] if columns else []


def _seed_notes(task: Task, leader: RankedConfiguration) -> list[str]:
    """Return notes on a winner's seeds that failed, diverged or learned nothing."""
    notes, count = [], len(leader.trials)
    if failed := [record.seed for record in leader.missing if record.status == "failed"]:
        notes.append(f"{format_seed_count(leader)} seeds; {formatting.name_seeds(failed)} failed")
    if diverged := [record.seed for record in leader.trials if record.status == "diverged"]:
        worst = formatting.format_percent(metrics.worst(task.metric))
        notes.append(
            f"{formatting.name_seeds(diverged)} diverged, counted with the worst score, {worst}"
        )
    degenerate = [record.seed for record in leader.trials if record.status == "degenerate"]
    if degenerate and len(degenerate) == count:
        notes.append("not a result, every trial of its winner is degenerate: it learned nothing")
    elif degenerate:
        text = f"{len(degenerate)} of the {count} trials of its winner learned nothing"
        notes.append(f"{text}: {formatting.name_seeds(degenerate)}, counted as measured")
    return notes
