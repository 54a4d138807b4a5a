"""Replay searches over recorded trials: what does it save to stop trials early?

    python benchmarks/early_stopping.py [--replays 100] [--lanes 1,4] [--settings]

The table (record_trials.py) has every cell of a grid, trained to its end with two seeds. A replay
is a search by raysearch's own queue: its samplers propose, its stopping rules decide, and reports
come from the table, with a seed drawn for each trial, in the order in which lanes would send them.
Cost is what was trained on, in examples: trial-steps times BSZ. A search is worth what its winner's
configuration scores on held-out rows, the mean over seeds; its winner is the best finished trial on
the rows that it sees. Intervals are 95 % of a bootstrap over replays.
"""

import argparse
import heapq
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from raysearch import study
from raysearch.run_folder import Journal, Record, Records
from raysearch.run_folder.events import AttemptEvent, Event, Plan
from raysearch.run_folder.report import Report
from raysearch.search.trial_queue import TrialQueue
from raysearch.study import Study

TASK, METRIC, CHANCE = "glue/sst2", "dev.accuracy", 0.5
NAMES = ("LR", "BSZ", "EPOCH", "WARMUP")
TRIALS = 24  # of the full random search that the others are compared with
FARTHEST = 1.5  # costs of it, up to which the others are followed
COARSE = {"LR": (2e-5, 1e-4, 3e-4, 1e-3), "BSZ": (16, 32), "WARMUP": (0.1,)}  # a grid of 24 cells
TABLE = Path(__file__).with_name("early_stopping.parquet")
COSTS = np.linspace(0, FARTHEST, 301)  # shares of the full random search's cost
DRAWS = 1000  # of a bootstrap
Point = tuple[float, ...]
Floats = NDArray[np.float64]
Curve = list[tuple[float, float, float]]  # cost, the winner's score in the search, its worth


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """A search: its sampler, stopping rule and space.

    Attributes:
        name: in the table.
        sampler: of the study.
        stop_early: of the study.
        space: dimensions with other values than the table's.
    """

    name: str
    sampler: str
    stop_early: Any = None
    space: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


RANDOM = Strategy(name="random", sampler="random")
HALVING = {"at": [0.25, 0.5], "keep": 0.5}
STRATEGIES = (
    RANDOM,
    Strategy(name="grid, 24 cells", sampler="grid", space=COARSE),
    Strategy(name="random, halving", sampler="random", stop_early=HALVING),
    Strategy(name="tpe", sampler="tpe"),
    Strategy(name="tpe, halving", sampler="tpe", stop_early=HALVING),
    Strategy(name="tpe, median", sampler="tpe", stop_early={"rule": "median"}),
    Strategy(name="tpe, hyperband", sampler="tpe", stop_early={"rule": "hyperband"}),
)
AT = ([0.5], [0.25], [0.25, 0.5], [0.125, 0.25, 0.5], [0.25, 0.5, 0.75])
SETTINGS = (
    RANDOM,
    *(
        Strategy(name=f"halving {at} keep {keep}", sampler="random", stop_early={"at": at} | kept)
        for at in AT
        for keep in (0.33, 0.5, 0.67)
        for kept in ({"keep": keep},)
    ),
    *(
        Strategy(name=f"median {at}", sampler="random", stop_early={"rule": "median", "at": at})
        for at in AT
    ),
    *(
        Strategy(
            name=f"hyperband {at} keep {keep}",
            sampler="random",
            stop_early={"rule": "hyperband", "at": at, "keep": keep},
        )
        for at in AT
        for keep in (0.5,)
    ),
)


class TrialTable:
    """The recorded trials.

    Args:
        rows: of `record_trials.py`: a configuration, `seed`, `steps`, `status`, `at`, `scores` and
            `held_out`.

    Attributes:
        trials: configuration -> its trials, one for each seed.
        worth: configuration -> mean score on held-out rows, over seeds.
        values: dimension -> its values.
    """

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.trials: dict[Point, list[dict[str, Any]]] = {}
        for row in rows:
            self.trials.setdefault(_point(row), []).append(row)
        self.worth = {
            point: float(np.mean([CHANCE if t["held_out"] is None else t["held_out"] for t in ts]))
            for point, ts in self.trials.items()
        }
        self.values = {name: tuple(sorted({row[name] for row in rows})) for name in NAMES}

    @classmethod
    def read(cls, path: Path) -> "TrialTable":
        """Return the table of a parquet file."""
        from pyarrow import parquet

        return cls(parquet.read_table(path).to_pylist())


