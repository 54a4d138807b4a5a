"""What a driver's process spends on its trials, for benchmarks: CPU seconds at each trial's end."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple
from unittest import mock

import optuna

from raysearch.run_folder import Record

WINDOWS = (100, 500, 1000, 2000, 5000, 10000)
WIDTH = 50  # trials of a window on each side
PART = 10  # trials over which a figure is formed; a window's is the median of its parts


class Costs(NamedTuple):
    """What a run has cost so far.

    Attributes:
        seconds: by the wall clock.
        cpu: CPU seconds of the driver.
        optuna: those of them that Optuna's `Study.ask` took.
    """

    seconds: float
    cpu: float
    optuna: float


class Meter:
    """The costs at the end of each trial, while it is entered.

    Attributes:
        ends: the costs at the end of each trial, in order.
    """

    def __init__(self) -> None:
        self.ends: list[Costs] = []
        self._asking, self._ask = 0.0, optuna.Study.ask
        self._patch = mock.patch.object(optuna.Study, "ask", self._timed_ask())
        self._started = time.perf_counter(), time.process_time()

    def __enter__(self) -> "Meter":
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.stop()

    def end(self) -> None:
        """Note the costs at the end of a trial."""
        seconds, cpu = self._started
        self.ends.append(
            Costs(time.perf_counter() - seconds, time.process_time() - cpu, self._asking)
        )

    def _timed_ask(self) -> Callable[..., optuna.Trial]:
        def ask(study: optuna.Study, *parts: object) -> optuna.Trial:
            started = time.process_time()
            try:
                return self._ask(study, *parts)
            finally:
                self._asking += time.process_time() - started

        return ask


def print_windows(ends: list[Costs], lanes: int) -> None:
    """Print the CPU milliseconds per trial around some trials, and Optuna's share of them.

    Args:
        ends: the costs at the end of each trial of the search.
        lanes: how many; no trial begins after the end of one of the last ones.
    """
    for middle in WINDOWS:
        last = min(middle + WIDTH, len(ends) - 1 - lanes)
        first = last - 2 * WIDTH
        if first < 0 or last < 0.9 * middle:
            continue
        parts = [(ends[i], ends[i + PART]) for i in range(first, last, PART)]
        asking = statistics.median(b.optuna - a.optuna for a, b in parts)
        other = statistics.median(b.cpu - b.optuna - a.cpu + a.optuna for a, b in parts)
        own, asked = 1000 * other / PART, 1000 * asking / PART
        text = f"{own:.2f} ms of CPU per trial, and {asked:.2f} in Optuna's ask"
        print(f"around trial {last - WIDTH:>5}: {text}")


def print_seconds(records: list[Record], ends: list[Costs], lanes: int, work: float) -> None:
    """Print how long the search took, in all and once every lane has ended a trial.

    Args:
        records: the trials of the search, which have all ended.
        ends: the costs at the end of each trial of the search.
        lanes: how many.
        work: seconds that a trial takes in its lane.
    """
    print(f"{len(ends)} trials in {ends[-1].seconds:.1f} s, the start of the lanes included")
    up = {}  # lane -> end of its first trial
    for record in records:
        lane = record.starts[-1].lane
        up[lane] = min(record.ended, up.get(lane, record.ended))
    warm = sum(record.ended <= max(up.values()) for record in records)
    print(f"{len(up)} of {lanes} lanes were up after {warm} trials, {ends[warm - 1].seconds:.1f} s")
    if count := len(ends) - warm:
        seconds, floor = ends[-1].seconds - ends[warm - 1].seconds, count * work / lanes
        cpu = 1000 * (ends[-1].cpu - ends[warm - 1].cpu) / count
        text = f"the other {count} trials in {seconds:.1f} s, at least {floor:.1f} s"
        print(f"{text}: {seconds / floor:.3f} times; {cpu:.1f} ms of the driver's CPU per trial")
