"""The events of a journal: what a run writes, and what is read back from it.

They are apart from `journal` because they know no file. The writer makes them, and the reader gets
them only after every field was checked, as a journal may come from anyone. A field that an event
does not name is not read.
"""

import reprlib
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ..storage import is_id
from .field_types import (
    Count,
    Format,
    Identity,
    Label,
    Name,
    Number,
    Ordinal,
    Real,
    Score,
    Scores,
    Seconds,
    Seed,
    Setting,
    Steps,
    Text,
    Time,
)
from .outcomes import Outcome, TrialStatus, counts
from .plan import Plan
from .reuse_events import LengthenedEvent, ReusedEvent

FORMAT = 2  # version of the journal's format; 1 is a journal whose session event names none

Phase = Literal["search", "confirm", "teach"]


class EventError(ValueError):
    """An event that is invalid; its text names the field and what was seen."""


@dataclass(frozen=True, kw_only=True)
class SessionEvent:
    """A session of the run begins.

    Attributes:
        at: Unix time in seconds, as in every event.
        elapsed: seconds since the session began, by a clock that never goes back, as in every event
            but those of version 0.1.1.
        version: of raysearch.
        format: of the journal, see FORMAT.
    """

    kind: ClassVar[str] = "session"

    at: Time
    elapsed: Seconds | None = None
    version: Annotated[str, Field(max_length=100)] | None = None
    format: Format = 1


@dataclass(frozen=True, kw_only=True)
class SharingEvent:
    """Another number of lanes shares each GPU from now on, or the number stays.

    Attributes:
        lanes: on each GPU.
        settled: whether the number stays.
        peak: the most that one lane has held of a GPU's memory so far, in bytes.
        device: the model of the GPUs.
        reason: why, with the numbers.
    """

    kind: ClassVar[str] = "sharing"

    at: Time
    elapsed: Seconds | None = None
    lanes: Ordinal
    settled: bool
    peak: Count
    device: Label
    reason: Label


@dataclass(frozen=True, kw_only=True)
class TrialEvent:
    """A trial is planned; it has not run yet.

    Attributes:
        trial: id of the trial, as in every event of a trial.
        number: the index among the trials of its task, from 0.
        task: the task's name.
        phase: of the trial.
        configuration: see `Record`.
        seed: the random seed.
        devices: the number of devices that it uses.
        start: id of the trial of another task whose weights it starts from; None for a model.
    """

    kind: ClassVar[str] = "trial"

    trial: str
    number: Number
    task: Name
    phase: Phase
    configuration: dict[Name, Setting]
    seed: Seed
    devices: Ordinal = 1
    start: Identity | None = None


@dataclass(frozen=True, kw_only=True)
class AttemptEvent:
    """An attempt to train a trial begins.

    Attributes:
        attempt: its number, from 1.
        plan: the schedule of the trial.
        from_step: the step that it starts from; above 0 after a checkpoint.
        devices: the number of devices; None if it is that of the trial.
        lane: the number of its lane in this session, from 1; None in older journals.
        host: the name of the host that it runs on; None in older journals.
        device: what its first worker trains on, "cpu" or a GPU; None in older journals.
    """

    kind: ClassVar[str] = "attempt"

    trial: str
    at: Time
    elapsed: Seconds | None = None
    attempt: Ordinal
    plan: Plan
    from_step: Count = 0
    devices: Ordinal | None = None
    lane: Ordinal | None = None
    host: Label | None = None
    device: Label | None = None


@dataclass(frozen=True, kw_only=True)
class ReportEvent:
    """An evaluation of a trial; the fields of a `Report`, of which older journals lack some.

    Attributes:
        attempt: number of the attempt that made it.
    """

    kind: ClassVar[str] = "report"

    trial: str
    at: Time
    elapsed: Seconds | None = None
    stage: Label = ""
    step: Count
    steps: Steps
    loss: Real | None = None
    terms: dict[Name, Real | None] = field(default_factory=dict)
    scores: Scores
    status: TrialStatus
    seconds: Seconds | None = None
    rate: Real | None = None
    tokens: Count | None = None
    micro_batches: Count | None = None
    switched: Real | None = None
    attempt: Ordinal | None = None


@dataclass(frozen=True, kw_only=True)
class SpentEvent:
    """What an attempt has cost so far.

    Attributes:
        attempt: its number.
        seconds: its wall seconds.
        step: the last optimizer step that is known to be done.
    """

    kind: ClassVar[str] = "spent"

    trial: str
    elapsed: Seconds | None = None
    attempt: Ordinal
    seconds: Seconds
    step: Count | None = None


@dataclass(frozen=True, kw_only=True)
class EndEvent:
    """A trial ends; see `Record` for the fields.

    Attributes:
        sampler: the state that the sampler stores with it; None if it has no sampler.
    """

    kind: ClassVar[str] = "end"

    trial: str
    at: Time
    elapsed: Seconds | None = None
    status: Outcome
    score: Score | None = None
    best: Scores = field(default_factory=dict)
    last: Scores = field(default_factory=dict)
    error: Text | None = None
    sampler: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class StoredEndEvent(EndEvent):
    """The end of a teacher that was found in the store: it cannot have failed."""


