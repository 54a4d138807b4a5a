"""Replay searches over recorded trials: what does it save to stop trials early?

    python benchmarks/early_stopping.py [--replays 100] [--lanes 1,4] [--settings]

The table (record_trials.py) has every cell of a grid, trained to its end with two seeds. A replay
is a search by raysearch's own queue: its samplers propose, its stopping rules decide, and reports
come from the table, with a seed drawn for each trial, in the order in which lanes would send them.
Cost is what was trained on, in examples: trial-steps times BSZ. A search is worth what its winner's
configuration scores on held-out rows, the mean over seeds; its winner is the best finished trial on
the rows that it sees. Intervals are 95 % of a paired bootstrap over replays.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from search_replay import CHANCE, Curve, Strategy, TrialTable, search_once, size_of

TRIALS = 24  # of the full random search that the others are compared with
FARTHEST = 1.5  # costs of it, up to which the others are followed
COARSE = {"LR": 4, "BSZ": 2, "WARMUP": 1}  # values of a grid of 24 cells, with every EPOCH
TABLE = Path(__file__).with_name("early_stopping.parquet")
COSTS = np.linspace(0, FARTHEST, 301)  # shares of the full random search's cost
DRAWS = 1000  # of a bootstrap
Floats = NDArray[np.float64]

RANDOM = Strategy(name="random", sampler="random")
HALVING = {"at": [0.25, 0.5], "keep": 0.5}
STRATEGIES = (
    RANDOM,
    Strategy(name="grid, 24 cells", sampler="grid", coarse=COARSE),
    Strategy(name="random, halving", sampler="random", stop_early=HALVING),
    Strategy(name="tpe", sampler="tpe"),
    Strategy(name="tpe, halving", sampler="tpe", stop_early=HALVING),
    Strategy(name="tpe, halving, keep 0.33", sampler="tpe", stop_early=HALVING | {"keep": 0.33}),
    Strategy(name="tpe, median", sampler="tpe", stop_early={"rule": "median"}),
    Strategy(name="tpe, hyperband", sampler="tpe", stop_early={"rule": "hyperband"}),
)
SETTINGS = (
    RANDOM,
    *(
        Strategy(
            name=f"random, halving at {at}, keep {keep}",
            sampler="random",
            stop_early={"at": at, "keep": keep},
        )
        for at, keep in (
            ([0.5], 0.5),
            ([0.25], 0.5),
            ([0.25], 0.33),
            ([0.25, 0.5], 0.5),
            ([0.25, 0.5], 0.33),
            ([0.125, 0.25, 0.5], 0.5),
            ([0.25, 0.5, 0.75], 0.5),
        )
    ),
    *(
        Strategy(
            name=f"random, {rule} at {at}", sampler="random", stop_early={"rule": rule, "at": at}
        )
        for rule in ("median", "hyperband")
        for at in ([0.25, 0.5], [0.125, 0.25, 0.5], [0.25, 0.5, 0.75])
    ),
)


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
    cells = int(np.prod([strategy.coarse.get(n, len(v)) for n, v in table.values.items()]))
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
    one = [t["at"][-1] * size_of(p) for p, trials in table.trials.items() for t in trials]
    return TRIALS * float(np.mean(one))


def compare(runs: Runs, random: Runs) -> dict[str, Floats]:
    """Return what a strategy gains over full random search, in draws of a bootstrap.

    Replays with the same seed are drawn together: with the random sampler they propose the same.

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
    equal = int(np.searchsorted(COSTS, 1.0))
    for draw in range(1 + DRAWS):
        rows = np.arange(len(runs.end))
        if draw:
            rows = generator.integers(len(rows), size=len(rows))
        base, end = random.end[rows].mean(axis=0), runs.end[rows].mean(axis=0)
        columns.append((
            end[0] / base[0],
            100 * (end[2] - base[2]),
            100 * (runs.worth[rows, equal].mean() - base[2]),
            100 * (runs.scores[rows, equal].mean() - base[1]),
            _first_cost(runs.worth[rows].mean(axis=0), base[2]),
            _first_cost(runs.scores[rows].mean(axis=0), base[1]),
        ))  # fmt: skip
    names = ("cost", "end", "ahead", "seen", "worth_at", "score_at")
    return dict(zip(names, np.array(columns).T, strict=True))


def ahead_of(runs: Runs, other: Runs) -> Floats:
    """Return by how many points of worth a strategy is ahead of another one at equal cost.

    Args:
        runs: of the strategy.
        other: a strategy of TRIALS trials at most.

    Returns:
        [1 + DRAWS]; the first is of all replays as they are.
    """
    equal = int(np.searchsorted(COSTS, 1.0))
    gains = 100 * (runs.worth[:, equal] - other.end[:, 2])
    generator = np.random.default_rng(1)
    draws = [gains[generator.integers(len(gains), size=len(gains))].mean() for _ in range(DRAWS)]
    return np.array([gains.mean(), *draws])


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
    random, grid, against_grid = None, None, []
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
        grid = runs if strategy.sampler == "grid" else grid
        if grid and grid is not runs:
            against_grid.append(f"{strategy.name} {_with_interval(ahead_of(runs, grid), '+.2f')}")
    assert random is not None
    worth, best = 100 * random.end[:, 2], 100 * max(table.worth.values())
    print(
        f"\nRandom's winners are worth {worth.mean():.2f} on average (standard deviation"
        f" {worth.std():.2f}), the table's best configuration {best:.2f}."
    )
    if against_grid:
        print(f"Points of worth ahead of the grid at equal cost: {'; '.join(against_grid)}.")


def print_finished(
    table: TrialTable, strategies: Sequence[Strategy], trials: int, replays: int
) -> None:
    """Print how many trials of a search finish, as a confirmation of the best three needs some."""
    for strategy in strategies:
        searches = [
            search_once(table, strategy, 1, trials, np.inf, seed) for seed in range(replays)
        ]
        counts = [len(search.finished) for search in searches]
        few = sum(count < 3 for count in counts)
        print(
            f"{strategy.name}: {np.mean(counts):.1f} of {trials} trials reach their end,"
            f" fewer than 3 in {few} of {replays} searches"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each number of lanes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--replays", type=int, default=100)
    parser.add_argument("--lanes", default="1,4", help="numbers of lanes, with commas")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--settings", action="store_true", help="compare the rules' settings")
    parser.add_argument("--finished", type=int, help="only count, of so many trials, the ends")
    parser.add_argument("--only", default="", help="strategies whose names contain this")
    options = parser.parse_args(arguments)
    table = TrialTable.read(options.table)
    count = sum(map(len, table.trials.values()))
    print(f"{count} trials of {len(table.trials)} configurations")
    strategies = SETTINGS if options.settings else STRATEGIES
    chosen = [s for s in strategies if s is RANDOM or options.only in s.name]
    if options.finished:
        print_finished(table, chosen, options.finished, options.replays)
        return
    for lanes in map(int, options.lanes.split(",")):
        print_table(table, chosen, options, lanes)


if __name__ == "__main__":
    main()
