"""How many lanes share a GPU, decided from simulated measurements."""

import random
from dataclasses import replace

import pytest

from raysearch.search.gpu_sharing import (
    CONTEXT,
    GIB,
    WINDOW,
    DeviceLoad,
    Measurements,
    Work,
    decide,
    measured_gain,
)

KIND = ("glue/mrpc", 32)


def device(lanes=1, free=100.0, each=4.0, name="GPU 0"):
    """A device whose lanes hold so many GiB each."""
    return DeviceLoad(name=name, free=int(free * GIB), reserved=int(lanes * each * GIB),
                      lanes=lanes)  # fmt: skip


def measured(lanes=1, speeds=(1000.0,), gpus=1, **values):
    """What so many lanes on each device show; `speeds`: of all lanes together with 1, 2, ..."""
    work = {
        n: {KIND: Work(tokens=total * WINDOW * gpus, seconds=WINDOW * n * gpus)}
        for n, total in enumerate(speeds, 1)
    }  # fmt: skip
    values = {"ceiling": 8, "bound": "no core is left", "peak": 4 * GIB, "evaluated": True,
              "devices": [device(lanes, name=f"GPU {n}") for n in range(gpus)], "work": work,
              **values}  # fmt: skip
    return Measurements(lanes=lanes, **values)


def simulated(total, devices=1, memory=140.0, peak=4.0, noise=0.0, ceiling=8, seed=0):
    """Run the decision to its end on a machine; return the lanes in their order, and the reasons.

    Args:
        total: lanes on each device -> tokens per second of all of them.
        devices: the number of devices.
        memory: GiB of each.
        peak: GiB that a lane takes beside its context of half a GiB.
        noise: relative deviation of a measured second.
        ceiling: see Measurements.
        seed: of the noise.
    """
    draw, lanes, settled, work, chosen, reasons = random.Random(seed), 1, False, {}, [1], []
    for _ in range(400):
        used = lanes * (peak + 0.5)
        assert used <= memory, "lanes were started that do not fit"
        speed = total[lanes] / lanes
        for _ in range(lanes * devices):
            seen = speed * max(0.1, draw.gauss(1, noise))
            at = work.setdefault(lanes, {})
            at[KIND] = at.get(KIND, Work()) + Work(tokens=seen, seconds=1.0)
        loads = [device(lanes, memory - used, peak, f"GPU {n}") for n in range(devices)]
        choice = decide(measured(lanes, ceiling=ceiling, settled=settled, work=work,
                                 peak=int(peak * GIB), devices=loads))  # fmt: skip
        if choice is not None:
            lanes, settled = choice.lanes, choice.settled
            chosen.append(lanes)
            reasons.append(choice.reason)
    assert settled, "it never came to an end"
    return chosen, reasons


def curve(*totals):
    return dict(enumerate([*totals, *totals[-1:] * 8], 1))


def test_lanes_are_added_while_all_together_train_more_and_the_number_then_stays():
    chosen, reasons = simulated(curve(100, 180, 230, 240))
    assert chosen == [1, 2, 3, 4, 4]
    assert reasons[0] == (
        "2 lanes on each GPU from now on: a lane takes 4.0 GiB at most, 135.5 GiB are free"
    )
    assert "2 train 1.80 times as much as 1; a lane takes" in reasons[1]
    assert reasons[-1] == (
        "4 lanes on each GPU to the end: 4 train 1.04 times as much as 3, less than 1.07 times"
    )


def test_a_lane_that_makes_things_worse_is_given_up():
    chosen, reasons = simulated(curve(100, 180, 150))
    assert chosen == [1, 2, 3, 2]
    assert reasons[-1] == "2 lanes on each GPU from now on: 3 train 0.83 times as much as 2"


def test_no_lane_is_started_that_would_not_fit():
    chosen, reasons = simulated(curve(*range(100, 900, 100)), memory=24.0, peak=7.0)
    assert chosen == [1, 2, 2]  # a third would fit only without the margin
    assert (
        "another does not fit on GPU 0: 9.0 GiB free, and 10.1 GiB wanted for 3 of 7.7 GiB"
        in (reasons[-1])
    )


def test_the_device_with_the_least_room_decides():
    loads = [device(name="GPU 0"), device(name="GPU 1", free=4.0)]
    choice = decide(measured(gpus=2, devices=loads))
    assert (choice.lanes, choice.settled) == (1, True)
    assert "does not fit on GPU 1" in choice.reason


