"""Which configurations fall behind in a race, and what choosing apart does to the printed score."""

import numpy as np
import pytest

from raysearch.results.confirmation import plan_confirmation
from raysearch.run_folder import Record
from raysearch.statistics.racing import fallen_behind
from raysearch.study import Confirm

SEED_SPREAD, CONFIGURATIONS, STUDIES = 1.2, 24, 300  # points


def test_what_lies_more_than_a_standard_error_behind_is_dropped():
    # The pooled variance is (0.02 + 0.02) / 2 = 0.02, the error sqrt(0.02 * (1/2 + 1/2)) = 0.141.
    leader = [0.9, 1.1]
    assert fallen_behind([leader, [0.77, 0.97]], 0) == []
    assert fallen_behind([leader, [0.75, 0.95]], 0) == [1]
    assert fallen_behind([[0.75, 0.95], leader], 1) == [0]


def test_one_seed_tells_nothing_of_the_spread_and_so_drops_nothing():
    assert fallen_behind([[0.9], [0.1]], 0) == []


def test_the_spread_is_pooled_over_all_and_counts_the_seeds_of_each():
    scores = [[0.9, 1.0, 1.1], [0.7], []]  # variance 0.01, error sqrt(0.01 * (1/3 + 1)) = 0.115
    assert fallen_behind(scores, 0) == [1]
    assert fallen_behind([scores[0], [0.9], []], 0) == []


def simulate(confirm):
    """Return the mean error of the printed score, of studies whose true scores are known."""
    errors = []
    for number in range(STUDIES):
        generator = np.random.default_rng(number)
        true = generator.standard_normal(CONFIGURATIONS)
        searched = true + SEED_SPREAD * generator.standard_normal(CONFIGURATIONS)
        candidates = [{"number": int(n)} for n in np.argsort(-searched)[: confirm.top]]
        records = {}
        while True:
            plan = plan_confirmation(confirm, candidates, None, records.values(), lambda r: r.score)
            new = [(p["number"], s) for p, s in plan.trials if (p["number"], s) not in records]
            for point, seed in new:
                score = true[point] + SEED_SPREAD * generator.standard_normal()
                records[point, seed] = Record(
                    id=f"{point} {seed}", number=len(records), task="a", phase="confirm",
                    configuration={"number": point}, seed=seed, status="finished", score=score,
                )  # fmt: skip
            if not new:
                break
        printed = {
            p["number"]: np.median([records[p["number"], s].score for s in confirm.seeds])
            for p in plan.competing
        }
        winner = max(printed, key=lambda point: printed[point])
        errors.append(printed[winner] - true[winner])
    return np.mean(errors)


SEEDS = (11, 12, 13, 14, 15)


@pytest.mark.slow
@pytest.mark.parametrize("race", [False, True])
def test_what_is_chosen_on_other_seeds_is_printed_without_error(race):
    assert abs(simulate(Confirm(top=3, choose=(21, 22, 23), race=race, seeds=SEEDS))) <= 0.1


def test_what_is_chosen_on_the_printed_seeds_is_printed_too_high():
    assert simulate(Confirm(top=3, seeds=SEEDS)) >= 0.25
