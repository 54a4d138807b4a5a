"""The paper's table of a study: what won, what it scored, how that compares with what was
published. It knows no file and no format."""

from collections.abc import Callable, Sequence
from typing import Any

from .. import metrics, tasks
from ..run_folder import Record, Records
from ..study import Study
from ..study.model_names import resolve_model_folder
from ..tasks import Task
from ..tasks.glue import AVERAGED
from . import formatting
from .cost import cost_table
from .leaderboard import (
    RankedConfiguration,
    configurations_without_result,
    is_complete,
    leaderboard,
    planned_trials,
)
from .published import compared
from .published_table import published_table
from .table_rows import BLANK, UNKNOWN, Cell, Row, Table

PAPERS = ("BSZ", "LR", "EPOCH", "WARMUP")  # the rows that every table has

Leaders = dict[str, RankedConfiguration | None]


def paper_table(study: Study, records: Records | None = None) -> Table:
    """A study's table, one column per task.

    Args:
        records: what was run; None for a table of the published rows alone.
    """
    average = averaged(study)
    if records is None:
        return published_table(study, settings(study), average)
    columns = [formatting.column_title(tasks.get(name)) for name in study.tasks]
    if average:
        columns.append("AVG")
    leaders = {
        name: next(iter(leaderboard(study, records, name)), None)
        if is_complete(study, records, name)
        else None
        for name in study.tasks
    }
    rows = [
        *_settings_rows(study, leaders),
        *_result_rows(study, leaders),
        *_progress_rows(study, records),
        *_further_rows(study, leaders),
        *_language_rows(leaders),
    ]
    if average:
        rows = [_with_average(row, leaders) for row in rows]
    rows_published, notes = compared(study, leaders, average)
    return Table(
        title=f"{study.name}: {study.model}",
        columns=tuple(columns),
        rows=(*rows, *rows_published),
        notes=(
            _measured(study),
            *_origins(study),
            *_without_result(study, records, leaders),
            *notes,
        ),
        cost=cost_table(study, records),
    )


def averaged(study: Study) -> bool:
    """Whether a study has every task of the papers' average."""
    return set(AVERAGED) <= set(study.tasks)


def values_of(study: Study, record: Record) -> dict[str, Any]:
    """A trial's hyperparameters, of a teacher those that it reads."""
    hyper = study.hyperparameters(record.task, record.configuration)
    unread = hyper.ineffective_fields() if record.phase == "teach" else frozenset()
    values = hyper.model_dump(mode="json")
    return {name: value for name, value in values.items() if name not in unread}


def settings(study: Study) -> list[str]:
    """Hyperparameters that have a row: the papers' four and whatever else is searched."""
    searched = [name for task in study.tasks for name in study.space_of(task)]
    return list(dict.fromkeys((*PAPERS, *searched)))


def _settings_rows(study: Study, leaders: Leaders) -> list[Row]:
    hypers = {t: s and study.hyperparameters(t, s.configuration) for t, s in leaders.items()}
    rows = []
    for name in settings(study):
        cells = []
        for hyper in hypers.values():
            value = hyper.model_dump()[name] if hyper else None
            cells.append(Cell(formatting.format_setting(value), value) if hyper else UNKNOWN)
        rows.append(Row(name=name, cells=tuple(cells)))
    return rows


def _result_rows(study: Study, leaders: Leaders) -> list[Row]:
    def each(name: str, cell: Callable[[Task, RankedConfiguration], Cell]) -> Row:
        found = [cell(tasks.get(t), s) if s else UNKNOWN for t, s in leaders.items()]
        return Row(name=name, cells=tuple(found))

    def spread(task: Task, leader: RankedConfiguration) -> Cell:
        return (
            _selected(study, task, leader.standard_deviations)
            if len(leader.trials) > 1
            else UNKNOWN
        )

    return [
        each("Result", lambda task, leader: _selected(study, task, leader.scores)),
        each("Spread", spread),
        each("Seeds", lambda _, leader: Cell(seeds(leader), len(leader.trials))),
    ]


def seeds(leader: RankedConfiguration) -> str:
    """Return how many seeds a score rests on: "3", or "2 of 3" where one failed."""
    whole = str(len(leader.trials))
    return f"{whole} of {leader.seeds}" if leader.missing else whole


def _progress_rows(study: Study, records: Records) -> list[Row]:
    """How many trials are done, while some task is not finished."""
    if all(is_complete(study, records, name) for name in study.tasks):
        return []
    cells = []
    for name in study.tasks:
        done = sum(record.is_over for record in records.of(name))
        wanted = sum(planned_trials(study, records, name).values())
        cells.append(Cell(f"{done} of {wanted}", [done, wanted]))
    return [Row(name="Trials", cells=tuple(cells))]


def _further_rows(study: Study, leaders: Leaders) -> list[Row]:
    """A row for each metric that is reported beside the one that selects."""
    also = dict.fromkeys(metric for name in study.tasks for metric in tasks.get(name).extra_metrics)
    rows = []
    for metric in also:
        cells = []
        for name, leader in leaders.items():
            task = tasks.get(name)
            known = _scores(task, metric, leader.scores) if leader else UNKNOWN
            cells.append(known if metric in task.metrics else BLANK)
        rows.append(Row(name=metric, cells=tuple(cells)))
    return rows