def _point(configuration: Mapping[str, Any]) -> Point:
    return tuple(float(configuration[name]) for name in NAMES)


class MemoryJournal(Records):
    """The records of a replay, without a file.

    Attributes:
        folder: names the replay; it does not exist.
    """

    folder = Path("replay")

    def write(self, event: Event, *, wait: bool = True) -> None:
        """Apply an event."""
        self.admit(event)
        self.apply(event)


class Replay:
    """One search over the table, event by event.

    Args:
        table: the recorded trials.
        searched: the study.
        lanes: how many trials run at the same time, each at the same speed.
        random: draws the seed of each trial.

    Attributes:
        curve: the winner after each end of a trial.
        begun_at: cost at which each trial began.
    """

    def __init__(
        self, table: TrialTable, searched: Study, lanes: int, random: np.random.Generator
    ) -> None:
        self.table, self.lanes, self.random = table, lanes, random
        self.journal = MemoryJournal()
        self.queue = TrialQueue(searched, cast(Journal, self.journal), {TASK: "recorded"})
        self.curve: Curve = []
        self.begun_at: list[float] = []
        self._running: list[tuple[float, int, float, Iterator[float]]] = []
        self._done = 0.0  # examples of all segments between reports that have ended

    def run(self, budget: float) -> None:
        """Search until all trials have ended, or the budget is spent.

        Args:
            budget: in examples.
        """
        now = 0.0
        while True:
            self._fill_lanes(now)
            if not self._running:
                return
            now, number, began, trial = heapq.heappop(self._running)
            self._done += now - began
            length = next(trial, None)
            if length is not None:
                heapq.heappush(self._running, (now + length, number, now, trial))
                continue
            spent = self._spent(now)
            self._note_winner(spent)
            if spent >= budget:
                return

    def _spent(self, now: float) -> float:
        """Return the examples that all trials have been trained on."""
        return self._done + sum(now - start for _, _, start, _ in self._running)

    def _fill_lanes(self, now: float) -> None:
        while len(self._running) < self.lanes and isinstance(record := self.queue.next(), Record):
            trial = self._train(record)
            length = next(trial)
            self.begun_at.append(self._spent(now))
            heapq.heappush(self._running, (now + length, len(self.begun_at), now, trial))

    def _train(self, record: Record) -> Iterator[float]:
        """Yield the examples up to each report of a trial, then make the report."""
        point = self._point(record)
        trials = self.table.trials[point]
        trial = trials[self.random.integers(len(trials))]
        steps, size = trial["steps"], _size(point)
        fractions = self.queue.rule.fractions if self.queue.rule else ()
        rungs = {str(f): max(1, int(steps * f + 1e-6)) for f in fractions}
        assert set(rungs.values()) <= {*trial["at"], *range(trial["at"][-1], steps)}, "no such rung"
        plan = Plan(steps=steps, rungs=rungs)
        self.journal.write(AttemptEvent(trial=record.id, at=0.0, attempt=1, plan=plan))
        before = 0
        for step, score in zip(trial["at"], trial["scores"], strict=True):
            yield (step - before) * size
            before = step
            status = trial["status"] if step == trial["at"][-1] else "running"
            report = Report(
                stage="finetune",
                step=step,
                steps=steps,
                loss=0.0,
                scores={} if score is None else {METRIC: score},
                status=status,
            )
            if not self.queue.report(record, report, 1):
                self.queue.end(record, "stopped")
                return
        self.queue.end(record, trial["status"])

    def _note_winner(self, spent: float) -> None:
        ranked = self.journal.ranked(TASK)
        if ranked:
            score = ranked[0].score
            assert score is not None
            self.curve.append((spent, score, self.table.worth[self._point(ranked[0])]))

    def _point(self, record: Record) -> Point:
        return _point(self.queue.study.resolve(TASK).fixed | record.configuration)


