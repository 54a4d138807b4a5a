"""The notes under a table that say how much was searched, and what came of it.

They are apart because they speak of a search as a whole: whether any trial learned something, its
length, its budget, and other runs.
"""

from collections import Counter
from collections.abc import Iterator

from ..run_folder import Records
from ..run_folder.outcomes import TrialStatus
from ..study import Study
from . import formatting
from .leaderboard import is_budget_spent, is_complete, searched_hours


def search_notes(study: Study, records: Records) -> list[str]:
    """Return notes on each search that learned nothing, was lengthened, ended early, or reused."""
    return [
        *_learning_notes(study, records),
        *_length_notes(study, records),
        *_budget_notes(study, records),
        *_reuse_notes(study, records),
    ]


def _learning_notes(study: Study, records: Records) -> Iterator[str]:
    """Yield a note for each complete task none of whose trials has learned anything."""
    for name in study.tasks:
        trials = records.of(name, "search") or records.of(name, "confirm")
        ends = Counter(record.status for record in trials)
        learned: tuple[TrialStatus, ...] = ("finished", "running")
        if not ends["degenerate"] or any(ends[end] for end in learned):
            continue
        if is_complete(study.resolve(name), records):
            counts = ", ".join(f"{count} {end}" for end, count in ends.most_common())
            phase = "search" if trials[0].phase == "search" else "confirmation"
            yield (
                f"{formatting.column_title(study.task(name))}: no trial of the {phase} learned"
                f" anything ({counts}), so that its settings cannot be compared. A degenerate trial"
                " predicts a single class or stays at chance: docs/not_learning.md says what helps."
            )


def _length_notes(study: Study, records: Records) -> Iterator[str]:
    if not records.lengthened:
        return
    numbers = [records.lengthened[0].before, *(event.trials for event in records.lengthened)]
    text = f"Trials of the search: {numbers[0]} were planned at first"
    text += "".join(f", then {number}" for number in numbers[1:])
    if study.confirm.seeds and not study.confirm.choose:
        text += "; what was confirmed before competes too"
    yield f"{text}."


def _budget_notes(study: Study, records: Records) -> Iterator[str]:
    """Yield a note for each task whose search a budget has ended."""
    search = study.search
    if not is_budget_spent(study, records):
        return
    spent = records.device_hours_of(search.seed)
    budget = f"{search.hours or 0:g} hours ({searched_hours(records):.2f} h)"
    if search.device_hours is not None and spent >= search.device_hours:
        budget = f"{search.device_hours:g} device hours ({spent:.2f} h)"
    for name in study.tasks:
        begun, planned = records.begun(name, "search"), study.resolve(name).planned_trials
        if begun < planned:
            column = formatting.column_title(study.task(name))
            text = f"the search ended after {begun} of {planned} trials, as its budget of {budget}"
            yield f"{column}: {text} was spent."


def _reuse_notes(study: Study, records: Records) -> Iterator[str]:
    """Yield a note for each task some of whose trials come from other runs."""
    for name in study.tasks:
        trials = [record for record in records.of(name) if record.phase != "teach"]
        counts = Counter(record.reused_from for record in trials if record.reused_from)
        if counts:
            runs = ", ".join(f"{run} ({count})" for run, count in counts.items())
            runs = runs if len(counts) > 1 else next(iter(counts))
            column = formatting.column_title(study.task(name))
            yield f"{column}: {counts.total()} of {len(trials)} trials come from {runs}."
