"""The notes under a table that say how its winners were chosen.

They are apart because they speak of trials that the rows of the table do not show.
"""

from collections.abc import Iterator

from ..run_folder import Records
from ..search_space import format_point
from ..study import Study
from ..study.unused_fields import nothing_to_choose
from . import formatting
from .confirmation import Choice
from .leaderboard import confirmation

# The mean error of the winner's printed median in benchmarks/confirmation.py, top 3 x 5 seeds: 0.33
# points where one seed's standard deviation is 1.2.
_TOO_HIGH = 0.3


def confirmation_notes(study: Study, records: Records) -> list[str]:
    """Return the note on the seeds that chose the winners, and notes on dropped candidates."""
    confirm = study.confirm
    plans = {name: confirmation(study.resolve(name), records) for name in study.tasks}
    several = [plan for plan in plans.values() if plan.choice or len(plan.competing) > 1]
    if not confirm.choose and not several:
        return []
    top, printed = confirm.top, formatting.name_seeds(confirm.seeds)
    notes = []
    if not confirm.choose:
        text = f"Chosen among the top {top} and printed on the same {printed}: the winner is"
        amount = f", in simulation of 3 x 5 seeds by {_TOO_HIGH} standard deviations of one seed"
        if study.search.hold_out is not None:  # other examples choose: not simulated
            amount = ", by an amount that is not known with search.hold_out"
        return [f"{text} printed too high{amount}. confirm.choose keeps the two apart."]
    choosing = formatting.name_seeds(confirm.choose) + ", in a race" * confirm.race
    if several:
        text = f"Chosen among the top {top} by the mean over {choosing};"
        notes = [f"{text} printed on {printed} alone."]
    for name, plan in plans.items():
        column = formatting.column_title(study.task(name))
        if plan.choice is not None:
            notes += [f"{column}: {line}." for line in _choice_notes(plan.choice)]
        elif text := nothing_to_choose(study.resolve(name)):
            notes.append(f"{column}: {text}.")
        elif plan.competing and records.of(name, "confirm"):
            notes.append(f"{column}: a single configuration; there was nothing to choose.")
    return notes


def _choice_notes(choice: Choice) -> Iterator[str]:
    """Yield which candidates were dropped and which had no result."""
    count = len(choice.candidates)
    if choice.dropped:
        names = [f"{format_point(d.configuration)} after seed {d.after}" for d in choice.dropped]
        text = f"{len(names)} of {count} configurations were dropped from the race, as too far"
        yield f"{text} behind to win: {'; '.join(names)}"
    if choice.without_result:
        names = [format_point(point) for point in choice.without_result]
        yield f"no rival, failed or diverged with every choosing seed: {'; '.join(names)}"
    if choice.is_over and choice.winner is None:
        yield f"no winner: none of {count} configurations has a result with the choosing seeds"