def study_of(table: TrialTable, strategy: Strategy, trials: int, seed: int) -> Study:
    """Return the study of a strategy over the table's configurations."""
    space = {**table.values, **strategy.space}
    search = {"sampler": strategy.sampler, "trials": trials, "seed": seed, "select": "last"}
    if strategy.stop_early is not None:
        search["stop_early"] = strategy.stop_early
    raw = {
        "tasks": [TASK],
        "model": "scratch",
        "space": {n: {"choice": list(v)} for n, v in space.items() if len(v) > 1},
        "fixed": {n: v[0] for n, v in space.items() if len(v) == 1},
        "search": search,
    }
    return study.parse(raw, name="replay")


@dataclass(frozen=True, kw_only=True)
class Runs:
    """The replays of a strategy.

    Attributes:
        end: [replays, 3]: cost, the winner's score in the search and its worth after TRIALS trials.
        scores: [replays, costs]: the winner's score at each cost, with as many trials as it takes.
        worth: [replays, costs]: what it is worth.
        begun: [replays]: trials begun up to the cost of the full random search.
    """

    end: Floats
    scores: Floats
    worth: Floats
    begun: Floats


def search_once(
    table: TrialTable, strategy: Strategy, lanes: int, trials: int, budget: float, seed: int
) -> Replay:
    """Return one search that has ended."""
    search = Replay(
        table, study_of(table, strategy, trials, seed), lanes, np.random.default_rng([seed, lanes])
    )
    search.run(budget)
    return search


def replay_once(
    seed: int, *, table: TrialTable, strategy: Strategy, lanes: int, costs: Floats, full: float
) -> tuple[Curve, Floats, Floats, int]:
    """Return the end of a search of TRIALS trials, and a longer one's course.

    Args:
        seed: of the replay.
        table: the recorded trials.
        strategy: the search.
        lanes: how many trials run at the same time.
        costs: at which the course is wanted, ascending.
        full: the cost up to which trials are counted.
    """
    short = search_once(table, strategy, lanes, TRIALS, np.inf, seed)
    cells = int(np.prod([len(v) for v in {**table.values, **strategy.space}.values()]))
    long = search_once(table, strategy, lanes, cells, costs[-1], seed)
    spent = [cost for cost, _, _ in long.curve]
    before = (0.0, CHANCE, CHANCE)  # while no trial has finished
    course = np.array([before, *long.curve])[np.searchsorted(spent, costs, side="right")]
    return short.curve[-1:], course[:, 1], course[:, 2], sum(b <= full for b in long.begun_at)


def replay_all(
    table: TrialTable, strategy: Strategy, lanes: int, full: float, seeds: Sequence[int], jobs: int
) -> Runs:
    """Return the replays of a strategy, one for each seed."""
    work = partial(
        replay_once, table=table, strategy=strategy, lanes=lanes, costs=full * COSTS, full=full
    )
    if jobs > 1:
        with ProcessPoolExecutor(jobs) as pool:
            replays = list(pool.map(work, seeds, chunksize=4))
    else:
        replays = [work(seed) for seed in seeds]
    return Runs(
        end=np.array([end[0] for end, *_ in replays]),
        scores=np.array([scores for _, scores, _, _ in replays]),
        worth=np.array([worth for _, _, worth, _ in replays]),
        begun=np.array([begun for *_, begun in replays], dtype=np.float64),
    )


def random_cost(table: TrialTable) -> float:
    """Return what TRIALS full trials of random configurations cost on average, in examples."""
    one = [t["at"][-1] * _size(p) for p, trials in table.trials.items() for t in trials]
    return TRIALS * float(np.mean(one))


def _size(point: Point) -> float:
    return point[NAMES.index("BSZ")]


