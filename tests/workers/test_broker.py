"""The broker between lanes and workers, as plain asyncio. No Ray is started."""

import asyncio
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest

from raysearch.run_folder.events import Plan
from raysearch.run_folder.report import Report
from raysearch.workers.broker import TrialBroker
from raysearch.workers.lane_places import LanePlaces, share_of
from raysearch.workers.lane_state import LaneState
from raysearch.workers.memory_kills import OUT_OF_MEMORY
from raysearch.workers.messages import (
    AttemptProgress,
    Decision,
    Interrupted,
    LaneGivenUp,
    LaneLost,
    NodeLost,
    Phase,
    TrialEnd,
    TrialReport,
    TrialRequest,
    Usage,
    WorkerHung,
    WorkersReleased,
)

LANE, RTE = "lane-1", "glue/rte"
LONG = 60.0  # seconds that no test takes
POLL = 0.001  # seconds between two checks of a silent worker
POLLS = 20 * POLL
DATA = {"splits": {}, "pretrained": None}
REPORT = TrialReport(report=Report(stage="finetune", step=50, steps=100, loss=0.5), attempt=1)
END = TrialEnd(status="finished", seconds=9.0)


@pytest.fixture
def clock(monkeypatch):
    """The broker's clock, in seconds, which stands still until a test moves it."""
    toy = SimpleNamespace(now=0.0)
    for module in ("broker", "lane_state"):
        name = f"raysearch.workers.{module}.time"
        monkeypatch.setattr(name, SimpleNamespace(monotonic=lambda: toy.now))
    return toy


def request(trial="a", **values):
    return TrialRequest(trial=trial, task=RTE, configuration={}, seed=1, **values)


def progress(trial="a", attempt=1, seconds=0.0):
    return AttemptProgress(trial=trial, attempt=attempt, plan=Plan(steps=100), seconds=seconds,
                           lane=1)  # fmt: skip


def started(first=None, hang=LONG):
    """A broker with the data of a task and one lane, registered for a first trial."""
    broker = TrialBroker(hang, poll=POLL)
    broker.publish_data(RTE, DATA)
    broker.register_lane(LANE, first or request(), "actor")
    return broker


async def begin(broker, trial_request=None):
    """Give the lane a trial and let its worker take it.

    Returns:
        The request as the worker gets it, and the lane's task that waits for the first event.
    """
    last = broker._lanes[LANE].serial
    event = asyncio.create_task(broker.next_event(LANE, trial_request or request()))
    taken = await broker.next_request(LANE, last)
    told = replace(progress(taken.trial, taken.attempt), lane=None)  # the broker knows the lane
    broker.attempt_started(LANE, taken.serial, told)
    return taken, event


def run(test):
    """Run an asynchronous test; none waits for a minute."""
    return asyncio.run(asyncio.wait_for(test, LONG))


def test_requests_of_a_lane_are_numbered_from_1_and_each_is_served_once():
    async def scenario():
        broker = started()
        serials = []
        for trial in ("a", "b", "c"):
            taken, event = await begin(broker, request(trial))
            serials.append((taken.trial, taken.serial))
            await broker.report(LANE, taken.serial, END)
            assert await event == replace(END, progress=progress(trial))
        following = asyncio.create_task(broker.next_request(LANE, 3))
        await asyncio.sleep(0)
        assert not following.done()
        following.cancel()
        return serials

    assert run(scenario()) == [("a", 1), ("b", 2), ("c", 3)]


@pytest.mark.parametrize(
    ("following", "decision"), [(None, Decision.CONTINUE), (request("b"), Decision.STOP)]
)
def test_a_report_waits_for_the_decision_which_the_next_call_of_the_lane_is(following, decision):
    async def scenario():
        broker = started()
        taken, event = await begin(broker)
        report = asyncio.create_task(broker.report(LANE, taken.serial, REPORT))
        assert await event == replace(REPORT, progress=progress())
        assert not report.done()
        waiting = asyncio.create_task(broker.next_event(LANE, following))
        assert await report is decision
        waiting.cancel()

    run(scenario())


