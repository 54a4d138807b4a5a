"""The broker: an asyncio actor that passes requests to workers and their events back to lanes.

It is apart from lanes and workers because it holds plain values only: without torch and Tune it
starts at once, and it never blocks.
"""

import asyncio
import time
import uuid
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from .lane_places import LanePlaces, leaving_lanes, share_of
from .lane_state import LaneState
from .memory_kills import OUT_OF_MEMORY
from .messages import (
    AttemptProgress,
    Decision,
    Interrupted,
    LaneEvent,
    LaneGivenUp,
    LaneLost,
    NodeLost,
    Phase,
    TrialEnd,
    TrialRequest,
    Usage,
    WorkerHung,
    WorkerMessage,
    WorkersReleased,
)
from .shared_values import SharedValues

POLL = 1.0  # seconds between two checks of a silent worker


class TrialBroker(SharedValues):
    """The actor between Tune's lane actors, which bring requests, and Train's workers.

    Args:
        hang: seconds without a sign of life after which a worker counts as hung, once its trial
            has made a step; None: a multiple of what its lane has taken before.
        poll: seconds between two checks of a silent worker.
    """

    def __init__(self, hang: float | None, poll: float = POLL) -> None:
        super().__init__()
        self._hang, self._poll = hang, poll
        # Another one in each process: how the driver notices that the actor was started again.
        self._process = uuid.uuid4().hex
        self._begun = asyncio.Event()
        self._lanes: dict[str, LaneState] = {}
        self._registered = 0
        self._leaving: frozenset[str] = frozenset()  # ids of nodes that are about to leave
        self._interrupted = False
        self._places: LanePlaces | None = None  # where lanes share devices in a measured number
        self._given_up: set[str] = set()  # trials that such lanes did not take

    async def answer(self, method: str, *values: Any) -> tuple[str, int, Any]:
        """Answer a call of the driver.

        Returns:
            What tells this process of the broker from others; the number of the last lane; what the
            method returns.
        """
        value = getattr(self, method)(*values)
        value = await value if asyncio.iscoroutine(value) else value
        return self._process, self._registered, value

    def begin(
        self,
        first: int,
        data: dict[str, Any],
        teachers: dict[str, Any],
        places: LanePlaces | None = None,
    ) -> None:
        """Take what the driver has published; lanes may register from now on.

        Args:
            first: number of the first lane that registers.
            data: task -> see `publish_data`.
            teachers: see `publish_teachers`.
            places: see `set_places`.
        """
        self._registered, self._data, self._teachers = first - 1, dict(data), teachers
        self._places = places
        self._data_published.set()
        self._begun.set()

    # Called by Tune's lane actors.

    async def admit_lane(
        self, lane: str, request: TrialRequest, actor: str
    ) -> tuple[int, float | None]:
        """Register a lane, see `register_lane`, once the driver has said `begin`.

        Returns:
            Its number, and the part of a device that its worker asks for; None if the lanes have
            none that differ.
        """
        await self._begun.wait()
        number = self.register_lane(lane, request, actor)
        level = self._lanes[lane].level
        return number, share_of(level) if level else None

    def register_lane(self, lane: str, request: TrialRequest, actor: str) -> int:
        """Register a lane that is about to start its workers for a first trial.

        Args:
            lane: name of the lane.
            request: the trial that its workers are started for.
            actor: id of the lane's actor; its handle would load Tune and torch here.

        Returns:
            The number of the lane, from 1.
        """
        self._registered += 1
        level = self._places.free_level(self._lanes.values()) if self._places else 0
        self._lanes[lane] = LaneState(
            number=self._registered, request=request, actor=actor, level=level
        )
        return self._registered

    async def next_event(self, lane: str, request: TrialRequest | None) -> LaneEvent:
        """Begin a trial, or let the running one continue; then wait for its next event.

        Args:
            lane: name of the lane.
            request: the trial to begin; None to continue.

        Returns:
            What the worker reports next; a WorkerHung if it shows no sign of life for too long; a
            LaneLost if a process of the broker that has died knew the lane; a WorkersReleased if
            the lane has no workers any more, see `fit_lanes`; a LaneGivenUp if it takes no more
            trials, see `set_places`; Interrupted if the run is.
            The time in which a task's data is prepared does not count.
        """
        if self._interrupted:
            return Interrupted()
        if (state := self._lanes.get(lane)) is None:
            return LaneLost()
        if state.closed:
            return WorkersReleased()
        if request is not None and self._places and state.level > self._places.levels:
            del self._lanes[lane]
            state.close()
            self._given_up.add(request.trial)
            return LaneGivenUp()
        if request is not None:
            state.resolve_report(Decision.STOP)
            state.serial += 1
            state.request = replace(request, serial=state.serial)
            state.events = asyncio.Queue()
            state.progress = state.phase = None
            state.changed.set()
        else:
            state.resolve_report(Decision.CONTINUE)
        state.last_heartbeat = time.monotonic()
        while True:
            try:
                return await asyncio.wait_for(state.events.get(), self._poll)
            except TimeoutError:
                silent = time.monotonic() - state.last_heartbeat
                if state.request and state.request.task not in self._data:
                    state.last_heartbeat = time.monotonic()  # its data is being prepared
                elif silent > state.allowed_silence(self._hang):
                    return WorkerHung(seconds=silent)

    def count_attempts(self, lane: str) -> int | None:
        """Return how many attempts have begun in a lane; None if it closes or is not known."""
        state = self._lanes.get(lane)
        return None if state is None or state.closed else state.attempts

    def close_lane(self, lane: str) -> None:
        """Let the lane's worker leave."""
        if (state := self._lanes.get(lane)) is not None:
            state.close()

    # Called by Train's workers, by the first one of each lane.

    async def worker_started(self, lane: str, memory_kills: dict[str, int] | None = None) -> bool:
        """Record that a worker group has come up.

        If its predecessor left a trial unfinished, the trial's next attempt is prepared, or the
        trial fails if no attempt is left.

        Args:
            lane: name of the lane.
            memory_kills: node of the lane -> processes that its kernel has killed for lack of
                memory so far.

        Returns:
            Whether the lane is known; if not, its workers are to leave.
        """
        if (state := self._lanes.get(lane)) is None:
            return False
        kills, before = memory_kills or {}, state.memory_kills
        if any(count > before.get(node, count) for node, count in kills.items()):
            state.death = OUT_OF_MEMORY
        state.memory_kills = kills
        self._prepare_attempt(state)
        return True

    def record_death(self, lane: str, reason: str) -> None:
        """Record why the workers of a lane have died."""
        if (state := self._lanes.get(lane)) is not None:
            state.death = reason

    def _prepare_attempt(self, state: LaneState) -> None:
        state.pending_report, state.last_heartbeat = None, time.monotonic()
        state.phase = None
        request = state.request
        if request is None or state.progress is None:
            return
        if request.retries == 0:
            error = f"the worker died {request.attempt} times"
            error += f"; the last time: {state.death}" if state.death else ""
            state.events.put_nowait(TrialEnd(status="failed", error=error))
            state.request = None
            return
        state.request = replace(request, attempt=request.attempt + 1, retries=request.retries - 1)

    async def next_request(self, lane: str, after: int) -> TrialRequest | None:
        """Wait for the next request and return it.

        Args:
            lane: name of the lane.
            after: serial of the worker's last request, 0 for none; the result's is higher.

        Returns:
            The request; None when the lane closes or is not known.
        """
        if (state := self._lanes.get(lane)) is None:
            return None
        while not state.closed and (state.request is None or state.request.serial <= after):
            state.changed.clear()
            await state.changed.wait()
        if state.closed:
            return None
        state.last_heartbeat = time.monotonic()
        return state.request

    def attempt_started(self, lane: str, serial: int, progress: AttemptProgress) -> None:
        """Record that an attempt has begun."""
        if (state := self._state_of(lane, serial)) is not None:
            # An attempt of the same trial has not ended.
            death = state.death or ("its worker died" if state.progress else "")
            again = f"begins again: {death}" if death else ""
            note = "; ".join(filter(None, (again, progress.note)))
            state.progress, state.death = replace(progress, lane=state.number, note=note), ""
            state.attempts += 1

    def note_attempt(self, lane: str, serial: int, note: str) -> None:
        """Record what the log is to say of the running attempt."""
        state = self._state_of(lane, serial)
        if state is not None and state.progress is not None:
            state.progress = replace(state.progress, note=note)

    def heartbeat(
        self, lane: str, serial: int, seconds: float, step: int, phase: Phase
    ) -> Decision:
        """Record a sign of life.

        Args:
            lane: name of the lane.
            serial: of the request that the worker runs.
            seconds: that the trial has taken so far.
            step: the last step that is done.
            phase: what the worker does next.

        Returns:
            STOP if the lane does not run this request: its worker is to leave.
        """
        if (state := self._state_of(lane, serial)) is None:
            return Decision.STOP
        state.show_life(phase)
        if state.progress is None:
            return Decision.CONTINUE
        state.progress = replace(state.progress, seconds=seconds, step=step)
        leaves = self._leaving.intersection(state.progress.nodes)
        return Decision.SAVE if leaves else Decision.CONTINUE

    def record_usage(self, lane: str, serial: int, usage: Usage) -> None:
        """Record what a worker has measured; it stands in the attempt's progress."""
        state = self._state_of(lane, serial)
        if state is not None and state.progress is not None:
            state.progress = replace(state.progress, usage=usage)

    async def report(self, lane: str, serial: int, message: WorkerMessage) -> Decision:
        """Pass a message on and wait for the decision on it; an end needs no decision.

        Args:
            lane: name of the lane.
            serial: of the request that the message belongs to; one of an older request is ignored.
            message: a report of the trial, or its end.
        """
        state = self._state_of(lane, serial)
        if state is None:
            return Decision.STOP
        state.show_life(Phase.TRAINING)
        state.events.put_nowait(replace(message, progress=state.progress))
        if isinstance(message, TrialEnd):
            state.request, state.progress = None, None
            return Decision.STOP
        state.pending_report = asyncio.get_running_loop().create_future()
        return await state.pending_report

    # Called by the driver.

    def running_attempts(self) -> list[AttemptProgress]:
        """Return the progress of the running attempts."""
        return [
            state.progress for state in self._lanes.values() if state.request and state.progress
        ]

    def warn_nodes(self, nodes: Collection[str]) -> None:
        """Let workers on these nodes, and on no others, write checkpoints: they are to leave."""
        self._leaving = frozenset(nodes)

    def set_places(self, places: LanePlaces) -> int:
        """Let so many lanes share each device; return how many there are that are too many.

        Those end with their trials: the next one that they get goes to another lane.
        """
        self._places = places
        return sum(s.level > places.levels and not s.closed for s in self._lanes.values())

    def pop_given_up(self, trial: str) -> bool:
        """Return whether a trial was not taken as its lane is one too many; forget it."""
        given_up = trial in self._given_up
        self._given_up.discard(trial)
        return given_up

    def interrupt(self) -> None:
        """Let all workers leave, and lanes return at once from what they wait for."""
        self._interrupted = True
        for state in self._lanes.values():
            state.close()
            state.events.put_nowait(Interrupted())

    def fit_lanes(
        self, running: Collection[str], remaining: int, waiting: Collection[int], surplus: int
    ) -> list[str]:
        """Take trials from lanes that wait for a node, and let workers leave that no trial needs.

        An idle lane can begin such a trial at once. A released lane starts workers again for its
        next trial.

        Args:
            running: ids of the trials that run or are about to; a stopped trial is none of them.
            remaining: how many more trials there are; so many idle lanes keep their workers.
            waiting: numbers of lanes whose workers wait for a node.
            surplus: how many more lanes have a trial than the cluster holds.

        Returns:
            The ids of the trials that other lanes can run.
        """
        states = self._lanes.values()
        lost, released = leaving_lanes(states, running, remaining, waiting, surplus)
        for state, _ in lost:
            state.events.put_nowait(NodeLost())
        for state in released:
            state.close()
        return [trial for _, trial in lost]

    def forget_dead_lanes(self, trial: str | None, dead: Collection[str]) -> list[int]:
        """Drop the lane that was running `trial`, and any lane whose actor is dead.

        Args:
            trial: id of a trial whose lane has failed; None if the lane had no trial.
            dead: ids of dead actors.

        Returns:
            The numbers of the dropped lanes, whose placement groups must be removed.
        """
        numbers = []
        for name, state in list(self._lanes.items()):
            has_trial = state.request is not None and state.request.trial == trial
            if has_trial or state.actor in dead:
                del self._lanes[name]
                numbers.append(state.number)
        return numbers

    def _state_of(self, lane: str, serial: int) -> LaneState | None:
        """Return the lane's state if it still runs the request of this serial number."""
        state = self._lanes.get(lane)
        return state if state and state.request and state.request.serial == serial else None