def _language_rows(leaders: Leaders) -> list[Row]:
    """The metric that selects in every language, their mean, and how far the others are behind the
    first."""
    names = dict.fromkeys(code for name in leaders for code in tasks.get(name).languages)
    rows = []
    for code in (*names, "mean", "gap") if names else ():
        cells = []
        for name, leader in leaders.items():
            task = tasks.get(name)
            first = task.languages[:1] == (code,)
            key = f"dev.{task.metric}" if first else f"dev.{code}.{task.metric}"
            value = leader.scores.get(key) if leader and task.languages else None
            known = UNKNOWN if value is None else Cell(formatting.format_percent(value), value)
            cells.append(known if code in (*task.languages, "mean", "gap") else BLANK)
        if any(cell.value is not None for cell in cells):
            rows.append(Row(name=code, cells=tuple(cells)))
    return rows


def _selected(study: Study, task: Task, found: dict[str, float]) -> Cell:
    """The score that selects, on every dev split where these are no languages."""
    selector = study.selection_metric(task.name)
    if selector == f"dev.{task.metric}":
        return _scores(task, task.metric, found)
    return Cell(formatting.format_percent(found[selector]), found[selector])


def _scores(task: Task, metric: str, found: dict[str, float]) -> Cell:
    """A metric on every dev split, in percent."""
    values = [found.get(f"dev.{name}") for name in formatting.dev_names(task, metric)]
    texts = [formatting.NONE if v is None else formatting.format_percent(v) for v in values]
    return Cell("/".join(texts), values if len(values) > 1 else values[0])


def _with_average(row: Row, leaders: Leaders) -> Row:
    """The row with the papers' average behind it: of results only, and only of all tasks."""
    if row.name != "Result":
        return Row(name=row.name, cells=(*row.cells, BLANK))
    scores = {name: leader.score for name, leader in leaders.items() if leader}
    mean = metrics.average(scores, AVERAGED)
    cell = UNKNOWN if mean is None else Cell(formatting.format_percent(mean), mean)
    return Row(name=row.name, cells=(*row.cells, cell))


def _measured(study: Study) -> str:
    """What Result is, in words."""
    groups: dict[str, list[str]] = {}
    for name in study.tasks:
        task = tasks.get(name)
        groups.setdefault(task.metric, []).append(formatting.column_title(task))
    names = "; ".join(f"{metric} of {', '.join(group)}" for metric, group in groups.items())
    seeds = f"{study.confirm.report} over seeds, " if study.confirm.seeds else ""
    text = f"Result: dev, {seeds}{study.search.select} evaluation, percent. {names}."
    codes = dict.fromkeys(c for name in study.tasks for c in tasks.get(name).languages[:1])
    if codes and study.search.select_on == "mean":
        text += " Selected on the mean over languages: not zero-shot."
    elif codes:
        text += f" Selected on {', '.join(codes)} alone."
    for count in {study.fixed_of(name).get("dev_examples") for name in study.tasks} - {None}:
        text += f" Scored on {count} examples of each dev split."
    return text


def _origins(study: Study) -> list[str]:
    """What tasks started from that do not start from the study's own model."""
    own: dict[str, list[str]] = {}
    for name in study.tasks:
        if study.model_of(name) != resolve_model_folder(study.model):
            own.setdefault(study.model_of(name), []).append(
                formatting.column_title(tasks.get(name))
            )
    return [f"{', '.join(columns)}: from {model}." for model, columns in own.items()]


def _without_result(study: Study, records: Records, leaders: Leaders) -> list[str]:
    """Finished tasks of which no trial gave a score, and seeds of winners that failed, diverged or
    learned nothing, each with the rule by which it counts."""
    notes = []
    for name, leader in leaders.items():
        column = formatting.column_title(tasks.get(name))
        if leader is not None:
            notes += [f"{column}: {text}." for text in _seeds_notes(leader)]
        if not is_complete(study, records, name):
            notes.append(f"{column}: not finished; its result follows when all trials are over.")
            continue
        lost = configurations_without_result(study, records, name)
        if leader is None:
            ends = [record.status for record in records.of(name) if record.phase != "teach"]
            counts = [f"{ends.count(end)} {end}" for end in dict.fromkeys(ends)]
            text = ", ".join(counts) or "no trials"
            why = ": every trial of its confirmation failed" if lost else ""
            notes.append(f"{column}: no result{why} ({text}).")
        elif lost:
            text = f"every seed of {len(lost)} other configuration{'s' * (len(lost) > 1)} failed"
            notes.append(f"{column}: {text}; no result of {'those' if len(lost) > 1 else 'it'}.")
    return notes


def _seeds_notes(leader: RankedConfiguration) -> list[str]:
    """What a winner's score rests on where not all of its seeds were trained to a good end."""
    notes, many = [], len(leader.trials)
    if failed := [record.seed for record in leader.missing if record.status == "failed"]:
        notes.append(f"{seeds(leader)} seeds; {named_seeds(failed)} failed")
    if diverged := [record.seed for record in leader.trials if record.status == "diverged"]:
        worst = formatting.format_percent(metrics.worst(tasks.get(leader.trials[0].task).metric))
        notes.append(f"{named_seeds(diverged)} diverged, counted with the worst score, {worst}")
    stuck = [record.seed for record in leader.trials if record.status == "degenerate"]
    if stuck and len(stuck) == many:
        notes.append("not a result, every trial of its winner predicts one class")
    elif stuck:
        text = f"{len(stuck)} of the {many} trials of its winner learned nothing"
        notes.append(f"{text}: {named_seeds(stuck)}, counted as measured")
    return notes


def named_seeds(numbers: Sequence[int]) -> str:
    """Return seeds by their numbers: "seed 11", "seeds 11, 12"."""
    return f"seed{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