def test_an_end_needs_no_decision_and_leaves_the_lane_without_a_trial():
    async def scenario():
        broker = started()
        taken, event = await begin(broker)
        assert len(broker.running_attempts()) == 1
        assert await broker.report(LANE, taken.serial, END) is Decision.STOP
        assert await event == replace(END, progress=progress())
        assert broker.running_attempts() == []

    run(scenario())


def test_late_messages_of_an_older_request_change_nothing_and_are_told_to_stop():
    async def scenario():
        broker = started()
        old, event = await begin(broker)
        event.cancel()
        new, event = await begin(broker, request("b"))
        assert await broker.report(LANE, old.serial, REPORT) is Decision.STOP
        assert broker.heartbeat(LANE, old.serial, 99.0, 99, Phase.TRAINING) is Decision.STOP
        broker.attempt_started(LANE, old.serial, progress("a", attempt=9))
        assert broker.running_attempts() == [progress("b")]
        await broker.report(LANE, new.serial, END)
        assert isinstance(await event, TrialEnd)

    run(scenario())


def test_messages_of_a_lane_that_is_not_known_are_told_to_stop():
    broker = started()
    assert broker.heartbeat("lane-2", 1, 1.0, 1, Phase.TRAINING) is Decision.STOP
    broker.close_lane("lane-2")
    assert run(broker.report("lane-2", 1, REPORT)) is Decision.STOP


def test_a_worker_group_that_comes_up_again_gets_the_trial_of_its_predecessor_again():
    async def scenario():
        broker = started()
        _, event = await begin(broker, request(attempt=3, retries=2))
        attempts = []
        for _ in range(2):
            await broker.worker_started(LANE)
            again = await broker.next_request(LANE, 0)
            attempts.append((again.trial, again.serial, again.attempt, again.retries))
        event.cancel()
        return attempts

    assert run(scenario()) == [("a", 1, 4, 1), ("a", 1, 5, 0)]


def test_a_trial_whose_workers_died_too_often_ends_as_failed():
    async def scenario():
        broker = started()
        _, event = await begin(broker, request(attempt=3, retries=0))
        await broker.worker_started(LANE)
        assert broker.running_attempts() == []
        return await event

    error = "the worker died 3 times"
    assert run(scenario()) == TrialEnd(status="failed", error=error)


@pytest.mark.parametrize("ended", [False, True])
def test_a_worker_group_that_comes_up_with_no_attempt_under_way_costs_none(ended):
    async def scenario():
        broker = started()
        event = asyncio.create_task(broker.next_event(LANE, request(retries=1)))
        taken = await broker.next_request(LANE, 0)
        if ended:
            await broker.report(LANE, taken.serial, END)
            await event
        await broker.worker_started(LANE)
        state = broker._lanes[LANE].request
        event.cancel()
        return state and (state.attempt, state.retries)

    assert run(scenario()) == (None if ended else (1, 1))


def test_a_report_that_died_with_its_worker_is_not_resolved_for_the_next_one():
    async def scenario():
        broker = started()
        taken, event = await begin(broker, request(retries=1))
        dead = asyncio.create_task(broker.report(LANE, taken.serial, REPORT))
        await event
        await broker.worker_started(LANE)
        waiting = asyncio.create_task(broker.next_event(LANE, None))
        await asyncio.sleep(POLLS)
        assert not dead.done()
        dead.cancel()
        waiting.cancel()

    run(scenario())


def test_a_death_of_which_no_more_is_known_is_told_when_the_trial_begins_again():
    async def scenario():
        broker = started(request(retries=1))
        _taken, event = await begin(broker, request(retries=1))
        await broker.worker_started(LANE)
        again = await broker.next_request(LANE, 0)
        await broker.worker_started(LANE)  # it died before the attempt began
        broker.attempt_started(LANE, again.serial, progress(attempt=2))
        return (await event).error

    assert run(scenario()) == "the worker died 2 times"

    async def once():
        broker = started(request(retries=1))
        _taken, event = await begin(broker, request(retries=1))
        await broker.worker_started(LANE)
        again = await broker.next_request(LANE, 0)
        broker.attempt_started(LANE, again.serial, progress(attempt=2))
        (attempt,) = broker.running_attempts()
        await broker.report(LANE, again.serial, END)
        await event
        return attempt.note

    assert run(once()) == "begins again: its worker died"


