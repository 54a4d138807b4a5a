"""What a worker makes of a job for others: its scored splits and its plan for the journal.

It is apart from the worker because it needs neither broker nor model.
"""

import traceback
from typing import Any, cast

from ..data.dataset import EncodedDataset
from ..data.training_set import as_training_set
from ..recipes import Hyperparameters
from ..run_folder.plan import Plan
from ..training import Job


def scored_splits(splits: dict[str, Any], hyper: Hyperparameters) -> dict[str, EncodedDataset]:
    """Return splits as they are scored.

    Of a text these are MaskedBlocks, which evaluation uses like an EncodedDataset.
    """
    return {n: cast(EncodedDataset, as_training_set(split, hyper)) for n, split in splits.items()}


def plan_of(job: Job) -> Plan:
    """Return a job's schedule as a journal stores it: JSON has only texts as keys."""
    schedule = job.schedule
    searched: dict[str, int] | None = None
    held_out: dict[str, int] | None = None
    if job.searched:  # an example with several rows, such as windows, counts once
        searched = {name: len(set(split.ids())) for name, split in job.searched.items()}
        held_out = {name: len(set(split.ids())) for name, split in job.dev.items()}
    return Plan(
        steps=schedule.steps,
        warmup=schedule.warmup,
        per_epoch=schedule.per_epoch,
        evaluations=schedule.evaluations,
        rungs={str(fraction): step for fraction, step in schedule.rungs.items()},
        searched=searched,
        held_out=held_out,
    )


def traceback_text(error: BaseException) -> str:
    """Return an error as Python prints it."""
    return "".join(traceback.format_exception(error)).strip()
