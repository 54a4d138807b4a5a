"""The winner of a task as a study of its own, which trains it again.

It is apart from the tables because its result is a study, not scores.
"""

from .. import study as studies
from ..run_folder import Records
from ..study import Confirm, Search, Study, TaskStudy
from . import formatting
from .leaderboard import RankedConfiguration, is_complete, leaderboard, planned_trials
from .paper_table import format_seed_count

# Status of a seed -> how it counts.
_HOW_COUNTED = {
    "failed": "failed",
    "diverged": "diverged, counted with the worst score",
    "degenerate": "learned nothing, counted as measured",
}


def best_study(task: TaskStudy, records: Records) -> str | None:
    """Return the leading configuration as YAML with a header; None before any trial has a score."""
    leader = next(iter(leaderboard(task, records)), None)
    if leader is None:
        return None
    return _header(task, records, leader) + studies.dump(rerun_study(task, leader))


def no_best_study(task: TaskStudy) -> str:
    """Return the content of best.yaml, a comment, for a task that no longer has a result."""
    return f"# {task.study.name} has no result on {task.name}: no trial has a score that counts.\n"


def rerun_study(task: TaskStudy, leader: RankedConfiguration) -> Study:
    """Return a study that has only the trials of a configuration that count, with the same seeds.

    Args:
        task: the task of the study that was run.
        leader: the configuration.
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
    return study.model_copy(
        update={
            "name": f"{study.name}-{task.row.slug}",
            "tasks": (task.name,),
            "model": task.model_name,
            "space": {},
            "fixed": {**task.fixed, **leader.configuration},
            "per_task": {},
            "search": search,
            "confirm": Confirm(
                top=1, seeds=seeds, report=study.confirm.report if seeds else "median"
            ),
            "published": tuple(published),
        }
    )


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
        "A study like any other: it trains this configuration again, with the same seeds.",
        "",
        "raysearch run best.yaml --data DATA",
    ]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines) + "\n"