def test_a_death_for_lack_of_memory_is_named_when_the_trial_begins_again_and_when_it_fails():
    async def scenario():
        broker = started(request(retries=1))
        await broker.worker_started(LANE, {"node": 2})
        _taken, event = await begin(broker, request(retries=1))
        await broker.worker_started(LANE, {"node": 3})
        again = await broker.next_request(LANE, 0)
        broker.attempt_started(LANE, again.serial, progress(attempt=2))
        (attempt,) = broker.running_attempts()
        await broker.worker_started(LANE, {"other": 9})  # nothing is known of that node
        return attempt.note, (await event).error

    note, error = run(scenario())
    assert note == f"begins again: {OUT_OF_MEMORY}"
    assert error == "the worker died 2 times"

    async def failing():
        broker = started()
        _, event = await begin(broker)
        broker.record_death(LANE, "its host ran out of memory")
        await broker.worker_started(LANE)
        return (await event).error

    assert run(failing()) == "the worker died 1 times; the last time: its host ran out of memory"


def test_a_worker_on_a_node_that_is_to_leave_is_asked_for_checkpoints_until_the_notice_ends():
    async def scenario():
        broker = started()
        taken, event = await begin(broker)
        broker.attempt_started(LANE, taken.serial, replace(progress(), nodes=("n1", "n2")))
        decisions = []
        for leaving in ((), ("n3",), ("n3", "n2"), ()):
            broker.warn_nodes(leaving)
            decisions.append(broker.heartbeat(LANE, taken.serial, 0.0, 1, Phase.TRAINING).name)
        event.cancel()
        return decisions

    assert run(scenario()) == ["CONTINUE", "CONTINUE", "SAVE", "CONTINUE"]


def test_what_a_worker_notes_stands_in_its_attempt():
    async def scenario():
        broker = started()
        taken, event = await begin(broker)
        broker.note_attempt(LANE, taken.serial + 1, "of another request")
        (before,) = broker.running_attempts()
        broker.note_attempt(LANE, taken.serial, "no disk")
        (after,) = broker.running_attempts()
        event.cancel()
        return before.note, after.note

    assert run(scenario()) == ("", "no disk")


def test_a_worker_without_a_sign_of_life_is_hung(clock):
    async def scenario():
        broker = started(hang=30.0)
        taken, event = await begin(broker)
        broker.heartbeat(LANE, taken.serial, 0.0, 1, Phase.TRAINING)
        clock.now = 29.0
        await asyncio.sleep(POLLS)
        assert not event.done()
        clock.now = 31.0
        return await event

    assert run(scenario()) == WorkerHung(seconds=31.0)


def test_signs_of_life_keep_a_worker_from_counting_as_hung(clock):
    async def scenario():
        broker = started(hang=30.0)
        taken, event = await begin(broker)
        for step in range(1, 6):
            clock.now += 20.0
            seen = broker.heartbeat(LANE, taken.serial, 20.0 * step, step, Phase.TRAINING)
            assert seen is Decision.CONTINUE
            await asyncio.sleep(POLLS)
        assert not event.done()
        (attempt,) = broker.running_attempts()
        clock.now += 20.0
        report = asyncio.create_task(broker.report(LANE, taken.serial, REPORT))
        assert isinstance(await event, TrialReport)
        report.cancel()
        return attempt.seconds, attempt.step

    assert run(scenario()) == (100.0, 5)


