"""A run folder that the product's own functions write, without Ray: known scores, real data files.

Its study searches LR on glue/rte, and confirms the best with two seeds.
"""

import numpy as np

from raysearch import results, study
from raysearch.preflight import Lanes
from raysearch.run_folder import dev_predictions
from raysearch.run_folder.trial_identity import TrialOrigin, hyperparameters, trial_id
from raysearch.search import new_run, run_start
from support.pairs import RTE, toy_pairs, write
from support.run_folders import Script

EXAMPLES, SEEDS = 40, (11, 12)
STUDY = {
    "name": "small",
    "tasks": [RTE],
    "model": "scratch:1x64",
    "space": {"LR": {"choice": [1e-4, 1e-3]}},
    "fixed": {"BSZ": 8, "EPOCH": {"steps": 4}, "WARMUP": 0, "evaluations": 1, "max_length": 32},
    "search": {"sampler": "grid"},
    "confirm": {"top": 1, "seeds": list(SEEDS)},
}
_LABELS = ("entailment", "not_entailment")


def write_data(root, examples=EXAMPLES):
    """Write a training and a dev set of made-up pairs in the format of RTE."""
    for number, split in enumerate(("train", "dev")):
        pairs = toy_pairs(examples, seed=number)
        rows = [(n, *pair, _LABELS[n % 2]) for n, pair in enumerate(pairs)]
        write(root / "RTE" / f"{split}.tsv", ("index", "sentence1", "sentence2", "label"), rows)
    return root


def write_run(folder, data, *, confirmed=(0.75, 0.8), draw=3, **changes):
    """Write a finished run: four trials, dev predictions of those that confirm, and all exports.

    If the study holds a part of dev out, it is the first half, and every trial scores 10 points
    more on the other one.

    Args:
        folder: the new run folder.
        data: of `write_data`.
        confirmed: the scores of the confirmation, by seed.
        draw: which predictions are wrong.
        changes: of STUDY.
    """
    searched = study.parse(STUDY | changes)
    folder.mkdir(parents=True)
    content = run_start.content_of(searched, data)
    text = study.checked_dump(searched)
    new_run.write_new_run(folder, searched, text, data, content, Lanes())
    origin = TrialOrigin(content=content, names=frozenset(hyperparameters(searched)))
    script, random = Script(folder), np.random.default_rng(draw)
    divides = searched.search.hold_out is not None
    examples = EXAMPLES // 2 if divides else EXAMPLES
    if divides:
        script.parts = {"searched": {"dev": examples}, "held_out": {"dev": examples}}
    seeds = searched.confirm.seeds
    trials = [(1e-4, 1, "search", 0.5), (1e-3, 1, "search", 0.6)]
    trials += [(1e-3, seed, "confirm", score) for seed, score in zip(seeds, confirmed, strict=True)]
    for rate, seed, phase, score in trials:
        point = {"LR": rate}
        name = trial_id(searched, RTE, phase, point, seed, origin)
        selects = {"search.accuracy": round(score + 0.1, 3)} if divides else {}
        script.trial(RTE, point, selects | {"accuracy": score}, seed, phase, name=name)
        if phase == "confirm":
            gold = np.arange(examples) % 2
            wrong = random.permutation(examples) >= round(score * examples)
            columns = dev_predictions.class_columns(np.where(wrong, 1 - gold, gold), gold)
            splits = {"dev": ([str(n) for n in range(examples)], columns)}
            record = script.journal.trials[name]
            dev_predictions.write(folder, record, dev_predictions.to_parquet(splits))
    script.close()
    results.write_exports(folder)
    return folder
