"""Measure intervals: their coverage, false differences of equal systems, and their speed.

    python benchmarks/intervals.py --studies 500     # coverage over simulated studies
    python benchmarks/intervals.py --speed           # SQuAD's dev set, 5 seeds, 1,000 draws

The simulated systems are probit models with a skill, a spread of seeds, difficult and easy
examples, and noise of each model on each example; the true score follows from these by formula.
"""

import argparse
import math
import time

import numpy as np
from numpy.typing import NDArray

from raysearch.metrics.bootstrap_metrics import AnswerPoints, answer_measure, classification_measure
from raysearch.statistics.intervals import Sample, ScoreSample, difference, interval, mean, median

# Task -> examples of its dev set, its skill, and the spread of seeds, in probits.
TASKS = {
    "RTE": (277, 0.8, 0.05),
    "MRPC": (408, 1.3, 0.06),
    "CoLA": (1043, 1.1, 0.04),
    "MNLI": (9815, 1.2, 0.01),
}
NOISE = 0.5
QUESTIONS = 11_873  # of SQuAD 2.0's dev set


def seeds_of(
    random: np.random.Generator, difficulty: NDArray[np.float64], skill: float, spread: float
) -> list[ScoreSample]:
    """Simulate the models of five seeds."""
    latent = skill + difficulty + spread * random.standard_normal((5, 1))
    right = latent + NOISE * random.standard_normal((5, len(difficulty))) > 0
    gold = np.ones(len(difficulty), int)
    return [
        ScoreSample(measures=[("dev", classification_measure("accuracy", row.astype(int), gold))])
        for row in right
    ]


def coverage(studies: int, draws: int) -> None:
    """Print the coverage and the false differences of each task's size."""
    print("| task | examples | of the seeds | intervals that hold the truth | equal told apart |")
    print("|---|---:|---|---:|---:|")
    for task, (examples, skill, spread) in TASKS.items():
        truth = 0.5 * (1 + math.erf(skill / math.sqrt(2 * (1 + spread**2 + NOISE**2))))
        for aggregate in (median, mean):
            held = apart = 0
            samples = {"dev": Sample.of_size(examples)}
            for study in range(studies):
                random = np.random.default_rng(study)
                difficulty = random.standard_normal(examples)
                systems = [seeds_of(random, difficulty, skill, spread) for _ in range(2)]
                ours = interval(systems[0], samples, aggregate=aggregate, draws=draws, seed=study)
                gap = difference(*systems, samples, aggregate=aggregate, draws=draws, seed=study)
                held += ours.low <= truth <= ours.high
                apart += not gap.low <= 0 <= gap.high
            print(
                f"| {task} | {examples} | {aggregate.__name__} | {held / studies:.1%} |"
                f" {apart / studies:.1%} |",
                flush=True,
            )


def speed() -> None:
    """Print the seconds of one interval of SQuAD 2.0's best F1, five seeds and 1,000 draws."""
    random = np.random.default_rng(0)
    ids = [str(number) for number in range(QUESTIONS)]
    gold = {i: ("the answer",) if random.random() < 0.5 else () for i in ids}
    seeds = []
    start = time.perf_counter()
    for _ in range(5):
        answers = {i: "the answer" if random.random() < 0.8 else "another answer" for i in ids}
        nulls = dict(zip(ids, random.standard_normal(QUESTIONS).tolist(), strict=True))
        points = AnswerPoints.of(answers, gold, nulls=nulls, unanswerable=True)
        measure = answer_measure("best_f1", points, unanswerable=True)
        seeds.append(ScoreSample(measures=[("dev", measure)]))
    prepared = time.perf_counter()
    interval(seeds, {"dev": Sample.of_size(QUESTIONS)})
    seconds = time.perf_counter() - prepared
    print(f"{prepared - start:.1f} s to score 5 x {QUESTIONS:,} answers, {seconds:.1f} s to draw")


def main() -> None:
    """Run what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    if options.speed:
        speed()
    else:
        coverage(options.studies, options.draws)


if __name__ == "__main__":
    main()
