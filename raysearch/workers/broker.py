"""The broker: one small actor where lanes leave orders and workers leave event.

It is asyncio and plain values: no torch, no Tune, so that it starts at once and never blocks."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ray.exceptions import RayActorError

Decision = Literal["go on", "stop"]
POLL = 1.0  # seconds between looks at a silent worker


@dataclass(frozen=True, kw_only=True)
class TrialRequest:
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
        serial: of the request in its lane; given by the broker.
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
class LaneState:
    """What the broker knows of one lane.

    Attributes:
        request: the trial that it has, None between trials.
        events: what its worker said and Tune has not fetched.
        waiting: the worker's open report, resolved with a decision.
        progress: of the running attempt: trial, attempt, plan, from_step, seconds.
        heard: when its worker last showed life, monotonic seconds; at first, when it was sent for.
        number: of the lane, by which its workers' placement groups are known.
        lane: handle of Tune's lane actor.
        closed: whether the worker is to leave.
    """

    request: TrialRequest | None = None
    serial: int = 0
    events: asyncio.Queue = field(default_factory=asyncio.Queue)
    pending_report: asyncio.Future | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    progress: dict[str, Any] = field(default_factory=dict)
    last_heartbeat: float = field(default_factory=time.monotonic)
    number: int = 0
    lane: Any = None
    closed: bool = False


class TrialBroker:
    """Orders go from Tune's lane actors to Train's workers, event come back.

    Args:
        hang: seconds without a sign of life after which a worker counts as hung.
    """

    def __init__(self, hang: float) -> None:
        self._hang = hang
        self._lanes: dict[str, LaneState] = {}
        self._material: dict[str, Any] = {}
        self._provided = asyncio.Event()
        self._weights: dict[str, Any] = {}
        self._teachers: dict[str, Any] = {}
        self._enrolled = 0

    def publish_data(self, task: str, material: Any) -> None:
        """Lay out what workers need for a task: object references."""
        self._material[task] = material
        self._provided.set()

    async def get_data(self, task: str) -> Any:
        """What was provided for a task, once it is there."""
        while task not in self._material:
            self._provided.clear()
            await self._provided.wait()
        return self._material[task]

    # Tune's side: one lane actor.

    def register_lane(self, lane: str, request: TrialRequest, handle: Any) -> int:
        """A lane is about to start its workers for a first trial; its number, from 1."""
        self._enrolled += 1
        self._lanes[lane] = LaneState(number=self._enrolled, request=request, lane=handle)
        return self._enrolled

    async def next_event(self, lane: str, request: TrialRequest | None) -> dict[str, Any]:
        """Begin a trial, or let the running one go on; wait for what its worker says next."""
        state = self._lanes[lane]
        if request is not None:
            self._answer(state, "stop")
            state.serial += 1
            state.request = replace(request, serial=state.serial)
            state.events = asyncio.Queue()
            state.progress = {}
            state.changed.set()
        else:
            self._answer(state, "go on")
        state.last_heartbeat = time.monotonic()
        while True:
            try:
                return await asyncio.wait_for(state.events.get(), POLL)
            except TimeoutError:
                silent = time.monotonic() - state.last_heartbeat
                if state.request and state.request.task not in self._material:
                    state.last_heartbeat = time.monotonic()  # its data is being prepared
                elif silent > self._hang:
                    return {"kind": "hung", "seconds": silent}

    def close_lane(self, lane: str) -> None:
        """Send the lane's worker home."""
        state = self._lanes.get(lane)
        if state is None:
            return
        state.request, state.closed = None, True
        self._answer(state, "stop")
        state.changed.set()

    # Train's side: the first worker of a lane.

    async def worker_started(self, lane: str) -> None:
        """A worker group has come up; a trial that its predecessor left is begun again."""
        state = self._lanes[lane]
        state.pending_report, state.last_heartbeat = None, time.monotonic()
        request = state.request
        if request is None or not state.progress:
            return
        if request.retries == 0:
            error = f"the worker died {request.attempt} times"
            state.events.put_nowait({"kind": "end", "status": "failed", "error": error})
            state.request = None
            return
        state.request = replace(request, attempt=request.attempt + 1, retries=request.retries - 1)

    async def next_request(self, lane: str, after: int) -> TrialRequest | None:
        """The next request, its serial above `after`; None when the lane closes."""
        state = self._lanes[lane]
        while not state.closed and (state.request is None or state.request.serial <= after):
            state.changed.clear()
            await state.changed.wait()
        if state.closed:
            return None
        state.last_heartbeat = time.monotonic()
        return state.request

    def attempt_started(self, lane: str, serial: int, progress: dict[str, Any]) -> None:
        """An attempt has begun: its plan and the step that it goes on from."""
        if (state := self._state_of(lane, serial)) is not None:
            state.progress = progress

    def heartbeat(self, lane: str, serial: int, seconds: float, step: int) -> None:
        """A sign of life with the seconds spent and the steps done so far."""
        if (state := self._state_of(lane, serial)) is not None:
            state.last_heartbeat = time.monotonic()
            state.progress |= {"seconds": seconds, "step": step}

    async def report(self, lane: str, serial: int, event: dict[str, Any]) -> Decision:
        """Leave a report and wait for the decision on it; an end is not waited for."""
        state = self._state_of(lane, serial)
        if state is None:
            return "stop"
        state.last_heartbeat = time.monotonic()
        state.events.put_nowait({**event, "progress": state.progress})
        if event["kind"] == "end":
            state.request, state.progress = None, {}
            return "stop"
        state.pending_report = asyncio.get_running_loop().create_future()
        return await state.pending_report

    # The driver's side.

    def running_attempts(self) -> list[dict[str, Any]]:
        """The running attempts, with the seconds that each has spent."""
        return [
            state.progress for state in self._lanes.values() if state.request and state.progress
        ]

    def put_weights(self, trial: str, weights: Any) -> None:
        """Keep the weights of an ended trial until the driver fetches them."""
        self._weights[trial] = weights

    def pop_weights(self, trial: str) -> Any:
        """The weights that a trial left, once; None where it left none."""
        return self._weights.pop(trial, None)

    def publish_teachers(self, teachers: dict[str, Any]) -> None:
        """Lay out the weights of these teachers, and no others."""
        self._teachers = teachers

    def get_teacher(self, identity: str) -> Any:
        """The weights of a teacher, laid out before an request names it."""
        return self._teachers[identity]

    async def forget_dead_lanes(self, trial: str | None) -> list[int]:
        """Forget the lane that had a trial when it failed, and lanes that died idle: numbers."""
        gone = []
        for name, state in list(self._lanes.items()):
            if (state.request and state.request.trial == trial) or await _is_dead(state.lane):
                del self._lanes[name]
                gone.append(state.number)
        return gone

    def _state_of(self, lane: str, serial: int) -> LaneState | None:
        state = self._lanes.get(lane)
        return state if state and state.request and state.request.serial == serial else None

    @staticmethod
    def _answer(state: LaneState, decision: Decision) -> None:
        if state.pending_report is not None and not state.pending_report.done():
            state.pending_report.set_result(decision)
        state.pending_report = None


async def _is_dead(lane: Any) -> bool:
    """Whether an actor is gone: a busy one does not answer, a dead one is an error at once."""
    try:
        await asyncio.wait_for(lane.ping.remote(), POLL)
    except TimeoutError:
        return False
    except RayActorError:
        return True
    return False