@pytest.mark.parametrize(
    ("phases", "silence", "limit"),
    [
        ([], 0.0, 1800.0),  # before the first step
        (["TRAINING", "TRAINING"], 2.0, 60.0),
        (["TRAINING", "TRAINING"], 5.0, 100.0),
        (["TRAINING", "TRAINING", "EVALUATING", "EVALUATING"], 2.0, 1800.0),  # its first one
        (["EVALUATING", "EVALUATING", "TRAINING", "EVALUATING"], 4.0, 80.0),
        (["TRAINING", "SAVING"], 2.0, 1800.0),
        (["TRAINING", "SAVING", "TRAINING"], 50.0, 1000.0),
    ],
)
def test_the_silence_that_is_allowed_follows_from_what_the_lane_has_taken(
    clock, phases, silence, limit
):
    state = LaneState()
    for phase in phases:
        clock.now += silence
        state.show_life(Phase[phase])
    assert state.allowed_silence(None) == limit
    assert state.allowed_silence(7.0) == (7.0 if phases else 1800.0)


def test_a_report_is_the_end_of_an_evaluation(clock):
    async def scenario():
        broker = started()
        taken, event = await begin(broker)
        broker.heartbeat(LANE, taken.serial, 0.0, 1, Phase.EVALUATING)
        clock.now += 6.0
        report = asyncio.create_task(broker.report(LANE, taken.serial, REPORT))
        await event
        report.cancel()
        broker.heartbeat(LANE, taken.serial, 0.0, 1, Phase.EVALUATING)
        return broker._lanes[LANE].allowed_silence(None)

    assert run(scenario()) == 120.0


def test_a_broker_that_has_started_again_knows_no_lane_and_admits_others_once_it_is_told():
    async def scenario():
        broker = TrialBroker(LONG, poll=POLL)
        assert await broker.next_event(LANE, request()) == LaneLost()
        assert not await broker.worker_started(LANE)
        assert await broker.next_request(LANE, 0) is None
        assert broker.count_attempts(LANE) is None
        number = asyncio.create_task(broker.admit_lane("lane-2", request(), "actor"))
        await asyncio.sleep(POLLS)
        assert not number.done()
        broker.begin(8, {RTE: DATA}, {"one": ["weights"]})
        assert (await number, broker.get_teacher("one")) == ((8, None), ["weights"])
        assert await broker.get_data(RTE) is DATA
        process, lanes, value = await broker.answer("running_attempts")
        assert (lanes, value) == (8, [])
        assert process != (await TrialBroker(LONG).answer("running_attempts"))[0]

    run(scenario())


def test_no_worker_is_hung_while_the_data_of_its_task_is_prepared(clock):
    async def scenario():
        broker = TrialBroker(30.0, poll=POLL)
        broker.register_lane(LANE, request(), "actor")
        event = asyncio.create_task(broker.next_event(LANE, request()))
        data = asyncio.create_task(broker.get_data(RTE))
        for _ in range(3):
            await asyncio.sleep(POLLS)
            clock.now += 3000.0
        await asyncio.sleep(POLLS)
        broker.publish_data("glue/mrpc", {})
        await asyncio.sleep(0)
        assert not event.done()
        assert not data.done()
        broker.publish_data(RTE, DATA)
        assert await data is DATA
        clock.now += 1801.0
        return await event

    assert run(scenario()) == WorkerHung(seconds=1801.0)


def test_a_closed_lane_stops_its_open_report_and_sends_its_worker_away():
    async def scenario():
        broker = started()
        taken, event = await begin(broker)
        report = asyncio.create_task(broker.report(LANE, taken.serial, REPORT))
        await event
        assert broker.count_attempts(LANE) == 1
        broker.close_lane(LANE)
        assert broker.count_attempts(LANE) is None  # its workers do not start again
        assert await report is Decision.STOP
        assert await broker.next_request(LANE, taken.serial) is None
        assert await broker.report(LANE, taken.serial, REPORT) is Decision.STOP

    run(scenario())


