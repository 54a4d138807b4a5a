"""A search with another number of trials than it was begun with.

It is apart from `run_study` because it only knows the study and the journal: samplers give every
trial a seed of its own, so that a search goes on as if the new number had been planned at first.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import Problem
from ..results.leaderboard import is_budget_spent
from ..run_folder import Journal, Records, opening
from ..run_folder.reuse_events import LengthenedEvent
from ..storage import file_inside, write_atomically
from ..study import Search, Study, checked_dump
from .session_clock import SessionClock

MAX_TRIALS = 10**6


def with_trials(study: Study, trials: int) -> Study:
    """Return a study with another number of trials."""
    return study.model_copy(update={"search": study.search.model_copy(update={"trials": trials})})


def trials_problems(folder: Path, study: Study, records: Records, trials: Any) -> list[Problem]:
    """Return why the search of a run cannot have so many trials.

    Args:
        folder: the run folder.
        study: the run's study.
        records: its trials.
        trials: the new number.
    """
    if not isinstance(trials, int) or isinstance(trials, bool) or not 1 <= trials <= MAX_TRIALS:
        text = f"a whole number from 1 to {MAX_TRIALS:,} is needed, got {trials!r}"
        return [Problem(location="trials", text=text)]
    texts = []
    names = [name for name in study.tasks if study.resolve(name).planned_trials]
    for name in names:
        if (begun := records.begun(name, "search")) > trials:
            texts.append(f"{begun} of {name} have begun; {begun} or more would do, got {trials}")
    longer = with_trials(study, trials)
    planned = {
        n: (study.resolve(n).planned_trials, longer.resolve(n).planned_trials) for n in names
    }
    if not names:
        texts.append("the study searches nothing: its space is empty")
    elif trials > study.search.trials and all(old == new for old, new in planned.values()):
        counts = ", ".join(f"{old} of {name}" for name, (old, _) in planned.items())
        texts.append(f"every configuration of the space is planned already: {counts}")
    elif trials > study.search.trials and is_budget_spent(study, records):
        budgets = {"hours": study.search.hours, "device_hours": study.search.device_hours}
        fields = " or ".join(f"search.{name}" for name, limit in budgets.items() if limit)
        text = f"the budget of the search is spent, so that no trial would begin: raise {fields}"
        texts.append(f"{text} in {opening.STUDY} of the run folder")
    if texts:
        return [Problem(location="trials", text=text) for text in texts]
    from .chain_starts import lost_starts  # imports Optuna

    return lost_starts(folder, longer, records)


def write_length(folder: Path, study: Study, journal: Journal, facts: Mapping[str, Any]) -> None:
    """Write a number of trials that is not the one that the run has recorded.

    Args:
        folder: the run folder.
        study: with the number; its file is written if it has another.
        journal: of the run.
        facts: its provenance.

    Raises:
        OSError: it cannot be written.
    """
    before = _recorded_trials(study, journal, facts)
    if before != study.search.trials:
        write_atomically(file_inside(folder, opening.STUDY), checked_dump(study))
        clock = SessionClock()
        journal.write(LengthenedEvent(at=clock.at, before=before, trials=study.search.trials))


def _recorded_trials(study: Study, journal: Journal, facts: Mapping[str, Any]) -> int:
    """Return the number of trials that a run has recorded; the study's if it has none."""
    if journal.lengthened:
        return journal.lengthened[-1].trials
    recorded = facts.get("study")
    if not isinstance(recorded, Mapping):
        return study.search.trials
    section = recorded.get("search")
    default = Search().trials  # which is not written
    trials = section.get("trials", default) if isinstance(section, Mapping) else default
    return trials if isinstance(trials, int) and trials > 0 else study.search.trials
