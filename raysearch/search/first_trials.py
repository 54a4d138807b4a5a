"""The trials with which a search would begin or go on, without beginning any.

It is apart from the proposals because nothing is written and nothing ends here: a forecast and a
dry run show what would be trained first.
"""

from collections.abc import Iterator, Mapping

from ..run_folder import DraftJournal, Record
from ..study import Study
from .proposals import Proposals
from .sampler_choice import SamplerChoice


def first_trials(
    study: Study,
    journal: DraftJournal,
    limit: int,
    content: Mapping[str, str] | None = None,
    choice: SamplerChoice | None = None,
) -> Iterator[tuple[str, list[Record]]]:
    """Yield each task with the trials that it would begin next, in order.

    A sampler that learns has learned nothing new meanwhile: it draws as if none of them had ended.
    Hours and device hours count as not spent.

    Args:
        study: what is searched.
        journal: what has happened so far; it gets these trials too.
        limit: the most trials of a task.
        content: task -> identity of its data and model; without it the trials have other ids.
        choice: the sampler that was given to the run; None for the study's.
    """
    changes = {"hours": None, "device_hours": None}
    study = study.model_copy(update={"search": study.search.model_copy(update=changes)})
    proposals = Proposals(
        study,
        journal,
        content or dict.fromkeys(study.tasks, ""),
        1,
        own_sampler=choice.make if choice else None,
    )
    for name in study.tasks:
        records: list[Record] = []
        while len(records) < limit and (record := proposals.next(name)) is not None:
            records.append(record)
        yield name, records
