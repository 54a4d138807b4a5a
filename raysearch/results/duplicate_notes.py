"""What a run's results say of examples that its own files hold more than once.

It is apart because the table, the report, the statement and the model cards say it in the same
words, from the run folder alone: the data may be gone.
"""

from collections.abc import Iterable

from ..run_folder.recorded_facts import Duplicates, RecordedFacts
from ..study import Study
from . import formatting


def duplicate_text(facts: RecordedFacts, task: str) -> str:
    """Return one sentence without a full stop on the duplicates of a task; "" if it has none."""
    duplicates = facts.duplicates.get(task)
    return "; ".join(_parts(duplicates)) if duplicates else ""


def duplicate_notes(study: Study, facts: RecordedFacts) -> list[str]:
    """Return a note for each task whose data has duplicates."""
    texts = {name: duplicate_text(facts, name) for name in study.tasks}
    return [
        f"{formatting.column_title(study.task(name))}: {text}."
        for name, text in texts.items()
        if text
    ]


def _parts(duplicates: Duplicates) -> Iterable[str]:
    for split, count in duplicates.in_training.items():
        total = duplicates.dev.get(split)
        of_all = f" of {total:,}" if total is not None else ""
        yield (
            f"{count:,}{of_all} examples of {split} are in the training set too, so that its"
            " scores are too high"
        )
    if duplicates.repeated:
        text = f"{duplicates.repeated:,} of {duplicates.training:,} training examples repeat an"
        text += " earlier one"
        if duplicates.contradicting:
            text += f", {duplicates.contradicting:,} of them with another label"
        yield text
