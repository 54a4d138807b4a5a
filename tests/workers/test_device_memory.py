"""What a worker measures for lanes that share devices."""

from types import SimpleNamespace

import pytest
import torch

from raysearch.workers import device_memory, machine
from raysearch.workers.device_memory import TorchMemory, UsageMeter
from raysearch.workers.messages import DeviceMemory, Usage

CPU = torch.device("cpu")
MEMORY = DeviceMemory(device="0: a toy", free=7, reserved=2, peak=3)


class ToyReader:
    def read(self, device):
        return MEMORY


@pytest.fixture
def clock(monkeypatch):
    toy = SimpleNamespace(now=0.0)
    monkeypatch.setattr(device_memory, "time", SimpleNamespace(monotonic=lambda: toy.now))
    return toy


def test_only_training_counts_and_neither_evaluations_nor_what_came_before_a_checkpoint(clock):
    meter = UsageMeter(ToyReader(), CPU)
    meter.begin(1000)
    for tokens, seconds, trains in (
        (1010, 2.0, True),
        (1030, 3.0, False),  # the last step before an evaluation
        (1030, 9.0, False),  # a dev batch
        (1030, 9.0, True),  # the last one, and scores
        (1040, 1.0, True),
    ):
        clock.now += seconds
        meter.step(tokens, trains)
    meter.evaluated = True
    assert meter.usage(2) == Usage(tokens=40, seconds=6.0, evaluated=True, ran_out=2, memory=MEMORY)
    meter.begin(0)
    assert meter.usage(2).tokens == meter.usage(2).seconds == 0


def test_a_cpu_has_no_memory_of_its_own():
    assert TorchMemory().read(CPU) is None


def test_the_memory_of_a_gpu_is_the_drivers_and_the_allocators(monkeypatch):
    toy = SimpleNamespace(
        mem_get_info=lambda device: (70, 100),
        memory_reserved=lambda device: 20,
        max_memory_reserved=lambda device: 25,
    )
    monkeypatch.setattr(torch, "cuda", toy)
    monkeypatch.setattr(device_memory, "device_name", lambda device: "1: a toy")
    read = TorchMemory().read(torch.device("cuda"))
    assert read == DeviceMemory(device="1: a toy", free=70, reserved=20, peak=25)


def test_a_gpu_that_torch_cannot_use_is_named_by_the_trial_and_ends_no_lane(monkeypatch):
    """Ray may count a GPU where torch is a build for the CPU."""
    monkeypatch.setattr("ray.train.torch.get_device", lambda: torch.device("cuda", 0))
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine.worker_device() == torch.device("cuda", 0)
    assert chosen == []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    machine.worker_device()
    assert chosen == [torch.device("cuda", 0)]
