"""The schedule of a trial, as a journal stores it.

It is apart because events of several modules have one.
"""

from dataclasses import dataclass, field

from .field_types import Count, Name, Steps


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The schedule of a trial, in optimizer steps.

    Attributes:
        steps: the number of steps.
        warmup: the number of steps over which the learning rate rises.
        per_epoch: the number of steps of an epoch.
        evaluations: the steps after which the dev splits are scored.
        rungs: fraction of the schedule, as text -> the step whose evaluation decides there.
        searched: with `hold_out` dev split -> number of examples on which trials are compared.
        held_out: dev split -> number of examples that are printed instead; None without `hold_out`.
    """

    steps: Steps
    warmup: Count = 0
    per_epoch: Count = 1
    evaluations: tuple[Count, ...] = ()
    rungs: dict[Name, Count] = field(default_factory=dict)
    searched: dict[Name, Count] | None = None
    held_out: dict[Name, Count] | None = None