def compare(runs: Runs, random: Runs) -> dict[str, Floats]:
    """Return what a strategy gains over full random search, in draws of a bootstrap.

    Args:
        runs: of the strategy.
        random: of the full random search.

    Returns:
        Name -> [1 + DRAWS]; the first is of all replays as they are. `cost`: of TRIALS trials, as a
        share of the random search's; `end`: points that they are worth more; `ahead` and `seen`:
        points ahead of its end at equal cost, in worth and in the score that the search sees;
        `worth_at` and `score_at`: the cost at which the mean worth or score reaches that of its
        end, as a share; inf if it never does.
    """
    generator, columns = np.random.default_rng(1), []
    for draw in range(1 + DRAWS):
        ours, theirs = np.arange(len(runs.end)), np.arange(len(random.end))
        if draw:
            ours = generator.integers(len(ours), size=len(ours))
            theirs = ours if runs is random else generator.integers(len(theirs), size=len(theirs))
        base, end = random.end[theirs].mean(axis=0), runs.end[ours].mean(axis=0)
        equal = int(np.searchsorted(COSTS, 1.0))
        columns.append((
            end[0] / base[0],
            100 * (end[2] - base[2]),
            100 * (runs.worth[ours, equal].mean() - base[2]),
            100 * (runs.scores[ours, equal].mean() - base[1]),
            _first_cost(runs.worth[ours].mean(axis=0), base[2]),
            _first_cost(runs.scores[ours].mean(axis=0), base[1]),
        ))  # fmt: skip
    names = ("cost", "end", "ahead", "seen", "worth_at", "score_at")
    return dict(zip(names, np.array(columns).T, strict=True))


def _first_cost(course: Floats, target: float) -> float:
    """Return the first cost at which a course reaches a target and stays there, as a share."""
    below = np.flatnonzero(course < target - 1e-9)
    first = below[-1] + 1 if len(below) else 0
    return float(COSTS[first]) if first < len(COSTS) else np.inf


def _with_interval(values: Floats, form: str) -> str:
    """Return the first value and the 95 % interval of the others."""
    low, high = np.quantile(values[1:], [0.025, 0.975], method="nearest")
    low_text, value, high_text = (
        f"> {FARTHEST:g}" if np.isinf(x) else format(x, form) for x in (low, values[0], high)
    )
    return f"{value} ({low_text} to {high_text})"


def print_table(
    table: TrialTable, strategies: Sequence[Strategy], options: Any, lanes: int
) -> None:
    """Print a row for each strategy; costs are shares of the full random search's."""
    full, seeds = random_cost(table), range(options.replays)
    random = None
    print(
        f"\n{lanes} lane{'s' * (lanes > 1)}, {options.replays} replays; 1 = {full:,.0f} examples\n"
    )
    print(
        f"| search | cost of {TRIALS} trials | their worth, points | trials at cost 1 | worth at"
        " cost 1, points | seen at cost 1, points | cost to random's worth | cost to its dev score"
        " |\n|---|---|---|---:|---|---|---|---|"
    )
    for strategy in strategies:
        runs = replay_all(table, strategy, lanes, full, seeds, options.jobs)
        random = random or runs
        gains = compare(runs, random)
        cells = [
            _with_interval(gains["cost"], ".2f"),
            _with_interval(gains["end"], "+.2f"),
            f"{runs.begun.mean():.0f}",
            _with_interval(gains["ahead"], "+.2f"),
            _with_interval(gains["seen"], "+.2f"),
            _with_interval(gains["worth_at"], ".2f"),
            _with_interval(gains["score_at"], ".2f"),
        ]
        print(f"| {strategy.name} | {' | '.join(cells)} |", flush=True)
    assert random is not None
    worth, best = 100 * random.end[:, 2], 100 * max(table.worth.values())
    print(
        f"\nRandom's winners are worth {worth.mean():.2f} on average (standard deviation"
        f" {worth.std():.2f}), the table's best configuration {best:.2f}."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each number of lanes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--replays", type=int, default=100)
    parser.add_argument("--lanes", default="1,4", help="numbers of lanes, with commas")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--settings", action="store_true", help="compare the rules' settings")
    parser.add_argument("--only", default="", help="strategies whose names contain this")
    options = parser.parse_args(arguments)
    table = TrialTable.read(options.table)
    count = sum(map(len, table.trials.values()))
    print(f"{count} trials of {len(table.trials)} configurations")
    strategies = SETTINGS if options.settings else STRATEGIES
    chosen = [s for s in strategies if s is RANDOM or options.only in s.name]
    for lanes in map(int, options.lanes.split(",")):
        print_table(table, chosen, options, lanes)


if __name__ == "__main__":
    main()
