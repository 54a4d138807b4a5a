"""The kept predictions of two runs, example by example: whether they fit, and a test of them.

It is apart from the comparison because it knows examples, and that knows runs, tasks and scores.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, Problem, shorten
from ..metrics.bootstrap_metrics import Floats
from ..run_folder import Record
from ..statistics.intervals import Sample
from ..statistics.paired_tests import mcnemar, sign_flip
from ..study import TaskStudy
from .score_intervals import Tables

Points = list[Floats]  # of each dev split, what each example earns, [examples]


def aligned(first: Tables, second: Tables) -> Tables:
    """Return the tables of the second run in the order of the first one's examples.

    Raises:
        InputError: a split has other examples, or other gold labels.
    """
    tables = {}
    for split, table in second.items():
        ids, theirs = (one["id"].to_pylist() for one in (first[split], table))
        if ids != theirs:
            places = {name: index for index, name in enumerate(theirs)}
            common = len(places.keys() & set(ids))
            if not common == len(ids) == len(theirs):
                raise refusal(
                    f"the examples of {split} differ: A has {len(ids):,}, B {len(theirs):,},"
                    f" and {common:,} are the same"
                )
            table = table.take([places[name] for name in ids])
        _check_gold(split, first[split], table)
        tables[split] = table
    return tables


def example_points(
    task: TaskStudy, records: Sequence[Record], name: str, tables: Sequence[Tables]
) -> Points | None:
    """Return what each example earns, the mean over the trials; None of other kinds of scores.

    Args:
        task: the task.
        records: the trials.
        name: the score's name.
        tables: the predictions of each trial.
    """
    from ..run_folder import dev_predictions  # pyarrow, which other tables do not need

    metric, trials = name.rpartition(".")[2], []
    for record, splits in zip(records, tables, strict=True):
        threshold = task.hyperparameters(record.configuration).null_threshold
        points = [
            dev_predictions.points_of(table, task.row, metric, threshold)
            for table in splits.values()
        ]
        trials.append([one for one in points if one is not None])
        if len(trials[-1]) < len(points):
            return None
    return [np.mean(parts, axis=0) for parts in zip(*trials, strict=True)]


def p_value(
    first: Points, second: Points, keys: Sequence[str], samples: Mapping[str, Sample]
) -> float:
    """Return the p-value of the paired test on examples.

    The test is McNemar's where each example is right or wrong, and a sign-flip test else. Examples
    of a cluster change their signs together, as do the translations of an example.

    Args:
        first: the points of the first run.
        second: those of the second run.
        keys: the name of each split's sample.
        samples: the samples.
    """
    sums = {key: np.zeros(int(sample.clusters.max()) + 1) for key, sample in samples.items()}
    for one, other, key in zip(first, second, keys, strict=True):
        sums[key] += np.bincount(samples[key].clusters, other - one, len(sums[key])) / len(one)
    differences = [other - one for one, other in zip(first, second, strict=True)]
    clusters = [sample.clusters for sample in samples.values()]
    single = len(differences) == 1 and len(sums[keys[0]]) == len(clusters[0])
    if single and set(np.unique(differences[0])) <= {-1.0, 0.0, 1.0}:
        values = differences[0]
        return mcnemar(int((values < 0).sum()), int((values > 0).sum()))
    return sign_flip(np.round(np.concatenate([*sums.values()]), 12))


def refusal(text: str) -> InputError:
    """Return the error of a task that cannot be compared."""
    return InputError("compare", [Problem(location="predictions", text=text)])


def _check_gold(split: str, first: Any, second: Any) -> None:
    """Refuse other gold labels of the same examples.

    Raises:
        InputError: with the number of them, and the first one.
    """
    from ..run_folder import dev_predictions

    for column in (name for name in dev_predictions.GOLD if name in first.column_names):
        ours, theirs = first[column].to_pylist(), second[column].to_pylist()
        differing = [
            i for i, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]
        ]
        if differing:
            one = differing[0]
            name, *labels = (
                shorten(str(text)) for text in (first["id"][one].as_py(), ours[one], theirs[one])
            )
            raise refusal(
                f"{len(differing):,} of {len(ours):,} examples of {split} have another gold label,"
                f" such as '{name}': {labels[0]} in A, {labels[1]} in B"
            )
