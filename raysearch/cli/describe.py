"""Print the plan of a study: what would be searched, trained and seen.

It is apart from `commands` because that module only parses the command line.
"""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from .. import search_space as spaces
from ..data import readers
from ..errors import printable
from ..preflight import precision_notes, weights_note
from ..recipes import RECIPES, Steps
from ..recipes.schedule import make_schedule
from ..results import study_power
from ..results.formatting import format_percent
from ..run_folder import Phase
from ..statistics.power import POWER_RULE
from ..study import Study, TaskStudy
from ..study.model_names import describe_model, resolve_model_folder
from ..study.unused_fields import nothing_to_choose
from ..study.unusual_values import unusual_value_notes
from .tables import add_row, make_console, make_table, print_wrapped

if TYPE_CHECKING:
    from ..search.dry_run import DryRun, FirstTrials

Sizes = Mapping[str, Mapping[str, int]]  # task -> split -> examples
MAX_SCHEDULES = 50  # configurations of a task whose schedules are shown
MAX_POINTS = 5000  # configurations that are counted one by one


def show_plan(
    study: Study, sizes: Sizes, notes: Iterable[str] = (), held_out: Sizes | None = None
) -> None:
    """Print what a study would run.

    Args:
        study: the study.
        sizes: of the tasks whose data were read, the number of examples of each split. For these
            tasks the data and the schedules of the first configurations are shown.
        notes: further lines.
        held_out: of these tasks, the number of held-out examples of each dev split; None if no
            examples are held out.
    """
    model = printable(f"  model {study.model}, recipe {study.recipe}")
    make_console().print(Text.assemble((printable(study.name), "bold"), model))
    for name in dict.fromkeys(study.resolve(name).written_model for name in study.tasks):
        print_wrapped(f"{name}: {describe_model(name)}")
    for task in map(study.resolve, study.tasks):
        if start := _planned_start(task):
            print_wrapped(f"{task.name} starts from {start}")
        elif task.model != resolve_model_folder(study.model):
            print_wrapped(f"{task.name} starts from {task.model}")
    make_console().print(_searches(study))
    if study.search.hours:
        print_wrapped(f"at most {study.search.hours:g} hours: after that no new trial begins")
    if study.search.device_hours:
        print_wrapped(
            f"the search spends {study.search.device_hours:g} device hours, and less than one trial"
            " more; the confirmation comes in addition"
        )
    if sizes:
        make_console().print(_data(study, sizes, held_out or {}))
        make_console().print(_schedules(study, sizes))
    if unread := [name for name in study.tasks if name not in sizes]:
        all_unread = len(unread) == len(study.tasks)
        which = "the data" if all_unread else f"the data of {', '.join(unread)}"
        print_wrapped(f"{which} was not looked at: add --data FOLDER")
    _show_power(study, sizes)
    teachers = [(name, _teachers(study.resolve(name))) for name in study.tasks]
    lines = [f"{name} teachers: {counts}" for name, counts in teachers if counts]
    deviations = [f"otherwise than its source: {text}" for text in study.deviations]
    for name in study.tasks:
        if text := nothing_to_choose(study.resolve(name)):
            lines.append(f"{name}: {text}")
    for note in (*lines, *deviations, *unusual_value_notes(study), *notes):
        print_wrapped(note)


def show_dry_run(result: "DryRun") -> None:
    """Print what a run would do first, after what `check` says of its study."""
    start = result.start
    study, survey = start.choice.study, start.survey
    notes = [*survey.notes, *weights_note(study), *start.cluster.notes]
    notes += precision_notes(study, start.lanes, start.cluster.resources)
    show_plan(study, survey.sizes, notes, survey.held_out)
    table = make_table("task", "would begin", "seed", "configuration")
    for task in result.tasks:
        for record in task.records:
            title = f"{record.phase} {record.number}"
            title += " again" if record.attempts else ""
            if record.id in task.answers:
                title += f", from {task.answers[record.id]}"
            point = spaces.format_point(record.configuration) or "the defaults"
            add_row(table, task.task, title, str(record.seed), point)
    if table.row_count:
        make_console().print(table)
    for task in result.tasks:
        print_wrapped(f"{task.task}: {_trials_to_come(task)}")
    print_wrapped(f"run folder: {result.folder}")
    print_wrapped(f"disk: {result.disk}")
    print_wrapped(f"lanes: {result.lanes}")
    if any(readers.needs_root(study.task(name)) for name in study.tasks):
        print_wrapped(f"data: {start.data}")
    if start.reused:
        print_wrapped(f"trials are taken from: {', '.join(start.reused)}")
    for note in result.notes:
        print_wrapped(note)
    print_wrapped("dry run: nothing was started, and no run folder was written")


