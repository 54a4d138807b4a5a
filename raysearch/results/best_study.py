"""The winner of a task as a study of its own, which trains it again.

It is apart from the tables because its result is a study, not scores.
"""

from .. import study as studies
from ..run_folder import Record, Records
from ..study import Configuration, Confirm, PerTask, Search, Study, TaskStudy
from . import formatting
from .leaderboard import RankedConfiguration, is_complete, leaderboard, planned_trials
from .paper_table import format_seed_count
from .start_notes import start_text

# Status of a seed -> how it counts.
_HOW_COUNTED = {
    "failed": "failed",
    "diverged": "diverged, counted with the worst score",
    "degenerate": "learned nothing, counted as measured",
}


def best_study(task: TaskStudy, records: Records) -> str | None:
    """Return the leading configuration as YAML with a header; None before any trial has a score.

    That of a task with `from` trains the winners on the way to it again, too: it is None until its
    leader has been trained with the same seeds as those.
    """
    leader = next(iter(leaderboard(task, records)), None)
    if leader is None or (task.source and not is_complete(task, records)):
        return None
    return _header(task, records, leader) + studies.dump(rerun_study(task, leader, records))


def no_best_study(task: TaskStudy) -> str:
    """Return the content of best.yaml, a comment, for a task that no longer has a result."""
    return f"# {task.study.name} has no result on {task.name}: no trial has a score that counts.\n"


def rerun_study(task: TaskStudy, leader: RankedConfiguration, records: Records) -> Study:
    """Return a study that has only the trials of a configuration that count, with the same seeds.

    A task with `from` starts from what it started from: the study has all tasks on the way to it,
    with the configurations of the trials that were started from, and all seeds of the study.

    Args:
        task: the task of the study that was run.
        leader: the configuration.
        records: the trials of the run.
    """
    study, confirmed = task.study, leader.trials[0].phase == "confirm"
    seeds = tuple(record.seed for record in leader.trials) if confirmed else ()
    search = Search(
        select=study.search.select,
        select_on=study.search.select_on,
        keep_predictions=study.search.keep_predictions,
        keep_weights=study.search.keep_weights if len(seeds) > 1 else "best",
        max_failures=study.search.max_failures,
        hold_out=study.search.hold_out,
        # A lone trial is never stopped. But it is evaluated where trials were compared, because its
        # best evaluation may be one of those.
        stop_early=None if confirmed else study.search.stop_early,
        # The division of the dev splits follows from the seed of the search.
        **({"seed": study.search.seed} if study.search.hold_out or not confirmed else {}),
    )
    published = [
        row.model_copy(update={"results": {task.name: row.results[task.name]}})
        for row in study.published
        if task.name in row.results
    ]
    fixed, per_task = {**task.fixed, **leader.configuration}, {}
    if task.source:
        seeds = study.confirm.seeds
        fixed, per_task = {}, _chain_settings(task, leader.configuration, leader.trials[0], records)
    return study.model_copy(
        update={
            "name": f"{study.name}-{task.row.slug}",
            "tasks": tuple(one.name for one in task.chain),
            "model": task.model_name,
            "space": {},
            "fixed": fixed,
            "per_task": per_task,
            "search": search,
            "confirm": Confirm(
                top=1, seeds=seeds, report=study.confirm.report if seeds else "median"
            ),
            "published": tuple(published),
        }
    )


def _chain_settings(
    task: TaskStudy, configuration: Configuration, trial: Record, records: Records
) -> dict[str, PerTask]:
    """Return the fixed settings of each task of a chain: those of what a trial came from."""
    settings: dict[str, PerTask] = {}
    for one in reversed(task.chain):
        fields = {"fixed": {**one.fixed, **configuration}, "start": one.start}
        settings[one.name] = PerTask().model_copy(update=fields)
        if trial.start is not None:
            trial = records.trials[trial.start]
            configuration = trial.configuration
    return dict(reversed(settings.items()))


def _header(task: TaskStudy, records: Records, leader: RankedConfiguration) -> str:
    """Return comment lines with the score of the configuration and the command that reruns it."""
    study, metric = task.study, task.row.metric
    part = formatting.printed_part(study.search.hold_out)
    over = ", the mean over languages" if ".mean." in task.printed_metric else ""
    score = f"{metric} {formatting.format_percent(leader.score, 2)} on {part}{over}"
    if len(leader.trials) > 1:
        spread = formatting.format_percent(leader.standard_deviation, 2)
        count = format_seed_count(leader)
        score += f", the {study.confirm.report} of {count} seeds (spread {spread})"
    elif leader.missing:
        score += f", {format_seed_count(leader)} seeds"
    for status, text in _HOW_COUNTED.items():
        trials = (*leader.missing, *leader.trials)
        if numbers := [record.seed for record in trials if record.status == status]:
            score += f"; {formatting.name_seeds(numbers)} {text}"
    subject = "The winner"
    if not is_complete(task, records):
        done = sum(record.is_over for record in records.of(task.name))
        planned = sum(planned_trials(task, records).values())
        subject = f"After {done} of {planned} trials the leader"
    lines = [
        f"{subject} of {study.name} on {task.name}: {score}.",
        *([f"It started {start}."] if (start := start_text(task, records)) else []),
        "A study like any other: it trains this configuration again, with the same seeds.",
        "",
        "raysearch run best.yaml --data DATA",
    ]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines) + "\n"
