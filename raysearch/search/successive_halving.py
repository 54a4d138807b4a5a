"""Successive halving at equal fractions of each trial's own schedule (after Li et al., 2018).

It decides from records alone, so that a resumed run decides as the first one would have."""

import math
from collections.abc import Iterable

from ..run_folder import Record


def should_continue(record: Record, others: Iterable[Record], metric: str, keep: float) -> bool:
    """Whether a trial goes on after its latest report.

    At a rung the best `keep` of all trials that have reached it go on, the first one always.

    Args:
        record: the trial, its latest report last.
        others: trials of the same search.
        metric: the score that selects, "dev.accuracy".
        keep: share that goes on, rounded up.
    """
    latest = record.reports[-1]
    rungs = [at for at, step in record.plan["rungs"].items() if step == latest["step"]]
    if not rungs:
        return True
    mine = latest["scores"][metric]
    rivals = [s for o in others if o is not record for s in _scores_at(o, rungs[0], metric)]
    better = sum(rival > mine for rival in rivals)
    return better < math.ceil(keep * (len(rivals) + 1) - 1e-9)  # 0.07 of 100 are 7


def _scores_at(record: Record, rung: str, metric: str) -> list[float]:
    step = record.plan.get("rungs", {}).get(rung)
    return [r["scores"][metric] for r in record.reports if r["step"] == step and r["scores"]]
