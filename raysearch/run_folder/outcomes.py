"""How a trial may end, what each end means, and which of its evaluations may count.

It is apart because workers, journal, search and tables share it, and it imports none of them.
"""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["finished", "stopped", "diverged", "degenerate", "failed"]
TrialStatus = Literal["running", Outcome]
ReportStatus = Literal["running", "finished", "diverged", "degenerate"]
Selection = Literal["best", "last"]  # the evaluation of a trial that counts


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What the end of a trial means.

    Attributes:
        counts: whether the trial is a result: it was trained to its end, or it diverged. Such a
            trial has a score.
        has_model: whether its weights are those of a whole trial, with scores of their own.
        gets_worst_score: whether the sampler is told the metric's worst value.
    """

    counts: bool = False
    has_model: bool = False
    gets_worst_score: bool = False


OUTCOMES: dict[Outcome, Meaning] = {
    "finished": Meaning(counts=True, has_model=True),
    "stopped": Meaning(),  # by the stopping rule
    "diverged": Meaning(counts=True, gets_worst_score=True),
    # It has learned nothing: stuck at chance, or at a single prediction.
    "degenerate": Meaning(counts=True, has_model=True, gets_worst_score=True),
    "failed": Meaning(),
}


def counts(status: TrialStatus) -> bool:
    """Return whether a trial of this status is a result, see `Meaning`."""
    return status != "running" and OUTCOMES[status].counts


def has_model(status: TrialStatus) -> bool:
    """Return whether a trial of this status has left a model, see `Meaning`."""
    return status != "running" and OUTCOMES[status].has_model


def gets_worst_score(status: TrialStatus) -> bool:
    """Return whether the sampler is told the worst score of such a trial, see `Meaning`."""
    return status != "running" and OUTCOMES[status].gets_worst_score
