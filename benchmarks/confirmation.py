"""Simulate how a winner is confirmed: error of the printed score, regret, and cost.

    python benchmarks/confirmation.py [--studies 20000] [--configurations 24] [--failing 0.1]

A study has configurations with normal true scores and trials with normal noise of their seeds (1.2
points, as NVIDIA reports of MRPC). With `--failing` a seed may learn nothing and lose 15 points,
with a probability that differs between configurations and has this mean. The search trains each
configuration with one seed, then the best ones are trained with further seeds. The error is the
printed score minus what this winner is printed with on average, the regret is what the best
configuration is printed with on average minus that of the winner, both in points.
"""

import argparse
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from raysearch.statistics.racing import fallen_behind

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], float]
Rule = Callable[[list[Floats], int], list[int]]  # scores and the leader's index -> who is dropped
Policy = Callable[["Study"], tuple[int, float]]  # -> the winner, and its printed score
SEED_SPREAD, CONFIGURATION_SPREAD, LOSS = 1.2, 1.0, 15.0  # points
PRINTED = 5


class Study:
    """One simulated study: true scores, the search's scores, and trials with further seeds."""

    def __init__(self, random: np.random.Generator, configurations: int, failing: float) -> None:
        self._random = random
        shape = (0.5, 0.5 / failing - 0.5) if failing else (0.0, 0.0)
        self._failing = random.beta(*shape, configurations) if failing else None
        self._level = CONFIGURATION_SPREAD * random.standard_normal(configurations)
        self.true = np.array([self._expected(c) for c in range(configurations)])
        self.searched = np.array([self._draw(c, 1)[0] for c in range(configurations)])
        self.order = [int(c) for c in np.argsort(-self.searched)]
        self.trials = 0

    def _draw(self, configuration: int, seeds: int) -> Floats:
        scores: Floats = self._level[configuration] + SEED_SPREAD * self._random.standard_normal(
            seeds
        )
        if self._failing is not None:
            scores -= LOSS * (self._random.random(seeds) < self._failing[configuration])
        return scores

    def _expected(self, configuration: int) -> float:
        """Return the mean of the printed median."""
        if self._failing is None:
            return float(self._level[configuration])
        drawn = self._draw(configuration, 100 * PRINTED).reshape(100, PRINTED)
        return float(np.median(drawn, axis=1).mean())

    def train(self, configuration: int, seeds: int) -> Floats:
        """Return the scores of a configuration with further seeds, [seeds]."""
        self.trials += seeds
        return self._draw(configuration, seeds)


def search_alone(study: Study) -> tuple[int, float]:
    """Print the best score of the search, as most tools do."""
    winner = study.order[0]
    return winner, float(study.searched[winner])


def one_by_five(study: Study) -> tuple[int, float]:
    """Print the best configuration's median over five further seeds."""
    winner = study.order[0]
    return winner, float(np.median(study.train(winner, PRINTED)))


def same_seeds(study: Study) -> tuple[int, float]:
    """Choose and print by the median over the same five seeds."""
    medians = {c: float(np.median(study.train(c, PRINTED))) for c in study.order[:3]}
    winner = max(medians, key=lambda c: medians[c])
    return winner, medians[winner]


def apart(choose: int, statistic: Statistic = np.mean, top: int = 3) -> Policy:
    """Choose by a statistic over some seeds, and print the median over five others."""

    def policy(study: Study) -> tuple[int, float]:
        values = {c: float(statistic(study.train(c, choose))) for c in study.order[:top]}
        winner = max(values, key=lambda c: values[c])
        return winner, float(np.median(study.train(winner, PRINTED)))

    return policy


def race(limit: int, rule: Rule, top: int = 3) -> Policy:
    """Like `apart` with the mean, but drop configurations after each seed from the second on."""

    def policy(study: Study) -> tuple[int, float]:
        scores = {c: study.train(c, 1) for c in study.order[:top]}
        for seeds in range(2, limit + 1):
            scores = {c: np.append(s, study.train(c, 1)) for c, s in scores.items()}
            if seeds < limit:
                rivals = list(scores)
                leader = max(range(len(rivals)), key=lambda i: float(scores[rivals[i]].mean()))
                for index in rule([scores[c] for c in rivals], leader):
                    del scores[rivals[index]]
            if len(scores) == 1:
                break
        winner = max(scores, key=lambda c: float(scores[c].mean()))
        return winner, float(np.median(study.train(winner, PRINTED)))

    return policy


def standard_errors(number: float) -> Rule:
    """Drop what lies so many standard errors behind; raysearch's own rule has 1."""

    def rule(scores: list[Floats], leader: int) -> list[int]:
        return fallen_behind([group.tolist() for group in scores], leader, number)

    return rule


def last(scores: Sequence[Floats], leader: int) -> list[int]:
    """Drop the last one."""
    worst = min(range(len(scores)), key=lambda index: float(scores[index].mean()))
    return [worst] if worst != leader else []


POLICIES: dict[str, Policy] = {
    "best of the search, printed as it is": search_alone,
    "top 1 x 5 seeds": one_by_five,
    "top 3 x 5 seeds, the same choose and are printed": same_seeds,
    "top 3, 2 seeds choose by the mean, 5 others are printed": apart(2),
    "top 3, 3 seeds choose by the mean, 5 others are printed": apart(3),
    "top 3, 3 seeds choose by the median, 5 others are printed": apart(3, np.median),
    "top 3, 5 seeds choose by the mean, 5 others are printed": apart(5),
    "top 3, 5 seeds choose by the median, 5 others are printed": apart(5, np.median),
    "race of the top 3 over 3 seeds: 0.5 standard errors": race(3, standard_errors(0.5)),
    "race of the top 3 over 3 seeds: 1 standard error": race(3, standard_errors(1.0)),
    "race of the top 3 over 3 seeds: 2 standard errors": race(3, standard_errors(2.0)),
    "race of the top 3 over 3 seeds: drop the last": race(3, last),
    "race of the top 3 over 5 seeds: 0.5 standard errors": race(5, standard_errors(0.5)),
    "race of the top 3 over 5 seeds: 1 standard error": race(5, standard_errors(1.0)),
    "race of the top 3 over 5 seeds: 2 standard errors": race(5, standard_errors(2.0)),
    "race of the top 3 over 5 seeds: drop the last": race(5, last),
    "race of the top 4 over 3 seeds: 1 standard error": race(3, standard_errors(1.0), top=4),
}


def main() -> None:
    """Print one row for each way of confirming."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--configurations", type=int, default=24)
    parser.add_argument("--failing", type=float, default=0.0)
    options = parser.parse_args()
    rows: dict[str, list[tuple[float, float, int]]] = {name: [] for name in POLICIES}
    for number in range(options.studies):
        random = np.random.default_rng(number)
        study = Study(random, options.configurations, options.failing)
        for name, policy in POLICIES.items():
            study.trials = 0
            winner, printed = policy(study)
            regret = float(study.true.max() - study.true[winner])
            rows[name].append((printed - float(study.true[winner]), regret, study.trials))
    print("| confirmation | error | regret | trials |\n|---|---:|---:|---:|")
    for name, values in rows.items():
        error, regret, trials = np.mean(values, axis=0)
        print(f"| {name} | {error:+.2f} | {regret:.2f} | {trials:.1f} |")


if __name__ == "__main__":
    main()
