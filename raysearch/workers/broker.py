"""The desk: one small actor where lanes leave orders and workers leave news.

It is asyncio and plain values: no torch, no Tune, so that it starts at once and never blocks."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ray.exceptions import RayActorError

Verdict = Literal["go on", "stop"]
POLL = 1.0  # seconds between looks at a silent worker


@dataclass(frozen=True, kw_only=True)
class Order:
    """A trial for a lane.

    Attributes:
        trial: id of the trial.
        task: name of the task.
        configuration: the point of the space with what is fixed.
        seed: of the trial.
        rungs: fractions of the schedule that need an evaluation.
        selector: the score that selects.
        select: "best" or "last", the evaluation that counts.
        keep: whether the weights are wanted at the end.
        teacher: id of the trial whose weights teach it; "" for none.
        attempt: which attempt this is, from 1 over the whole run.
        retries: how many more attempts are allowed.
        serial: of the order in its lane; given by the desk.
    """

    trial: str
    task: str
    configuration: dict[str, Any]
    seed: int
    rungs: tuple[float, ...] = ()
    selector: str = ""
    select: str = "best"
    keep: bool = False
    teacher: str = ""
    attempt: int = 1
    retries: int = 0
    serial: int = 0


@dataclass(kw_only=True)
class Seat:
    """What the desk knows of one lane.

    Attributes:
        order: the trial that it has, None between trials.
        news: what its worker said and Tune has not fetched.
        waiting: the worker's open report, resolved with a verdict.
        pulse: of the running attempt: trial, attempt, plan, from_step, seconds.
        heard: when its worker last showed life, monotonic seconds; at first, when it was sent for.
        number: of the lane, by which its workers' placement groups are known.
        lane: handle of Tune's lane actor.
        closed: whether the worker is to leave.
    """

    order: Order | None = None
    serial: int = 0
    news: asyncio.Queue = field(default_factory=asyncio.Queue)
    waiting: asyncio.Future | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    pulse: dict[str, Any] = field(default_factory=dict)
    heard: float = field(default_factory=time.monotonic)
    number: int = 0
    lane: Any = None
    closed: bool = False


class Desk:
    """Orders go from Tune's lane actors to Train's workers, news come back.

    Args:
        hang: seconds without a sign of life after which a worker counts as hung.
    """

    def __init__(self, hang: float) -> None:
        self._hang = hang
        self._seats: dict[str, Seat] = {}
        self._material: dict[str, Any] = {}
        self._provided = asyncio.Event()
        self._weights: dict[str, Any] = {}
        self._teachers: dict[str, Any] = {}
        self._enrolled = 0

    def provide(self, task: str, material: Any) -> None:
        """Lay out what workers need for a task: object references."""
        self._material[task] = material
        self._provided.set()

    async def material(self, task: str) -> Any:
        """What was provided for a task, once it is there."""
        while task not in self._material:
            self._provided.clear()
            await self._provided.wait()
        return self._material[task]

    # Tune's side: one lane actor.

    def enroll(self, lane: str, order: Order, handle: Any) -> int:
        """A lane is about to start its workers for a first trial; its number, from 1."""
        self._enrolled += 1
        self._seats[lane] = Seat(number=self._enrolled, order=order, lane=handle)
        return self._enrolled

    async def exchange(self, lane: str, order: Order | None) -> dict[str, Any]:
        """Begin a trial, or let the running one go on; wait for what its worker says next."""
        seat = self._seats[lane]
        if order is not None:
            self._answer(seat, "stop")
            seat.serial += 1
            seat.order = replace(order, serial=seat.serial)
            seat.news = asyncio.Queue()
            seat.pulse = {}
            seat.changed.set()
        else:
            self._answer(seat, "go on")
        seat.heard = time.monotonic()
        while True:
            try:
                return await asyncio.wait_for(seat.news.get(), POLL)
            except TimeoutError:
                silent = time.monotonic() - seat.heard
                if seat.order and seat.order.task not in self._material:
                    seat.heard = time.monotonic()  # its data is being prepared
                elif silent > self._hang:
                    return {"kind": "hung", "seconds": silent}

    def close(self, lane: str) -> None:
        """Send the lane's worker home."""
        seat = self._seats.get(lane)
        if seat is None:
            return
        seat.order, seat.closed = None, True
        self._answer(seat, "stop")
        seat.changed.set()

    # Train's side: the first worker of a lane.

    async def arrive(self, lane: str) -> None:
        """A worker group has come up; a trial that its predecessor left is begun again."""
        seat = self._seats[lane]
        seat.waiting, seat.heard = None, time.monotonic()
        order = seat.order
        if order is None or not seat.pulse:
            return
        if order.retries == 0:
            error = f"the worker died {order.attempt} times"
            seat.news.put_nowait({"kind": "end", "status": "failed", "error": error})
            seat.order = None
            return
        seat.order = replace(order, attempt=order.attempt + 1, retries=order.retries - 1)

    async def take(self, lane: str, after: int) -> Order | None:
        """The next order, its serial above `after`; None when the lane closes."""
        seat = self._seats[lane]
        while not seat.closed and (seat.order is None or seat.order.serial <= after):
            seat.changed.clear()
            await seat.changed.wait()
        if seat.closed:
            return None
        seat.heard = time.monotonic()
        return seat.order

    def begin(self, lane: str, serial: int, pulse: dict[str, Any]) -> None:
        """An attempt has begun: its plan and the step that it goes on from."""
        if (seat := self._mine(lane, serial)) is not None:
            seat.pulse = pulse

    def beat(self, lane: str, serial: int, seconds: float, step: int) -> None:
        """A sign of life with the seconds spent and the steps done so far."""
        if (seat := self._mine(lane, serial)) is not None:
            seat.heard = time.monotonic()
            seat.pulse |= {"seconds": seconds, "step": step}

    async def say(self, lane: str, serial: int, news: dict[str, Any]) -> Verdict:
        """Leave a report and wait for the verdict on it; an end is not waited for."""
        seat = self._mine(lane, serial)
        if seat is None:
            return "stop"
        seat.heard = time.monotonic()
        seat.news.put_nowait({**news, "pulse": seat.pulse})
        if news["kind"] == "end":
            seat.order, seat.pulse = None, {}
            return "stop"
        seat.waiting = asyncio.get_running_loop().create_future()
        return await seat.waiting

    # The driver's side.

    def pulses(self) -> list[dict[str, Any]]:
        """The running attempts, with the seconds that each has spent."""
        return [seat.pulse for seat in self._seats.values() if seat.order and seat.pulse]

    def leave(self, trial: str, weights: Any) -> None:
        """Keep the weights of an ended trial until the driver fetches them."""
        self._weights[trial] = weights

    def weights(self, trial: str) -> Any:
        """The weights that a trial left, once; None where it left none."""
        return self._weights.pop(trial, None)

    def lend(self, teachers: dict[str, Any]) -> None:
        """Lay out the weights of these teachers, and no others."""
        self._teachers = teachers

    def teacher(self, identity: str) -> Any:
        """The weights of a teacher, laid out before an order names it."""
        return self._teachers[identity]

    async def bury(self, trial: str | None) -> list[int]:
        """Forget the lane that had a trial when it failed, and lanes that died idle: numbers."""
        gone = []
        for name, seat in list(self._seats.items()):
            if (seat.order and seat.order.trial == trial) or await _dead(seat.lane):
                del self._seats[name]
                gone.append(seat.number)
        return gone

    def _mine(self, lane: str, serial: int) -> Seat | None:
        seat = self._seats.get(lane)
        return seat if seat and seat.order and seat.order.serial == serial else None

    @staticmethod
    def _answer(seat: Seat, verdict: Verdict) -> None:
        if seat.waiting is not None and not seat.waiting.done():
            seat.waiting.set_result(verdict)
        seat.waiting = None


async def _dead(lane: Any) -> bool:
    """Whether an actor is gone: a busy one does not answer, a dead one is an error at once."""
    try:
        await asyncio.wait_for(lane.ping.remote(), POLL)
    except TimeoutError:
        return False
    except RayActorError:
        return True
    return False