def _trials_to_come(task: "FirstTrials") -> str:
    """Return how many trials of a task there are to come, in words."""
    phases: tuple[tuple[Phase, str], ...] = (("search", "search"), ("confirm", "confirmation"))
    left = [(max(0, task.planned[phase] - task.ended[phase]), name) for phase, name in phases]
    parts = [f"{count} of the {name}" for count, name in left if count]
    text = f"{' and '.join(parts) or 'no trials'} to come"
    if ended := sum(task.ended.values()):
        text += f", {ended} {'has' if ended == 1 else 'have'} ended"
    if task.interrupted == 1:
        text += ", 1 was interrupted and begins first"
    elif task.interrupted:
        text += f", {task.interrupted} were interrupted and begin first"
    if task.source:
        text += f"; it begins when {task.source} has its winner"
    if task.looked_for:
        text += f"; other runs answer {len(task.answers)} of the first {task.looked_for}"
    return text


def _planned_start(task: TaskStudy) -> str:
    """Return what a task starts from instead of a model, in words; "" for a model."""
    if task.start is None:
        return ""
    text = f"the winner of {task.start.task}"
    if task.start.seed == "same":
        text += ", each seed of confirm.seeds from its trial with that seed"
    return text


def _searches(study: Study) -> Table:
    """Return a table of what is searched for each task, and with how many trials."""
    table = make_table("task", "searched", "trials", "confirmed", "tried first")
    for name in study.tasks:
        task = study.resolve(name)
        points = spaces.count_points(task.space)
        searched = ", ".join(task.space) or "nothing"
        if points < math.inf:
            searched += f" ({points:.0f} configurations)"
        planned = task.planned_trials
        trials = f"{planned} by {study.search.sampler}" if planned else "-"
        first = str(min(len(task.initial_points), planned) or "-")
        add_row(table, name, searched, trials, _confirmed(task), first)
    return table


def _confirmed(task: TaskStudy) -> str:
    """Return which trials the confirmation of a task has, in words."""
    confirm = task.study.confirm
    if not confirm.seeds:
        return "-"
    count = len(confirm.seeds)
    top = min(confirm.top, task.planned_trials or 1)
    text = f"top {top} x {count} seeds"
    if confirm.choose and top > 1:
        race = "at most " * confirm.race
        text = f"top {top} x {race}{len(confirm.choose)} seeds, winner x {count}"
    return f"{text}, published x {count}" if confirm.published else text


def _show_power(study: Study, sizes: Sizes) -> None:
    """Print what differences the study will be able to see."""
    if not (powers := study_power.study_power(study, sizes)):
        return
    table = make_table("task", "dev", "score", "one model's 95 %", "seeds", "sees", "published")
    for power in powers:
        sees = "-" if power.visible is None else format_percent(power.visible)
        ends = dict.fromkeys(
            format_percent(score) for score in power.published[:: len(power.published) - 1 or 1]
        )
        score = f"{format_percent(power.score)} {power.metric}"
        published = " to ".join(ends) or "-"
        add_row(
            table,
            power.task,
            f"{power.examples:,}",
            score,
            f"+-{format_percent(power.each_way)}",
            str(power.seeds),
            sees,
            published,
        )
    make_console().print(table)
    if any(power.visible is not None for power in powers):
        print_wrapped(POWER_RULE)
    if single := [power.task for power in powers if power.visible is None]:
        print_wrapped(
            f"{', '.join(single)}: a single seed is printed, whose 95 % is of the dev examples"
            " alone; how far other seeds lie apart is not seen (several under confirm.seeds would"
            " show it)"
        )
    if assumed := [power.task for power in powers if not power.published]:
        print_wrapped(
            f"{', '.join(assumed)}: a score of {100 * study_power.ASSUMED:.0f} is assumed"
        )
    alike = [p.task for p in powers if len(p.published) > 1 and p.range < (p.visible or 0)]
    if alike:
        print_wrapped(
            f"{', '.join(alike)}: all published systems differ by less than this study can see"
        )


