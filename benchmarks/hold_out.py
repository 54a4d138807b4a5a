"""Simulate what `search.hold_out` does to the printed score of the best of many configurations.

    python benchmarks/hold_out.py [--studies 5000] [--configurations 24] [--examples 408]

The systems are probit models: an example is answered right if the sum of the configuration's skill,
the seed's luck, the example's difficulty, how well the configuration suits the example, and noise
of this one training is above 0. The true scores follow by formula. The error is the printed score
minus the true one, of the trained model and of its configuration over all seeds; the regret is the
best configuration's true score minus the winner's. All are in points, with 2 standard errors.
"""

import argparse
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from raysearch import tasks
from raysearch.data.dev_parts import DevExample, held_out

Floats = NDArray[np.float64]
SKILL, SKILL_SPREAD, SEED_SPREAD, FIT, NOISE = 1.3, 0.05, 0.06, 0.5, 0.4  # probits
TOP, SEEDS = 3, 5


class Study:
    """One simulated study: configurations, dev examples in two classes, and their division."""

    def __init__(self, number: int, configurations: int, examples: int) -> None:
        self._random = random = np.random.default_rng(number)
        self.skill = SKILL + SKILL_SPREAD * random.standard_normal(configurations)
        self._difficulty = random.standard_normal(examples)
        self._fit = FIT * random.standard_normal((configurations, examples))
        rows = [DevExample(keys=(f"id {n}",), label=n % 2) for n in range(examples)]
        held = held_out(tasks.get("glue/mrpc"), {"dev": rows}, 0.5, number)["dev"]
        everything = np.ones(examples, bool)
        self.parts = {"all of dev": (everything, everything), "half": (~held, held)}
        self.searched, self.luck = self.train(np.arange(configurations), 1)

    def train(self, chosen: NDArray[np.int64], seeds: int) -> tuple[NDArray[np.bool_], Floats]:
        """Return which examples are right, [configurations, seeds, examples], and the luck."""
        luck = SEED_SPREAD * self._random.standard_normal((len(chosen), seeds, 1))
        noise = NOISE * self._random.standard_normal((len(chosen), seeds, len(self._difficulty)))
        latent = self.skill[chosen, None, None] + luck + self._difficulty + noise
        return latent + self._fit[chosen, None] > 0, luck[..., 0]

    def truth(self, configuration: int, luck: float | None) -> float:
        """Return the true score of a model, or with None of a configuration over all seeds."""
        variance = 1 + FIT**2 + NOISE**2 + (SEED_SPREAD**2 if luck is None else 0)
        skill = float(self.skill[configuration]) + (luck or 0)
        return 50 * (1 + math.erf(skill / math.sqrt(2 * variance)))


# Returns the winner, the printed score, and the luck of the winner's seed (None: several seeds).
Policy = Callable[[Study, NDArray[np.bool_], NDArray[np.bool_]], tuple[int, float, float | None]]


def search_alone(
    study: Study, selects: NDArray[np.bool_], printed: NDArray[np.bool_]
) -> tuple[int, float, float | None]:
    """Print the best trial of the search."""
    winner = int(study.searched[:, 0, selects].mean(1).argmax())
    score = 100 * float(study.searched[winner, 0, printed].mean())
    return winner, score, float(study.luck[winner, 0])


def confirmed(
    study: Study, selects: NDArray[np.bool_], printed: NDArray[np.bool_]
) -> tuple[int, float, float | None]:
    """Choose among the best ones and print by the median over the same further seeds."""
    best = np.argsort(-study.searched[:, 0, selects].mean(1))[:TOP]
    right, _ = study.train(best, SEEDS)
    row = int(np.median(right[..., selects].mean(2), axis=1).argmax())
    return int(best[row]), 100 * float(np.median(right[row][:, printed].mean(1))), None


POLICIES: dict[str, Policy] = {
    "best of the search": search_alone,
    f"top {TOP} x {SEEDS} further seeds": confirmed,
}


def main() -> None:
    """Print one row for each way of choosing, on all of dev and on two halves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=5000)
    parser.add_argument("--configurations", type=int, default=24)
    parser.add_argument("--examples", type=int, default=408)
    options = parser.parse_args()
    columns = "error for the model | error for the configuration | regret"
    print(f"| printed | searched on, printed on | {columns} |\n|---|---|---:|---:|---:|")
    rows: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for number in range(options.studies):
        study = Study(number, options.configurations, options.examples)
        for name, policy in POLICIES.items():
            for part, (selects, printed) in study.parts.items():
                winner, score, luck = policy(study, selects, printed)
                ours, best = study.truth(winner, None), study.truth(study.skill.argmax(), None)
                errors = score - study.truth(winner, luck), score - ours, best - ours
                rows.setdefault((name, part), []).append(errors)
    for (name, part), found in rows.items():
        mean = np.mean(found, axis=0)
        error = 2 * np.std(found, axis=0) / math.sqrt(len(found))
        cells = [f"{m:+.2f} +- {e:.2f}" for m, e in zip(mean, error, strict=True)]
        if POLICIES[name] is confirmed:  # no single model is printed
            cells[0] = "-"
        which = part if part != "half" else "one half, the other half"
        print(f"| {name} | {which} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
