"""Simulate how a winner is confirmed: error of the printed score, regret, and cost.

    python benchmarks/confirmation.py [--studies 20000] [--configurations 24]

A study has configurations with normal true scores and trials with normal noise of their seeds (1.2
points, as NVIDIA reports of MRPC). The search trains each configuration with one seed, then the
best ones are trained with further seeds. The error is the printed score minus the winner's true
one, the regret is the best true score minus the winner's, both in points.
"""

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SEED_SPREAD, CONFIGURATION_SPREAD = 1.2, 1.0  # points
TOP, PRINTED = 3, 5


class Study:
    """One simulated study: true scores, the search's scores, and trials with further seeds."""

    def __init__(self, random: np.random.Generator, configurations: int) -> None:
        self._random = random
        self.true = CONFIGURATION_SPREAD * random.standard_normal(configurations)
        self.searched = self.true + SEED_SPREAD * random.standard_normal(configurations)
        self.best = np.argsort(-self.searched)[:TOP]
        self.trials = 0

    def train(self, configuration: int, seeds: int) -> Floats:
        """Return the scores of a configuration with further seeds, [seeds]."""
        self.trials += seeds
        noise = SEED_SPREAD * self._random.standard_normal(seeds)
        scores: Floats = self.true[configuration] + noise
        return scores


def search_alone(study: Study) -> tuple[int, float]:
    """Print the best score of the search, as most tools do."""
    winner = int(study.best[0])
    return winner, float(study.searched[winner])


def one_by_five(study: Study) -> tuple[int, float]:
    """Print the best configuration's median over five further seeds."""
    winner = int(study.best[0])
    return winner, float(np.median(study.train(winner, PRINTED)))


def same_seeds(study: Study) -> tuple[int, float]:
    """Choose and print by the median over the same five seeds."""
    medians = {int(c): float(np.median(study.train(c, PRINTED))) for c in study.best}
    winner = max(medians, key=lambda c: medians[c])
    return winner, medians[winner]


def apart(choose: int) -> Callable[[Study], tuple[int, float]]:
    """Choose by the mean over some seeds, and print the median over five others."""

    def policy(study: Study) -> tuple[int, float]:
        means = {int(c): float(study.train(c, choose).mean()) for c in study.best}
        winner = max(means, key=lambda c: means[c])
        return winner, float(np.median(study.train(winner, PRINTED)))

    return policy


def racing(limit: int, margin: float) -> Callable[[Study], tuple[int, float]]:
    """Like `apart`, but drop a configuration once its mean lies `margin` errors behind the best."""

    def policy(study: Study) -> tuple[int, float]:
        scores = {int(c): study.train(c, 1) for c in study.best}
        for seeds in range(2, limit + 1):
            best = max(float(s.mean()) for s in scores.values())
            error = SEED_SPREAD * np.sqrt(2 / (seeds - 1))
            scores = {c: s for c, s in scores.items() if best - s.mean() <= margin * error}
            if len(scores) == 1:
                break
            scores = {c: np.append(s, study.train(c, 1)) for c, s in scores.items()}
        winner = max(scores, key=lambda c: float(scores[c].mean()))
        return winner, float(np.median(study.train(winner, PRINTED)))

    return policy


POLICIES: dict[str, Callable[[Study], tuple[int, float]]] = {
    "best of the search, printed as it is": search_alone,
    "top 1 x 5 seeds": one_by_five,
    "top 3 x 5 seeds, the same choose and are printed": same_seeds,
    "top 3, 2 seeds choose, 5 others are printed": apart(2),
    "top 3, 3 seeds choose, 5 others are printed": apart(3),
    "top 3, 5 seeds choose, 5 others are printed": apart(5),
    "top 3 race over up to 5 seeds, 5 others are printed": racing(5, 1.0),
}


def main() -> None:
    """Print one row for each way of confirming."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--configurations", type=int, default=24)
    options = parser.parse_args()
    print("| confirmation | error | regret | trials |\n|---|---:|---:|---:|")
    for name, policy in POLICIES.items():
        rows = []
        for number in range(options.studies):
            study = Study(np.random.default_rng(number), options.configurations)
            winner, printed = policy(study)
            rows.append((printed - study.true[winner], study.true.max() - study.true[winner],
                         study.trials))  # fmt: skip
        error, regret, trials = np.mean(rows, axis=0)
        print(f"| {name} | {error:+.2f} | {regret:.2f} | {trials:.1f} |", flush=True)


if __name__ == "__main__":
    main()