def test_small_lanes_are_to_leave_room_for_the_largest_trial_that_was_seen():
    """The lane on the device holds 2 GiB now, but one had 30: two may come to need 60."""
    load = device(each=2.0, free=40.0)
    choice = decide(measured(peak=30 * GIB, devices=[load]))
    assert (choice.lanes, choice.settled) == (1, True)
    wanted = 2 * 33 - 2 + CONTEXT / GIB
    assert f"{wanted:.1f} GiB wanted for 2 of 33.0 GiB" in choice.reason


def test_cores_end_the_growth():
    chosen, reasons = simulated(curve(*range(100, 900, 100)), ceiling=3)
    assert chosen == [1, 2, 3, 3]
    assert "3 train 1.50 times as much as 2; no core is left" in reasons[-1]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("devices", [1, 4])
def test_noise_changes_no_clear_choice(seed, devices):
    chosen, _ = simulated(curve(100, 170, 225, 225), devices=devices, noise=0.15, seed=seed)
    assert chosen[:4] == [1, 2, 3, 4]
    assert chosen[-1] in (3, 4)  # the fourth brings nothing and costs nothing: either is right
    assert len(chosen) == 5


def test_nothing_is_decided_before_speed_and_memory_are_known():
    enough = measured()
    assert decide(enough).lanes == 2
    short = {1: {KIND: Work(tokens=1e5, seconds=WINDOW - 1)}}
    for lacking in ({"work": short}, {"work": {}}, {"evaluated": False}, {"peak": 0},
                    {"devices": []}):  # fmt: skip
        assert decide(replace(enough, **lacking)) is None


def test_another_program_that_takes_the_memory_ends_a_lane():
    """Both lanes hold 2 GiB, one has had 10: 16 more may be needed, and 5 are free."""
    load = device(lanes=2, each=2.0, free=5.0)
    now = measured(2, (100.0, 180.0), peak=10 * GIB, settled=True)
    choice = decide(replace(now, devices=[load]))
    assert (choice.lanes, choice.settled) == (1, True)
    assert "2 lanes of up to 10.0 GiB no longer fit on GPU 0, where 5.0 GiB are free" in (
        choice.reason
    )
    assert decide(replace(now, devices=[replace(load, free=17 * GIB)])) is None
    one = replace(load, lanes=1, free=0)
    assert decide(replace(now, lanes=1, devices=[one])) is None  # the last lane stays


def test_a_lane_that_ran_out_of_memory_ends_one():
    choice = decide(measured(3, (100.0, 180.0, 260.0), ran_out=True))
    assert (choice.lanes, choice.settled) == (2, True)
    assert "one of 3 has run out of memory" in choice.reason
    assert decide(measured(ran_out=True, evaluated=False)) is None  # alone it is the trial's fault


def kinds(**tokens_per_second):
    """Work of a window of each kind."""
    return {k: Work(tokens=WINDOW * v, seconds=WINDOW) for k, v in tokens_per_second.items()}


def test_trials_of_different_batch_sizes_compare_by_kind():
    """With one lane mostly small batches were trained, with two mostly large and fast ones."""
    before = {**kinds(small=100.0, large=400.0)}
    before["small"] = before["small"] + before["small"]
    after = kinds(small=60.0, large=240.0)
    after["large"] = after["large"] + after["large"] + after["large"]
    now = measured(2, work={1: before, 2: after})
    assert measured_gain(now) == pytest.approx(1.2)  # 2 x 0.6; all together would say 2.3


def test_without_trials_of_the_same_kind_all_are_compared_in_the_end():
    now = measured(2, work={1: kinds(small=100.0), 2: kinds(large=90.0, huge=90.0)})
    assert decide(now) is None
    late = {k: Work(tokens=4 * w.tokens, seconds=4 * w.seconds) for k, w in now.work[2].items()}
    assert measured_gain(replace(now, work={**now.work, 2: late})) == pytest.approx(1.8)


def test_a_resumed_run_goes_to_its_number_as_soon_as_the_memory_is_known():
    now = measured(1, kept=3, work={}, evaluated=False)
    choice = decide(now)
    assert (choice.lanes, choice.settled) == (2, False)
    assert "as before in this run" in choice.reason
    at_three = replace(now, lanes=3, devices=[device(3)], settled=True)
    assert decide(at_three) is None
    taken = replace(now, devices=[device(free=1.0)])
    assert (decide(taken).lanes, decide(taken).settled) == (1, True)  # by another program


def test_a_resumed_run_that_had_not_settled_measures_on_from_its_number():
    speeds = {3: {KIND: Work(tokens=1e6, seconds=3 * WINDOW)}}
    now = measured(3, kept=3, work=speeds)
    assert decide(now).lanes == 4
