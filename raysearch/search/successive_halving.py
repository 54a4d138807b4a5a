"""Successive halving at the same fractions of each trial's own schedule (after Li et al., 2018).

It is apart from Tune's schedulers because it decides from records alone: a resumed run decides as
the first session would have.
"""

import math
from collections.abc import Iterable

from ..run_folder import Record


def should_continue(record: Record, others: Iterable[Record], metric: str, keep: float) -> bool:
    """Return whether a trial continues after its latest report.

    At a rung a trial continues if it is among the best `keep` of all trials that have reached the
    rung; the first one always does.

    Args:
        record: the trial, its latest report last.
        others: trials of the same search; the trial itself may be among them.
        metric: the score that selects, "dev.accuracy".
        keep: the share that continues, in (0, 1); the number of trials is rounded up.
    """
    latest = record.reports[-1]
    rungs = [rung for rung, step in record.plan["rungs"].items() if step == latest["step"]]
    if not rungs:
        return True
    score: float = latest["scores"][metric]
    rivals = [s for o in others if o is not record for s in _scores_at(o, rungs[0], metric)]
    better = sum(rival > score for rival in rivals)
    return better < math.ceil(keep * (len(rivals) + 1) - 1e-9)  # 0.07 of 100 are 7


def _scores_at(record: Record, rung: str, metric: str) -> list[float]:
    """Return the scores that a trial has reached at a rung: one, or none."""
    step = record.plan.get("rungs", {}).get(rung)
    return [r["scores"][metric] for r in record.reports if r["step"] == step and r["scores"]]
