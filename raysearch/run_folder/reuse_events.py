"""The events by which a run does more, or trains less: it is lengthened, or trials are reused.

They are apart from the other events because `events` lists those of all modules.
"""

from dataclasses import dataclass
from typing import ClassVar

from .field_types import Label, Ordinal, Seconds, Time
from .plan import Plan


@dataclass(frozen=True, kw_only=True)
class LengthenedEvent:
    """The search has another number of trials from now on.

    Attributes:
        before: `search.trials` until now.
        trials: from now on.
    """

    kind: ClassVar[str] = "lengthened"

    at: Time
    elapsed: Seconds | None = None
    before: Ordinal
    trials: Ordinal


@dataclass(frozen=True, kw_only=True)
class ReusedEvent:
    """A trial is answered by the same trial of another run: its reports and its end follow.

    Attributes:
        run: the run folder that has it.
        plan: the schedule of the trial.
        device_seconds: what the trial has cost there.
    """

    kind: ClassVar[str] = "reused"

    trial: str
    at: Time
    elapsed: Seconds | None = None
    run: Label
    plan: Plan
    device_seconds: Seconds