def test_an_interrupted_run_frees_lanes_that_wait_and_lets_all_workers_leave():
    async def scenario():
        broker = started()
        taken, event = await begin(broker)  # its worker hangs, and reports nothing
        broker.register_lane("idle", None, "actor")
        waiting = asyncio.create_task(broker.next_request("idle", 0))
        await asyncio.sleep(0)
        broker.interrupt()
        assert await event == Interrupted()
        assert await waiting is None
        assert broker.heartbeat(LANE, taken.serial, 1.0, 1, Phase.TRAINING) is Decision.STOP
        # A request that was on its way starts no workers.
        assert await broker.next_event("idle", request("b")) == Interrupted()

    run(scenario())


def test_a_worker_that_waits_for_a_request_is_woken_when_its_lane_closes():
    async def scenario():
        broker = started()
        broker._lanes[LANE].request = None
        waiting = asyncio.create_task(broker.next_request(LANE, 0))
        await asyncio.sleep(0)
        broker.close_lane(LANE)
        return await waiting

    assert run(scenario()) is None


def test_lanes_are_numbered_and_the_dead_ones_are_forgotten_by_their_numbers():
    broker = TrialBroker(LONG, poll=POLL)
    numbers = [
        broker.register_lane(name, request(f"trial {name}"), f"actor {name}")
        for name in ("failed", "idle", "died idle", "busy")
    ]
    assert numbers == [1, 2, 3, 4]
    assert broker.forget_dead_lanes("trial failed", {"actor died idle", "another"}) == [1, 3]
    assert broker.forget_dead_lanes(None, {"actor died idle"}) == []
    assert broker.register_lane("new", request(), "actor") == 5  # no number is given twice


def test_weights_are_fetched_once():
    broker = started()
    broker.put_model("a", ["reference"])
    assert broker.pop_model("a") == ["reference"]
    assert broker.pop_model("a") is None
    assert broker.pop_model("b") is None


def test_only_the_teachers_that_were_published_last_are_there():
    broker = started()
    broker.publish_teachers({"one": ["first"], "two": ["second"]})
    broker.publish_teachers({"two": ["second"]})
    assert broker.get_teacher("two") == ["second"]
    with pytest.raises(KeyError):
        broker.get_teacher("one")


def test_the_workers_of_idle_lanes_leave_but_those_that_are_kept_and_those_with_a_trial():
    async def scenario():
        broker = started()
        _, event = await begin(broker)
        for name in ("stopped", "idle 1", "idle 2"):
            broker.register_lane(name, None, "actor")
        broker._lanes["stopped"].request = request("b")  # its worker waits for the decision
        broker.fit_lanes({"a"}, 1, (), 0)
        closed = [name for name, state in broker._lanes.items() if state.closed]
        broker.fit_lanes({"a"}, 0, (), 0)
        everyone = [name for name, state in broker._lanes.items() if state.closed]
        event.cancel()
        return closed, everyone, await broker.next_event("idle 2", request("c"))

    closed, everyone, answer = run(scenario())
    assert closed == ["idle 1", "idle 2"]
    assert everyone == ["stopped", "idle 1", "idle 2"]
    assert answer == WorkersReleased()  # a trial that was on its way starts workers again


def test_lanes_without_a_node_end_up_to_a_number_and_their_trials_are_named():
    async def scenario():
        broker = started()
        _, event = await begin(broker)
        broker.register_lane("lane-2", request("b"), "actor")
        broker.register_lane("lane-3", request("c"), "actor")
        assert broker.fit_lanes("abc", 9, {7}, 3) == []
        assert broker.fit_lanes("abc", 9, {1, 2, 3}, -1) == []
        assert broker.fit_lanes("abc", 9, {1, 2, 3}, 2) == ["a", "b"]
        return await event

    assert run(scenario()) == NodeLost()


