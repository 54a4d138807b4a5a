"""The interval of a configuration's score, from the kept predictions of its seeds.

It is apart from the leaderboard because it reads files, which the search never needs to.
"""

from collections.abc import Callable
from pathlib import Path

from .. import statistics
from ..errors import InputError
from ..run_folder import Record
from ..statistics import Interval, Sample, ScoreSample
from ..study import TaskStudy
from . import formatting
from .leaderboard import RankedConfiguration

_AGGREGATES: dict[str, Callable[..., statistics.Floats]] = {
    "median": statistics.median,
    "mean": statistics.mean,
    "max": statistics.maximum,
}


Intervals = Callable[[TaskStudy, RankedConfiguration, str], Interval | None]


def no_interval(task: TaskStudy, ranked: RankedConfiguration, name: str) -> Interval | None:
    """Return None: the intervals of a table that has no run folder."""
    return None


def intervals_of(folder: Path, note: Callable[[str], None]) -> Intervals:
    """Return the function that computes the intervals of a run folder's scores, each once.

    Args:
        folder: the run folder.
        note: called with a line for each file of predictions that cannot be read. Its score has no
            interval.
    """
    known: dict[tuple[str, ...], Interval | None] = {}

    def intervals(task: TaskStudy, ranked: RankedConfiguration, name: str) -> Interval | None:
        key = (name, *(record.id for record in ranked.trials))
        if key not in known:
            try:
                known[key] = score_interval(folder, task, ranked, name)
            except InputError as error:
                known[key] = None
                text = " ".join(str(error).split())
                note(f"{formatting.column_title(task.row)}: no interval of {name}: {text}.")
        return known[key]

    return intervals


def score_interval(
    folder: Path, task: TaskStudy, ranked: RankedConfiguration, name: str
) -> Interval | None:
    """Return the interval of one score of a configuration.

    Args:
        folder: the run folder.
        task: the task of the study.
        ranked: the configuration; its trials that count are the seeds.
        name: the score: "dev.accuracy", "dev.mismatched.accuracy", "dev.mean.f1".

    Returns:
        The interval; None where the predictions of a seed were not kept, as of a diverged one, and
        for a gap between languages.
    """
    seeds: list[ScoreSample] = []
    samples: dict[str, Sample] = {}
    for record in ranked.trials:
        parts = _parts(folder, task, record, name)
        if parts is None:
            return None
        measures, samples = parts
        seeds.append(measures)
    return statistics.interval(seeds, samples, aggregate=_AGGREGATES[task.study.confirm.report])


def _parts(
    folder: Path, task: TaskStudy, record: Record, name: str
) -> tuple[ScoreSample, dict[str, Sample]] | None:
    """Return what a trial scores on the splits of a score, and their samples."""
    from ..run_folder import dev_predictions  # pyarrow, which other tables do not need

    tables = dev_predictions.read(folder, record)
    *prefix, metric = name.removeprefix("dev.").split(".")
    if tables is None or prefix == ["gap"]:
        return None
    first = task.row.dev[0].name
    splits = [*tables] if prefix == ["mean"] else [prefix[0] if prefix else first]
    if not set(splits) <= set(tables):
        return None
    hyper = task.hyperparameters(record.configuration)
    measures, samples = [], {}
    for split in splits:
        table = tables[split]
        # A translated dev set has the ids of the first one, and both are resampled together.
        shares = table.column("id").equals(tables[first].column("id"))
        sample = first if first in splits and shares else split
        measure = dev_predictions.measure_of(table, task.row, metric, hyper.null_threshold)
        measures.append((sample, measure))
        samples[sample] = dev_predictions.sample_of(tables[sample])
    return ScoreSample(measures=measures), samples
