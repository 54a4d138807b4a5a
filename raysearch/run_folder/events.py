"""The events of a journal: their fields, types and bounds.

They are apart from `journal` because a journal may come from anyone: nothing in it is used before
it was checked here.
"""

import reprlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from ..errors import printable
from ..storage import is_id

FORMAT = 2  # version of the journal's format; 1 is a journal whose session event names none
MAX_DEPTH = 8  # levels of a value in a configuration
MAX_TEXT = 1000  # characters of a name, or of a text in a configuration

_PHASES = Literal["search", "confirm", "teach"]
_OUTCOMES = Literal["finished", "stopped", "diverged", "degenerate", "failed"]
_STATUSES = Literal["running", "finished", "stopped", "diverged", "degenerate", "failed"]


class EventError(ValueError):
    """An event that is invalid; its text names the field and what was seen."""


def _check_id(text: str) -> str:
    if not is_id(text):
        raise ValueError("lower-case letters, digits and dashes make an id, at most 64")
    return text


def _check_setting(value: Any) -> Any:
    """Raise ValueError for a value that no hyperparameter has.

    Such a value is nested too deeply, is too long, or has a number that is too large for a float.
    """
    for depth, part in _nested_parts(value, 0):
        if depth > MAX_DEPTH:
            raise ValueError(f"at most {MAX_DEPTH} levels would do")
        if isinstance(part, str):
            if len(part) > MAX_TEXT:
                raise ValueError(f"a text of at most {MAX_TEXT} letters would do")
            part.encode()  # raises ValueError for half a surrogate pair
        elif isinstance(part, int | float) and not abs(part) < 1e300:
            raise ValueError("a number below 1e300 would do")
    return value


def _nested_parts(value: Any, depth: int) -> Iterator[tuple[int, Any]]:
    """Yield a value and everything in it with its depth, down to one level below MAX_DEPTH."""
    yield depth, value
    if depth > MAX_DEPTH:
        return
    for part in [*value, *value.values()] if isinstance(value, dict) else ():
        yield from _nested_parts(part, depth + 1)
    for part in value if isinstance(value, list) else ():
        yield from _nested_parts(part, depth + 1)


def _check_encodable(text: str) -> str:
    """Raise ValueError for half a surrogate pair, which no file can hold."""
    text.encode()
    return text


def _check_printable(text: str) -> str:
    if printable(text) != text:
        raise ValueError("a name without control characters")
    return text


Name = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_check_printable)]
Text = Annotated[str, AfterValidator(_check_encodable)]
Identity = Annotated[str, AfterValidator(_check_id)]
Setting = Annotated[Any, AfterValidator(_check_setting)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Ordinal = Annotated[int, Field(ge=1, le=10**6)]
Time = Annotated[float, Field(ge=0, le=1e11)]  # Unix seconds
Seconds = Annotated[float, Field(ge=0, le=1e10)]
Real = Annotated[float, Field(ge=-1e100, le=1e100)]
Score = Annotated[float, Field(ge=-1e12, le=1e12)]
Scores = dict[Name, Score]


class _Event(BaseModel):
    """The fields of one kind of event; others are kept as they are."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    elapsed: Annotated[float, Field(ge=0, le=1e10)] | None = None  # seconds since the session began


class _SessionEvent(_Event):
    at: Time
    version: Annotated[str, Field(max_length=100)] | None = None
    format: Annotated[int, Field(ge=1)] = 1


class _TrialEvent(_Event):
    model_config = ConfigDict(extra="ignore")

    number: Annotated[int, Field(ge=0, le=10**9)]
    task: Name
    phase: _PHASES
    configuration: dict[Name, Setting]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    devices: Ordinal = 1


class _Plan(_Event):
    steps: Annotated[int, Field(ge=1, le=10**15)]
    warmup: Count = 0
    per_epoch: Count = 1
    evaluations: list[Count] = []
    rungs: dict[Name, Count] = {}


class _AttemptEvent(_Event):
    attempt: Ordinal
    at: Time
    plan: _Plan
    devices: Ordinal | None = None
    from_step: Count = 0


class _ReportEvent(_Event):
    at: Time
    attempt: Ordinal | None = None
    stage: Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_check_printable)] = ""
    step: Count
    steps: Annotated[int, Field(ge=1, le=10**15)]
    loss: Real | None = None
    terms: dict[Name, Real | None] = {}
    scores: Scores
    status: _STATUSES
    seconds: Seconds | None = None
    rate: Real | None = None
    tokens: Count | None = None
    micro_batches: Count | None = None
    switched: Real | None = None


class _SpentEvent(_Event):
    attempt: Ordinal
    seconds: Seconds
    step: Count | None = None


class _EndEvent(_Event):
    at: Time
    status: _OUTCOMES
    score: Score | None = None
    best: Scores = {}
    last: Scores = {}
    error: Text | None = None
    sampler: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _check_score(self) -> Self:
        if self.score is None and self.status in ("finished", "diverged", "degenerate"):
            raise ValueError(f"a trial that ends '{self.status}' has a score")
        return self


class _SamplerEvent(_Event):
    sampler: dict[str, Any]


class _RepeatEvent(_Event):
    at: Time | None = None


class _TaughtEvent(_Event):
    at: Time | None = None
    teacher: Identity
    seconds: Seconds


class _LostEvent(_Event):
    at: Time | None = None


EVENTS: dict[str, type[_Event]] = {
    "session": _SessionEvent,
    "trial": _TrialEvent,
    "attempt": _AttemptEvent,
    "report": _ReportEvent,
    "spent": _SpentEvent,
    "end": _EndEvent,
    "sampler": _SamplerEvent,
    "repeat": _RepeatEvent,
    "taught": _TaughtEvent,
    "lost": _LostEvent,
}
# Kind -> fields that may be absent. An absent field does not change what the record has.
_OPTIONAL = {"end": ("error", "sampler"), "attempt": ("devices",), "spent": ("step",)}


def checked(event: Any) -> dict[str, Any] | None:
    """Return an event with every field checked and missing fields at their defaults.

    Args:
        event: the value of one line of JSON.

    Returns:
        `event`, the kind; `trial`, the trial's id, except for a session; and the fields of this
        kind. None if this version does not know the kind.

    Raises:
        EventError: it is not an event, or a field is invalid.
    """
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise EventError(f'no event, an object with "event" would do, got {reprlib.repr(event)}')
    kind = event["event"]
    if kind not in EVENTS:
        return None
    values = {name: value for name, value in event.items() if name not in ("event", "trial")}
    try:
        fields = EVENTS[kind].model_validate(values).model_dump()
    except ValidationError as error:
        raise EventError("; ".join(_message(kind, e) for e in error.errors()[:3])) from None
    except RecursionError:
        raise EventError(f"{kind}: nested too deeply") from None
    optional = ("elapsed", *_OPTIONAL.get(kind, ()))
    fields = {n: v for n, v in fields.items() if v is not None or n not in optional}
    if kind == "trial":
        fields.pop("elapsed", None)
    if kind == "session":
        return {"event": kind, **fields}
    trial = event.get("trial")
    if not is_id(trial):
        text = "an id is needed, lower-case letters, digits and dashes, at most 64"
        raise EventError(f"{kind}.trial: {text}, got {reprlib.repr(trial)}")
    return {"event": kind, "trial": trial, **fields}


def _message(kind: str, error: ErrorDetails) -> str:
    """Return one of pydantic's errors in the words of this project."""
    location = ".".join(map(str, (kind, *error["loc"])))
    if error["type"] == "missing":
        return f"{location}: is missing"
    text = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{location}: {text} is needed, got {reprlib.repr(error['input'])}"