def _teachers(task: TaskStudy) -> str:
    """Return how many teachers the trials of a task need, in words; "" if they need none."""
    if not task.recipe.has_teachers:
        return ""
    space, planned, confirm = task.space, task.planned_trials, task.study.confirm
    # A continuous dimension is represented by its ends.
    ends = {
        key: d if d.values else spaces.Choice(choice=d.ends, when=d.when)
        for key, d in space.items()
    }
    points = spaces.grid(ends) if spaces.count_points(ends) <= MAX_POINTS else []
    # Dimensions that the grid does not cover: all of a space that is too large, else continuous
    # ones. If the teachers differ along them, there may be as many teachers as trials.
    uncovered = {key: d.ends[0] for key, d in space.items() if not points or not d.values}
    count = len(_teacher_configurations(task, points))
    if uncovered:
        at_low = [{**point, **uncovered} for point in points or [{}]]
        if count != len(_teacher_configurations(task, at_low)):
            count = planned
    if not count:
        return ""
    counts = []
    if planned:
        counts.append(f"{'at most ' * (count > 1)}{min(planned, count)} in the search")
    if confirm.seeds:
        top = min(confirm.top, planned or 1, count)
        chooses = len(confirm.choose) if min(confirm.top, planned) > 1 else 0
        seeds = len(confirm.seeds)
        number = top * chooses + (1 if chooses else top) * seeds
        number += seeds * (confirm.published and count > 1)
        counts.append(f"{'at most ' * (top > 1)}{number} in the confirmation")
    return ", ".join(counts)


def _teacher_configurations(task: TaskStudy, points: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the distinct configurations of teachers at these points of a task's space."""
    configurations = map(task.teacher_configuration, points)
    return {repr(sorted(values.items())) for values in configurations if values}


def _data(study: Study, sizes: Sizes, held_out: Sizes) -> Table:
    """Return a table of the examples that are trained on, selected on and printed."""
    selects = "their mean" if study.search.select_on == "mean" else "the first"
    titles = [f"scored on, {selects} selects"]
    if study.search.hold_out is not None:
        titles = [f"searched on, {selects} selects", "printed on"]
    table = make_table("task", "trains on", *titles)
    for name in (name for name in study.tasks if name in sizes):
        task = study.resolve(name)
        train = {split.name: sizes[name][split.name] for split in task.training_splits}
        total, max_dev = sum(train.values()), task.shared.dev_examples
        copies = task.shared.examples_per_epoch(total) - total
        trains = _counts(train) + (f"; {copies:,} augmented copies" if copies else "")
        dev = {split.name: sizes[name].get(split.name) for split in task.row.dev}
        scored = {n: min(size, max_dev or size) for n, size in dev.items() if size is not None}
        parts = [scored]
        if printed := held_out.get(name):
            parts = [{n: size - printed[n] for n, size in scored.items()}, dict(printed)]
        add_row(table, name, trains, *map(_counts, parts))
    return table


def _counts(sizes: Mapping[str, int]) -> str:
    """Return splits with their sizes, equal sizes together: "en, de 2,000 each; sw 500"."""
    names_by_size: dict[int, list[str]] = {}
    for name, size in sizes.items():
        names_by_size.setdefault(size, []).append(name)
    parts = [
        f"{', '.join(names)} {size:,}{' each' * (len(names) > 1)}"
        for size, names in names_by_size.items()
    ]
    return "; ".join(parts)


def _schedules(study: Study, sizes: Sizes) -> Table:
    """Return a table of steps, warmup and evaluations of the configurations that are tried first.

    Counts of steps that depend on the tokenizer are marked with "at least", or unknown ("?").
    """
    table = make_table("task", "configuration", "steps", "warmup", "evaluations")
    recipe = RECIPES[study.recipe]
    for name in (name for name in study.tasks if name in sizes):
        task = study.resolve(name)
        examples = sum(sizes[name][split.name] for split in task.training_splits)
        facts = task.row.facts
        for point in task.initial_points[:MAX_SCHEDULES] or [{}]:
            hyper = task.hyperparameters(point)
            rows = [(spaces.format_point(point) or "the defaults", hyper)]
            if teacher := recipe.teacher_configuration(hyper):
                rows.insert(0, ("its teacher", recipe.hyper.model_validate(teacher)))
            for text, values in rows:
                schedule = make_schedule(values, values.examples_per_epoch(examples))
                is_fixed = isinstance(values.EPOCH, Steps) or values.epoch_examples
                prefix = "at least " if facts.splits_examples and not is_fixed else ""
                counts = [f"{prefix if n else ''}{n:,}" for n in (schedule.steps, schedule.warmup)]
                if facts.joins_examples and not is_fixed:
                    counts = ["?", "?"]
                add_row(table, name, text, *counts, str(len(schedule.evaluations)))
    return table
