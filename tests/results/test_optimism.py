"""The note on a score that is too high because its trial was chosen by it."""

import numpy as np
import pytest
from support.run_folders import Script, write_study

from raysearch import results

TASK = "glue/rte"
RATES = [1e-5 * n for n in range(1, 41)]


def search(folder, scores, confirm=None):
    """Write a run with a search of these scores, and with confirmed configurations.

    Args:
        folder: the run folder.
        scores: of the trials of the search.
        confirm: the scores of each confirmed configuration's seeds.
    """
    confirmed = confirm or []
    seeds = list(range(11, 11 + len(confirmed[0]))) if confirmed else []
    write_study(folder, name="searched", tasks=[TASK], model="scratch",
                space={"LR": {"choice": RATES[: len(scores)]}},
                search={"sampler": "grid", "trials": len(scores)},
                confirm={"top": max(1, len(confirmed)), "seeds": seeds})  # fmt: skip
    script = Script(folder)
    for rate, score in zip(RATES, scores, strict=False):
        script.trial(TASK, {"LR": rate}, {"accuracy": score})
    best = sorted(zip(scores, RATES, strict=False), reverse=True)
    for (_, rate), values in zip(best, confirmed, strict=False):
        for seed, value in zip(seeds, values, strict=True):
            script.trial(TASK, {"LR": rate}, {"accuracy": value}, seed, "confirm")
    script.close()
    return [note for note in results.write_exports(folder).notes if "too high by chance" in note]


def noisy(count, spread, mean=0.7):
    return [float(x) for x in mean + spread * np.random.default_rng(3).standard_normal(count)]


def test_the_best_of_many_equal_trials_is_noted_with_amount_interval_and_remedy(tmp_path):
    """Forty trials that differ by chance alone: the best is 2.16 standard deviations too high."""
    scores = noisy(40, 0.025)
    (note,) = search(tmp_path, scores)
    assert note.startswith("RTE: the best of 40 trials is printed with the score that chose it")
    amount = float(note.partition("about ")[2].split()[0])
    assert amount == pytest.approx(100 * 2.16 * np.std(scores, ddof=1), rel=0.05)
    half = 196 * np.sqrt(max(scores) * (1 - max(scores)) / 277)
    assert f"(interval +-{half:.1f})" in note
    assert "confirm: seeds" in note


@pytest.mark.parametrize(
    "case", ["few trials", "trials that differ for good", "many examples", "one trial"]
)
def test_there_is_no_note_where_the_optimism_is_within_the_interval(tmp_path, case):
    scores = {"few trials": noisy(3, 0.03), "many examples": noisy(40, 0.001), "one trial": [0.7],
              "trials that differ for good": [0.1 + 0.02 * n for n in range(40)]}[case]  # fmt: skip
    assert not search(tmp_path, scores)


def test_there_is_no_note_where_one_configuration_was_confirmed_on_fresh_seeds(tmp_path):
    assert not search(tmp_path, noisy(40, 0.03), confirm=[[0.70, 0.71, 0.72]])


@pytest.mark.slow
def test_many_configurations_that_were_chosen_and_printed_on_the_same_seeds_are_noted(tmp_path):
    scores = np.reshape(noisy(40, 0.06), (40, 1)) + np.zeros((40, 1))
    pairs = np.concatenate([scores - 0.05, scores + 0.05], axis=1)
    (note,) = search(tmp_path, noisy(40, 0.03), confirm=pairs.tolist())
    assert "the best of 40 confirmed configurations" in note
    assert "confirm: choose" in note
