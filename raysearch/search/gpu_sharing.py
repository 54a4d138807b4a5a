"""How many lanes share each GPU: a decision from measured memory and speed alone.

It is apart from `lane_growth`, which collects the measurements, so that it can be tested with
simulated ones: it knows neither Ray nor time.

Trials differ in BSZ and EPOCH, so neither trials nor steps per second compare. What is compared are
trained tokens per second of training, padding left out, of trials of one kind (task and BSZ) with n
and with n + 1 lanes on each device. EPOCH changes the number of a trial's steps, not their speed.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

GIB = 2**30
GAIN = 1.07  # a further lane stays if all lanes together train so many times as much as before
WINDOW = 25.0  # seconds that each lane must have trained before its speed counts
PATIENCE = 4  # windows after which trials of different kinds are compared
MARGIN = 1.1  # so many times its largest peak a lane may need
CONTEXT = GIB  # bytes that a further process takes beside its tensors


@dataclass(frozen=True, kw_only=True)
class Work:
    """What lanes have trained.

    Attributes:
        tokens: without padding.
        seconds: of training, summed over the lanes; evaluations do not count.
    """

    tokens: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(tokens=self.tokens + other.tokens, seconds=self.seconds + other.seconds)


@dataclass(frozen=True, kw_only=True)
class DeviceLoad:
    """The memory of a device, in bytes.

    Attributes:
        name: of the device.
        free: what no process has.
        reserved: what the lanes on it hold now, contexts left out.
        lanes: the number of those of which this is known; a new one is not among them yet.
    """

    name: str
    free: int
    reserved: int
    lanes: int


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """All that the decision is made from.

    Attributes:
        lanes: the lanes on each device now.
        ceiling: the most that there may be.
        bound: why there may not be more.
        devices: the memory of each.
        peak: the most that one lane has held, in bytes, contexts left out; 0 if it is not known.
        work: lanes on each device -> kind of trial -> what was trained while all these lanes did.
        evaluated: whether some lane has evaluated: that may take more memory than its steps.
        ran_out: a lane has run out of memory since the number last changed.
        settled: whether the choice was made; then only a lack of memory changes it.
        kept: the lanes on each device of the session before; 0 if there was none.
    """

    lanes: int
    ceiling: int
    bound: str
    devices: Sequence[DeviceLoad] = ()
    peak: int = 0
    work: Mapping[int, Mapping[Hashable, Work]] = field(default_factory=dict)
    evaluated: bool = False
    ran_out: bool = False
    settled: bool = False
    kept: int = 0


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How many lanes share each device from now on.

    Attributes:
        lanes: on each device.
        settled: whether it stays so.
        reason: for the log, with the numbers.
    """

    lanes: int
    settled: bool
    reason: str


def decide(now: Measurements) -> Choice | None:
    """Return another number of lanes, or that the present one stays; None while nothing is clear.

    A lane is added only where it fits: all lanes of a device may come to need the largest peak that
    one has had.
    """
    if now.lanes > 1 and (lack := _lack(now)):
        text = f"{_on_each(now.lanes - 1)} from now on: {lack}"
        return Choice(lanes=now.lanes - 1, settled=True, reason=text)
    if now.settled or not now.peak or not now.devices:
        return None
    if now.lanes < min(now.kept, now.ceiling):
        return _grown(now, f"as before in this run, where {now.kept} were tried")
    if _seconds(now.work.get(now.lanes, {})) < WINDOW * now.lanes * len(now.devices):
        return None
    learned = ""
    if now.lanes > 1 and now.work.get(now.lanes - 1):
        gain = measured_gain(now)
        if gain is None:
            return None
        learned = f"{now.lanes} train {gain:.2f} times as much as {now.lanes - 1}"
        if gain < 1:
            text = f"{_on_each(now.lanes - 1)} from now on: {learned}"
            return Choice(lanes=now.lanes - 1, settled=True, reason=text)
        if gain < GAIN:
            return _stays(now, f"{learned}, less than {GAIN:g} times")
    if now.lanes >= now.ceiling:
        return _stays(now, "; ".join(filter(None, (learned, now.bound))))
    return _grown(now, learned) if now.evaluated else None


def measured_gain(now: Measurements) -> float | None:
    """Return how many times as much all lanes train as with one less on each device.

    It is n / (n - 1) times the speed of a lane now over its speed before, the geometric mean over
    kinds of trials that were seen with both numbers, weighted by the seconds that both have. Where
    such trials do not come, all trials are compared.

    Returns:
        The ratio; None while too little was seen.
    """
    after, before = now.work.get(now.lanes, {}), now.work.get(now.lanes - 1, {})
    weights = {
        kind: min(after[kind].seconds, before[kind].seconds)
        for kind in after.keys() & before.keys()
        if after[kind].tokens and before[kind].tokens
    }
    more = now.lanes / (now.lanes - 1)
    if sum(weights.values()) >= WINDOW * len(now.devices):
        logs = (w * math.log(_speed(after[k]) / _speed(before[k])) for k, w in weights.items())
        return more * math.exp(sum(logs) / sum(weights.values()))
    patience = PATIENCE * WINDOW * now.lanes * len(now.devices)
    totals = [sum(work.values(), Work()) for work in (after, before)]
    if totals[0].seconds < patience or not all(total.tokens for total in totals):
        return None
    return more * _speed(totals[0]) / _speed(totals[1])


def _grown(now: Measurements, learned: str) -> Choice:
    """Return one lane more on each device if it fits on all, else that the number stays."""
    count, need = now.lanes + 1, int(MARGIN * now.peak)
    for device in now.devices:
        # What the present lanes may still come to take, the new one, and its context.
        wanted = (max(device.lanes, now.lanes) + 1) * need - device.reserved + CONTEXT
        if device.free < wanted:
            text = f"another does not fit on {device.name}: {_gib(device.free)} free, and"
            text += f" {_gib(wanted)} wanted for {now.lanes + 1} of {_gib(need)} each"
            return _stays(now, "; ".join(filter(None, (learned, text))))
    free = min(device.free for device in now.devices)
    fits = f"a lane takes {_gib(now.peak)} at most, {_gib(free)} are free"
    text = f"{_on_each(count)} from now on: {'; '.join(filter(None, (learned, fits)))}"
    return Choice(lanes=count, settled=False, reason=text)


def _stays(now: Measurements, why: str) -> Choice:
    return Choice(lanes=now.lanes, settled=True, reason=f"{_on_each(now.lanes)} to the end: {why}")


def _lack(now: Measurements) -> str:
    """Return why the memory is too small for the present lanes; "" if it is not."""
    if now.ran_out:
        return f"one of {now.lanes} has run out of memory"
    for device in now.devices:
        owed = device.lanes * now.peak - device.reserved
        if device.lanes > 1 and device.free < owed:
            return (
                f"{device.lanes} lanes of up to {_gib(now.peak)} no longer fit on {device.name},"
                f" where {_gib(device.free)} are free; is there another program?"
            )
    return ""


def _speed(work: Work) -> float:
    return work.tokens / max(work.seconds, 1e-9)


def _seconds(work: Mapping[Hashable, Work]) -> float:
    return sum(part.seconds for part in work.values())


def _on_each(lanes: int) -> str:
    return f"{lanes} lane{'s' * (lanes != 1)} on each GPU"


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"