@pytest.mark.parametrize(
    ("remaining", "surplus", "moved", "closed"),
    [
        (0, 0, ["a"], ["idle 2"]),
        (1, -1, [], ["idle 2"]),
        (2, -2, [], []),
        (2, 0, ["a"], []),  # no lane may begin another trial: the idle one would wait forever
    ],
)
def test_a_trial_moves_from_a_lane_without_a_node_to_one_that_has_nothing_to_do(
    remaining, surplus, moved, closed
):
    broker = started()
    broker.register_lane("idle 1", None, "actor")
    broker.register_lane("idle 2", None, "actor")  # waits for a node too
    assert broker.fit_lanes({"a"}, remaining, {1, 3}, surplus) == moved
    assert [name for name, state in broker._lanes.items() if state.closed] == closed


def test_what_a_worker_measures_stands_in_the_progress_of_its_attempt():
    async def scenario():
        broker = started()
        taken, event = await begin(broker)
        usage = Usage(tokens=640, seconds=2.5)
        broker.record_usage(LANE, taken.serial - 1, Usage(tokens=1, seconds=0.1))  # an older trial
        assert broker.running_attempts()[0].usage is None
        broker.record_usage(LANE, taken.serial, usage)
        assert broker.running_attempts()[0].usage == usage
        await asyncio.gather(broker.report(LANE, taken.serial, END), event)
        return (await event).progress.usage

    assert run(scenario()) == Usage(tokens=640, seconds=2.5)


def shares(broker, *names):
    """The parts of a device that lanes of these names ask for."""
    return [run(broker.admit_lane(name, request(name), "actor"))[1] for name in names]


def test_lanes_that_share_devices_take_the_lowest_free_level():
    broker = TrialBroker(LONG, poll=POLL)
    broker.begin(1, {}, {}, LanePlaces(devices=2, levels=1))
    assert shares(broker, "a", "b") == [share_of(1)] * 2
    assert broker.set_places(LanePlaces(devices=2, levels=3)) == 0
    assert shares(broker, "c", "d", "e") == [share_of(2)] * 2 + [share_of(3)]
    broker.close_lane("a")
    assert shares(broker, "f") == [share_of(1)]
    broker.close_lane("d")
    assert shares(broker, "g", "h") == [share_of(2), share_of(3)]
    assert shares(broker, "i") == [share_of(3)]  # no place is free: it waits for one
    assert TrialBroker(LONG).register_lane("x", request(), "actor") == 1


def test_a_lane_that_is_one_too_many_ends_with_its_trial():
    async def scenario():
        broker = started()
        broker.set_places(LanePlaces(devices=1, levels=2))
        state = broker._lanes[LANE]
        state.level = 2
        taken, event = await begin(broker)
        assert broker.set_places(LanePlaces(devices=1, levels=1)) == 1
        await asyncio.gather(broker.report(LANE, taken.serial, END), event)  # this one it finishes
        worker = asyncio.create_task(broker.next_request(LANE, taken.serial))
        answer = await broker.next_event(LANE, request("next"))
        assert broker.set_places(LanePlaces(devices=1, levels=1)) == 0
        return answer, await worker, [broker.pop_given_up(trial) for trial in ("a", *["next"] * 2)]

    assert run(scenario()) == (LaneGivenUp(), None, [False, True, False])


@pytest.mark.parametrize("devices", [1, 2, 3, 8])
def test_the_shares_of_the_levels_spread_lanes_evenly_whatever_ends_in_between(devices):
    """As Ray does it: a fraction comes from the device on which the least stays free."""
    draw, free, places = random.Random(devices), [10_000] * devices, {}
    want = [round(10_000 * share_of(level)) for level in range(1, 9)]

    def start(level):
        fitting = [d for d in range(devices) if free[d] >= want[level - 1]]
        assert fitting, "a lane waits although its level has a free place"
        device = min(fitting, key=lambda d: free[d])
        free[device] -= want[level - 1]
        assert (level, device) not in places, "two lanes of a level on one device"
        places[level, device] = True

    for level in range(1, 9):
        for _ in range(devices):
            start(level)
    for _ in range(200):
        ended = draw.sample(sorted(places), draw.randint(1, min(5, len(places))))
        for level, device in ended:
            free[device] += want[level - 1]
            del places[level, device]
        for level in sorted(level for level, _ in ended):
            start(level)