@dataclass(frozen=True, kw_only=True)
class SamplerEvent:
    """The state that the sampler stores with a trial; version 0.1.1 wrote it."""

    kind: ClassVar[str] = "sampler"

    trial: str
    elapsed: Seconds | None = None
    sampler: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class RepeatEvent:
    """The sampler proposed the configuration of a trial again."""

    kind: ClassVar[str] = "repeat"

    trial: str
    at: Time | None = None
    elapsed: Seconds | None = None


@dataclass(frozen=True, kw_only=True)
class TaughtEvent:
    """A trial has got its teacher.

    Attributes:
        teacher: id of the trial that trained the teacher.
        seconds: device seconds that the training of the teacher took.
    """

    kind: ClassVar[str] = "taught"

    trial: str
    at: Time | None = None
    elapsed: Seconds | None = None
    teacher: Identity
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class LostEvent:
    """The weights of a teacher are lost, or not at hand of a trial that was reused: it runs."""

    kind: ClassVar[str] = "lost"

    trial: str
    at: Time | None = None
    elapsed: Seconds | None = None


Event = (
    SessionEvent
    | SharingEvent
    | LengthenedEvent
    | TrialEvent
    | AttemptEvent
    | ReportEvent
    | SpentEvent
    | EndEvent
    | SamplerEvent
    | RepeatEvent
    | TaughtEvent
    | LostEvent
    | ReusedEvent
)
EVENTS: dict[str, type[Event]] = {event.kind: event for event in get_args(Event)}
# Fields that are not written if they are None; all others are written as null.
_OMITTED: dict[type[Event | Plan], tuple[str, ...]] = {
    SessionEvent: ("version",),
    TrialEvent: ("start",),
    Plan: ("searched", "held_out"),
    AttemptEvent: ("devices", "lane", "host", "device"),
    SpentEvent: ("step",),
    EndEvent: ("sampler",),
    StoredEndEvent: ("error", "sampler"),
    RepeatEvent: ("at",),
    TaughtEvent: ("at",),
    LostEvent: ("at",),
}


def to_json(event: Event) -> dict[str, Any]:
    """Return the object of an event's line: `event`, its kind, then its fields in order."""
    return {"event": event.kind, **_values_of(event)}


def _values_of(event: Event | Plan) -> dict[str, Any]:
    """Return the fields of an event, and those of its plan."""
    omitted = ("elapsed", *_OMITTED.get(type(event), ()))
    values = {f.name: getattr(event, f.name) for f in fields(event)}
    values = {n: v for n, v in values.items() if v is not None or n not in omitted}
    return {n: _values_of(v) if isinstance(v, Plan) else v for n, v in values.items()}


def from_json(value: Any) -> Event | None:
    """Return the event of a line, with every field checked and missing ones at their defaults.

    Args:
        value: of one line of JSON.

    Returns:
        The event; None if this version does not know its kind.

    Raises:
        EventError: it is not an event, or a field is invalid.
    """
    if not isinstance(value, dict) or not isinstance(value.get("event"), str):
        raise EventError(f'no event, an object with "event" would do, got {reprlib.repr(value)}')
    kind = value["event"]
    if kind not in EVENTS:
        return None
    trial = value.get("trial")
    if "trial" in _names(kind) and not is_id(trial):
        text = "an id is needed, lower-case letters, digits and dashes, at most 64"
        raise EventError(f"{kind}.trial: {text}, got {reprlib.repr(trial)}")
    try:
        return _adapter(kind).validate_python(value)
    except ValidationError as error:
        raise EventError("; ".join(_message(kind, e) for e in error.errors()[:3])) from None
    except RecursionError:
        raise EventError(f"{kind}: nested too deeply") from None


@cache
def _names(kind: str) -> frozenset[str]:
    """Return the names of the fields of one kind of event."""
    return frozenset(f.name for f in fields(EVENTS[kind]))


@cache
def _adapter(kind: str) -> TypeAdapter[Event]:
    """Return the checks of one kind of event."""
    event_type: Any = EVENTS[kind]
    if kind == "end":
        event_type = Annotated[EndEvent, AfterValidator(_check_score)]
    return TypeAdapter(event_type)


def _check_score(event: EndEvent) -> EndEvent:
    if event.score is None and counts(event.status):
        raise ValueError(f"a trial that ends '{event.status}' has a score")
    return event


def _message(kind: str, error: ErrorDetails) -> str:
    """Return one of pydantic's errors in the words of this project."""
    location = ".".join(map(str, (kind, *error["loc"])))
    if error["type"] == "missing":
        return f"{location}: is missing"
    text = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{location}: {text} is needed, got {reprlib.repr(error['input'])}"
