"""What the events of a journal hold: fields, types and bounds. A journal may come from anyone, so
nothing of it is believed before it has been checked here."""

import reprlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import printable
from ..storage import is_id

FORMAT = 2  # of the journal; 1 is what was written before the session event named it
DEPTH = 8  # levels of a value in a configuration
TEXT = 1000  # letters of a name or of a text in a configuration

_PHASES = Literal["search", "confirm", "teach"]
_ENDS = Literal["finished", "stopped", "diverged", "degenerate", "failed"]
_STATUSES = Literal["running", "finished", "stopped", "diverged", "degenerate", "failed"]


class EventError(ValueError):
    """What is wrong with one event: the field, and what was seen."""


def _identity(text: str) -> str:
    if not is_id(text):
        raise ValueError("lower-case letters, digits and dashes make an id, at most 64")
    return text


def _plain(value: Any) -> Any:
    """Refuse what no setting is: too deep, too long, a number that no float holds."""
    for depth, part in _parts(value, 0):
        if depth > DEPTH:
            raise ValueError(f"at most {DEPTH} levels would do")
        if isinstance(part, str):
            if len(part) > TEXT:
                raise ValueError(f"a text of at most {TEXT} letters would do")
            part.encode()  # raises a ValueError of half a letter
        elif isinstance(part, int | float) and not abs(part) < 1e300:
            raise ValueError("a number below 1e300 would do")
    return value


def _parts(value: Any, depth: int) -> Iterator[tuple[int, Any]]:
    yield depth, value
    if depth > DEPTH:
        return
    for part in [*value, *value.values()] if isinstance(value, dict) else ():
        yield from _parts(part, depth + 1)
    for part in value if isinstance(value, list) else ():
        yield from _parts(part, depth + 1)


def _readable(text: str) -> str:
    """Refuse half a surrogate pair, which no file can hold."""
    text.encode()  # raises a ValueError
    return text


def _visible(text: str) -> str:
    if printable(text) != text:
        raise ValueError("a name without control characters")
    return text


Name = Annotated[str, Field(min_length=1, max_length=TEXT), AfterValidator(_visible)]
Text = Annotated[str, AfterValidator(_readable)]
Identity = Annotated[str, AfterValidator(_identity)]
Setting = Annotated[Any, AfterValidator(_plain)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Ordinal = Annotated[int, Field(ge=1, le=10**6)]
Time = Annotated[float, Field(ge=0, le=1e11)]  # Unix seconds
Seconds = Annotated[float, Field(ge=0, le=1e10)]
Real = Annotated[float, Field(ge=-1e100, le=1e100)]
Score = Annotated[float, Field(ge=-1e12, le=1e12)]
Scores = dict[Name, Score]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    elapsed: Annotated[float, Field(ge=0, le=1e10)] | None = None  # seconds of the session


class _Session(_Part):
    at: Time
    version: Annotated[str, Field(max_length=100)] | None = None
    format: Annotated[int, Field(ge=1)] = 1


class _Trial(_Part):
    model_config = ConfigDict(extra="ignore")

    number: Annotated[int, Field(ge=0, le=10**9)]
    task: Name
    phase: _PHASES
    configuration: dict[Name, Setting]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    devices: Ordinal = 1


class _Plan(_Part):
    steps: Annotated[int, Field(ge=1, le=10**15)]
    warmup: Count = 0
    per_epoch: Count = 1
    evaluations: list[Count] = []
    rungs: dict[Name, Count] = {}


class _Attempt(_Part):
    attempt: Ordinal
    at: Time
    plan: _Plan
    devices: Ordinal | None = None
    from_step: Count = 0


class _Report(_Part):
    at: Time
    attempt: Ordinal | None = None
    stage: Annotated[str, Field(max_length=TEXT), AfterValidator(_visible)] = ""
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


class _Spent(_Part):
    attempt: Ordinal
    seconds: Seconds
    step: Count | None = None


class _Ended(_Part):
    at: Time
    status: _ENDS
    score: Score | None = None
    best: Scores = {}
    last: Scores = {}
    error: Text | None = None
    sampler: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _scored(self) -> "_Ended":
        if self.score is None and self.status in ("finished", "diverged", "degenerate"):
            raise ValueError(f"a trial that ends '{self.status}' has a score")
        return self


class _Kept(_Part):
    sampler: dict[str, Any]


class _Repeat(_Part):
    at: Time | None = None


class _Taught(_Part):
    at: Time | None = None
    teacher: Identity
    seconds: Seconds


class _Lost(_Part):
    at: Time | None = None


EVENTS: dict[str, type[_Part]] = {
    "session": _Session,
    "trial": _Trial,
    "attempt": _Attempt,
    "report": _Report,
    "spent": _Spent,
    "end": _Ended,
    "sampler": _Kept,
    "repeat": _Repeat,
    "taught": _Taught,
    "lost": _Lost,
}
_OPTIONAL = {"end": ("error", "sampler"), "attempt": ("devices",), "spent": ("step",)}


def checked(event: Any) -> dict[str, Any] | None:
    """Return an event with every field checked and the absent ones at their defaults.

    Args:
        event: what a line of JSON says.

    Returns:
        `event`, `trial` but for a session, and the fields of its kind; None for a kind that this
        version does not know.

    Raises:
        EventError: no event, or a field of it, with what was seen.
    """
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise EventError(f'no event, an object with "event" would do, got {reprlib.repr(event)}')
    kind = event["event"]
    if kind not in EVENTS:
        return None
    values = {name: value for name, value in event.items() if name not in ("event", "trial")}
    try:
        typed = EVENTS[kind].model_validate(values).model_dump()
    except ValidationError as error:
        raise EventError("; ".join(_said(kind, one) for one in error.errors()[:3])) from None
    except RecursionError:
        raise EventError(f"{kind}: nested too deeply") from None
    # An absent field differs from an empty one: it keeps what the trial has.
    absent = ("elapsed", *_OPTIONAL.get(kind, ()))
    typed = {n: v for n, v in typed.items() if v is not None or n not in absent}
    if kind == "trial":
        typed.pop("elapsed", None)
    if kind == "session":
        return {"event": kind, **typed}
    trial = event.get("trial")
    if not is_id(trial):
        text = "an id is needed, lower-case letters, digits and dashes, at most 64"
        raise EventError(f"{kind}.trial: {text}, got {reprlib.repr(trial)}")
    return {"event": kind, "trial": trial, **typed}


def _said(kind: str, error: Any) -> str:
    """What is wrong with a field, in the words of this project."""
    place = ".".join(map(str, (kind, *error["loc"])))
    if error["type"] == "missing":
        return f"{place}: is missing"
    text = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{place}: {text} is needed, got {reprlib.repr(error['input'])}"
