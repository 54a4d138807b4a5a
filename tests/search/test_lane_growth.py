"""The measurements behind the number of lanes on each GPU, and a run on made-up devices."""

import os
import signal
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.fake_mps import install

import raysearch
from raysearch.preflight import Lanes
from raysearch.run_folder import Journal, read_journal
from raysearch.run_folder.events import Plan, SharingEvent
from raysearch.search import cluster_options, gpu_sharing, lane_growth, ray_cluster, session
from raysearch.search.gpu_sharing import GIB
from raysearch.search.lane_growth import LaneGrowth
from raysearch.search.session_clock import SessionClock
from raysearch.workers import mps, worker
from raysearch.workers.lane_places import LanePlaces
from raysearch.workers.messages import AttemptProgress, DeviceMemory, Usage

import ray  # isort: skip  # after ray_cluster, which sets Ray's variables
from ray import cloudpickle  # isort: skip

assert ray_cluster
AUTO = Lanes(per_gpu="auto")
MACHINE = {"CPU": 16.0, "GPU": 2.0}


class ToyLink:
    """Stands for the link to the broker; `too_many` lanes have not ended yet."""

    def __init__(self):
        self.places, self.too_many = [], 0

    def set_places(self, places):
        self.places.append(places)
        return self.too_many


class ToyMachine:
    """Lanes that train on devices of a machine, second by second.

    Args:
        folder: of the journal.
        speed: lanes on each device -> tokens per second of one lane.
        lanes: see LaneGrowth, as `machine`.
        machine: its resources.
        total: bytes of each device.
    """

    def __init__(self, folder, speed, lanes=AUTO, machine=MACHINE, total=140 * GIB):
        self.speed, self.total, self.now, self.lines = speed, total, 1000.0, []
        self.journal = Journal(folder)
        self.growth = LaneGrowth(
            lanes, machine, self.journal, SessionClock(), self.lines.append, lambda: self.now
        )
        self.link = ToyLink()
        self.taken = 0  # bytes of each device that another program holds
        self.ran_out: Counter[int] = Counter()
        self._trained: Counter[int] = Counter()
        self.each, self.model = 4 * GIB, "a toy"

    def train(self, seconds, lanes=None, size=32):
        """Let all lanes train, or so many, and decide every second."""
        for _ in range(seconds):
            self.now += 1.0
            count = lanes or self.growth.limit()
            on_each = -(-count // self.growth.devices)
            for lane in range(1, count + 1):
                self._trained[lane] += 1
                seen, device = self._trained[lane], lane % self.growth.devices
                used = on_each * (self.each + GIB // 2) + self.taken
                memory = DeviceMemory(device=f"{device}: {self.model}", free=self.total - used,
                                      reserved=self.each, peak=self.each)  # fmt: skip
                self.growth.observe(self.progress(lane, seen, memory, on_each), self.record(size))
            self.growth.look(self.link)

    def progress(self, lane, seen, memory, on_each):
        """A long trial in each lane; its tokens follow from the speeds that it has had."""
        self.tokens = getattr(self, "tokens", Counter())
        self.tokens[lane] += self.speed[on_each]
        usage = Usage(tokens=self.tokens[lane], seconds=float(seen), evaluated=True,
                      ran_out=self.ran_out[lane], memory=memory)  # fmt: skip
        return AttemptProgress(trial=f"trial-{lane}", attempt=1, plan=Plan(steps=9), lane=lane,
                               usage=usage)  # fmt: skip

    def record(self, size):
        return SimpleNamespace(task="glue/rte", phase="search", configuration={"BSZ": size})


FAST = {1: 1000, 2: 900, 3: 650, 4: 400}  # 3 lanes are best: 1000, 1800, 1950, 1600


def test_lanes_grow_until_one_more_makes_things_worse_and_the_journal_keeps_it(tmp_path):
    toy = ToyMachine(tmp_path, FAST)
    assert toy.growth.limit() == 2
    toy.growth.place(toy.link)
    toy.train(29)
    assert toy.growth.limit() == 2
    toy.train(5)
    assert toy.growth.limit() == 4
    toy.train(400)
    assert (toy.growth.lanes, toy.growth.settled, toy.growth.limit()) == (3, True, 6)
    assert toy.link.places[0] == LanePlaces(devices=2, levels=1)
    assert toy.link.places[-1] == LanePlaces(devices=2, levels=3)
    assert [line.partition(":")[0] for line in toy.lines] == [
        "2 lanes on each GPU from now on",
        "3 lanes on each GPU from now on",
        "4 lanes on each GPU from now on",
        "3 lanes on each GPU from now on",
    ]
    assert "4 train 0.82 times as much as 3" in toy.lines[-1]
    toy.journal.close()
    kept = read_journal(tmp_path).sharing
    assert (kept.lanes, kept.settled, kept.peak, kept.device) == (3, True, 4 * GIB, "a toy")
    assert kept.reason == toy.lines[-1]


def test_lanes_that_are_too_many_may_finish_their_trials(tmp_path):
    toy = ToyMachine(tmp_path, FAST)
    toy.link.too_many = 0
    toy.train(200)
    toy.growth.lanes, toy.link.too_many = 3, 2
    toy.growth.place(toy.link)
    assert toy.growth.limit() == 8
    toy.link.too_many = 0
    toy.train(2)
    assert toy.growth.limit() == 6


def test_a_resumed_run_goes_at_once_to_the_lanes_that_it_had(tmp_path):
    toy = ToyMachine(tmp_path, FAST)
    toy.train(500)
    toy.journal.close()
    again = ToyMachine(tmp_path, FAST)
    assert again.growth.limit() == 2  # until the memory is known
    again.train(3)
    assert (again.growth.lanes, again.growth.settled) == (3, True)
    assert "as before in this run" in again.lines[0]
    again.train(300)
    assert again.growth.lanes == 3
    again.journal.close()


def test_a_resumed_run_with_less_memory_starts_no_lane_that_does_not_fit(tmp_path):
    toy = ToyMachine(tmp_path, FAST)
    toy.train(500)
    toy.journal.close()
    again = ToyMachine(tmp_path, FAST)
    again.taken = 130 * GIB
    again.train(30)
    assert (again.growth.lanes, again.growth.settled) == (1, True)
    again.journal.close()


def test_a_resumed_run_on_other_devices_measures_anew(tmp_path):
    toy = ToyMachine(tmp_path, FAST)
    toy.train(500)
    toy.journal.close()
    again = ToyMachine(tmp_path, FAST)
    again.model = "another toy"
    again.train(3)
    assert again.lines == ["another toy, not a toy as before: lanes are measured anew"]
    assert again.growth.limit() == 2
    again.journal.close()


def test_nothing_is_measured_while_lanes_wait_for_trials(tmp_path):
    toy = ToyMachine(tmp_path, FAST)
    toy.train(300, lanes=1)
    assert (toy.growth.lanes, toy.lines) == (1, [])
    toy.journal.close()


def test_a_lane_ends_if_another_program_takes_the_memory_for_longer_than_a_moment(tmp_path):
    toy = ToyMachine(tmp_path, FAST)
    toy.train(500)
    toy.growth._peak = 20 * GIB  # as of an earlier, larger trial
    toy.taken = 90 * GIB
    toy.train(5)
    toy.taken = 0
    toy.train(5)
    assert toy.growth.lanes == 3
    toy.taken = 90 * GIB
    toy.train(60)
    assert toy.growth.lanes == 2
    assert "no longer fit on GPU" in toy.lines[-1]
    toy.journal.close()


def test_a_lane_ends_at_once_when_one_runs_out_of_memory(tmp_path):
    toy = ToyMachine(tmp_path, FAST)
    toy.train(500)
    toy.ran_out[5] = 1
    toy.train(1)
    assert (toy.growth.lanes, "has run out of memory" in toy.lines[-1]) == (2, True)
    toy.train(60)
    assert toy.growth.lanes == 2  # it ran out once, not every second
    toy.journal.close()


def test_without_a_readable_memory_one_lane_stays_and_that_is_told_once(tmp_path):
    toy = ToyMachine(tmp_path, FAST)
    for second in range(60):
        toy.now += 1
        for lane in (1, 2):
            progress = toy.progress(lane, second, None, 1)
            toy.growth.observe(progress, toy.record(32))
        toy.growth.look(toy.link)
    assert (toy.growth.limit(), toy.lines) == (
        2, ["1 lane on each GPU: no worker can read a GPU's memory"],
    )  # fmt: skip
    toy.journal.close()


@pytest.mark.parametrize(
    ("lanes", "machine", "devices", "ceiling", "bound"),
    [
        (AUTO, MACHINE, 2, 8, "8 is the most"),
        (AUTO, {"CPU": 7.0, "GPU": 2.0}, 2, 3, "no core is left of 7"),
        (AUTO, {"CPU": 1.0, "GPU": 2.0}, 1, 1, "no core is left of 1"),
        (replace(AUTO, cpus=2), MACHINE, 2, 4, "no core is left of 16"),
        (replace(AUTO, count=3), MACHINE, 2, 2, "--lanes 3"),
        (replace(AUTO, count=1), MACHINE, 1, 1, "--lanes 1"),
    ],
)
def test_cores_and_lanes_bound_the_growth(tmp_path, lanes, machine, devices, ceiling, bound):
    toy = ToyMachine(tmp_path, dict.fromkeys(range(1, 9), 1000), lanes, machine)
    assert toy.growth.devices == devices
    toy.train(30 * 9)
    assert (toy.growth.lanes, toy.growth.settled) == (ceiling, True)
    assert bound in toy.lines[-1]
    assert toy.growth.limit() == min(devices * ceiling, lanes.count or 99)
    toy.journal.close()


class MadeUpMemory:
    """A device with much memory; the file says which worker lies on which device.

    Where it arrives in a worker, the device that Ray gives is made up, and the CPU trains.
    """

    def __init__(self, file):
        self.file = file

    def __setstate__(self, state):
        self.__dict__ = state
        worker.worker_device = lambda: torch.device("cpu")

    def read(self, device):
        (index,) = ray.get_gpu_ids()
        with open(self.file, "a", encoding="utf-8") as file:
            pipes = os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "none")
            file.write(f"{time.time()} {os.getpid()} {index} {pipes}\n")
        return DeviceMemory(device=f"{index}: a toy", free=100 * GIB, reserved=GIB, peak=GIB)


class Watcher(session.NullProgress):
    """Keeps the lines about lanes, and presses Ctrl-C some trials after the second choice."""

    def __init__(self):
        self.lines, self.mps, self.ended = [], [], 0

    def __call__(self, queue, lanes):
        return self

    def note(self, line):
        if " on each GPU" in line:
            self.lines.append(line)
        self.mps += [line] if "MPS" in line else []

    def change(self, record):
        self.ended += record.is_over and len(self.lines) > 1
        if self.ended == 8:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("gain", [1.5, 0.5])
def test_a_run_on_made_up_devices(tmp_path, monkeypatch, gain):
    """Two devices, two cores: a second lane on each is tried, and stays if it brings something.

    Lanes that start may take as long as many of these trials. Once with a toy in the place of MPS.
    """
    calls = install(tmp_path, monkeypatch) if (with_mps := gain > 1) else None
    monkeypatch.setattr(cluster_options, "local_resources", lambda: {"CPU": 2.0, "GPU": 2.0})
    monkeypatch.setattr(gpu_sharing, "WINDOW", 0.5)
    monkeypatch.setattr(gpu_sharing, "measured_gain", lambda now: gain)
    monkeypatch.setattr(lane_growth, "WARM_UP", 0.0)
    monkeypatch.setattr(lane_growth, "PERSISTENCE", 1)
    monkeypatch.setattr(session.Session, "device_memory", MadeUpMemory(str(tmp_path / "devices")))
    study = raysearch.parse(
        {
            "tasks": ["toy/grammar"],
            "model": "scratch:1x64",
            "space": {"LR": {"log": [5e-4, 2e-3]}},
            "fixed": {"BSZ": 32, "EPOCH": 2, "max_length": 32, "evaluations": 2},
            "search": {"trials": 500, "sampler": "random"},
            "confirm": {"seeds": []},
        },
        name="toy",
    )
    watch = Watcher()
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not find the tests
    ray.init(num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False)
    try:
        run = raysearch.search.run(
            study,
            storage=tmp_path,
            lanes=Lanes(per_gpu="auto", cpus=0.5, mps=with_mps),
            watch=watch,
        )
    finally:
        ray.shutdown()
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert run.interrupted
    trials, lines = run.records.trials.values(), watch.lines
    assert {r.status for r in trials} <= {"finished", "degenerate", "running"}
    assert sum(r.is_over for r in trials) >= 8
    assert max(r.attempts for r in trials) == 1
    assert lines[0].startswith("2 lanes on each GPU from now on: a lane takes 1.0 GiB at most")
    rows = [line.split() for line in (tmp_path / "devices").read_text().splitlines()]
    lanes_of = {device: {pid for _, pid, d, _ in rows if d == device} for device in "01"}
    (pipes,) = {pipes for *_, pipes in rows}
    if calls is not None:
        assert watch.mps[0].startswith("NVIDIA's MPS is started")
        assert Path(pipes).name == "mps"
        assert not Path(pipes).exists()
        assert calls.read_text().splitlines()[-1] == "served quit -t 5"
        assert mps._running() is None
    else:
        assert (pipes, watch.mps) == ("none", [])
    events = (tmp_path / "toy" / "journal.jsonl").read_text().splitlines()
    assert sum('"event":"sharing"' in line for line in events) == len(lines) == 2
    if gain > 1:
        assert lines[1].endswith("2 train 1.50 times as much as 1; no core is left of 2")
        assert {device: len(pids) for device, pids in lanes_of.items()} == {"0": 2, "1": 2}
    else:
        assert lines[1] == "1 lane on each GPU from now on: 2 train 0.50 times as much as 1"
        late = max(float(at) for at, *_ in rows) - 3.0  # both have sent something since then
        last = {(pid, device) for at, pid, device, _ in rows if float(at) > late}
        assert Counter(device for _, device in last) == {"0": 1, "1": 1}
    assert run.records.sharing == replace(run.records.sharing, lanes=2 if gain > 1 else 1,
                                          settled=True, peak=GIB)  # fmt: skip
    assert isinstance(run.records.sharing, SharingEvent)
