"""The interval of a configuration's score, from the kept predictions of its seeds.

It is apart from the leaderboard because it reads files, which the search never needs to.
"""

from collections.abc import Callable
from pathlib import Path

from .. import statistics, tasks
from ..run_folder import Record, dev_predictions
from ..statistics import Interval, Sample, ScoreSample
from ..study import Study
from .leaderboard import RankedConfiguration

_AGGREGATES: dict[str, Callable[..., statistics.Floats]] = {
    "median": statistics.median,
    "mean": statistics.mean,
    "max": statistics.maximum,
}


def score_interval(
    folder: Path, study: Study, ranked: RankedConfiguration, name: str
) -> Interval | None:
    """Return the interval of one score of a configuration.

    Args:
        folder: the run folder.
        study: the study.
        ranked: the configuration; its trials that count are the seeds.
        name: the score: "dev.accuracy", "dev.mismatched.accuracy", "dev.mean.f1".

    Returns:
        The interval; None where the predictions of a seed were not kept, as of a diverged one, and
        for a gap between languages.
    """
    seeds: list[ScoreSample] = []
    samples: dict[str, Sample] = {}
    for record in ranked.trials:
        parts = _parts(folder, study, record, name)
        if parts is None:
            return None
        measures, samples = parts
        seeds.append(measures)
    return statistics.interval(seeds, samples, aggregate=_AGGREGATES[study.confirm.report])


def _parts(
    folder: Path, study: Study, record: Record, name: str
) -> tuple[ScoreSample, dict[str, Sample]] | None:
    """Return what a trial scores on the splits of a score, and their samples."""
    task = tasks.get(record.task)
    tables = dev_predictions.read(folder, record)
    *prefix, metric = name.removeprefix("dev.").split(".")
    if tables is None or prefix == ["gap"]:
        return None
    first = task.dev[0].name
    splits = [*tables] if prefix == ["mean"] else [prefix[0] if prefix else first]
    if not set(splits) <= set(tables):
        return None
    hyper = study.resolve(record.task).hyperparameters(record.configuration)
    measures, samples = [], {}
    for split in splits:
        table = tables[split]
        # A translated dev set has the ids of the first one, and both are resampled together.
        shares = table.column("id").equals(tables[first].column("id"))
        sample = first if first in splits and shares else split
        measure = dev_predictions.measure_of(table, task, metric, hyper.null_threshold)
        measures.append((sample, measure))
        samples[sample] = dev_predictions.sample_of(tables[sample])
    return ScoreSample(measures=measures), samples
