"""Files of predictions with a run's winners or any transformers folder.

It is apart from a run because it needs no Ray. The module and its function have different names, so
that `raysearch.predict` is always the function.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..data import readers
from ..data.encoding_cache import example_ends
from ..errors import InputError
from ..heads import HEADS
from ..models import finetuned
from ..tasks import Split
from .prediction_checks import choose_splits, find_problems, no_winner_problems
from .prediction_jobs import (
    PredictionJob,
    RunFacts,
    find_models,
    known_tasks_of,
    make_job,
    predicted_tasks,
)
from .split_predictor import SplitPredictor

_log = logging.getLogger("raysearch")


def predict(
    source: str | Path,
    *,
    to: str | Path,
    data: str | Path | None = None,
    names: Sequence[str] | None = None,
    split: str | None = None,
    note: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write files of predictions in the benchmark's own format.

    The settings that shape data and decoding are those that the weights were trained with. The
    weights' folder records them, so a run and its best/ folder predict the same. The file of a dev
    split has exactly the scores that the trial of these weights has in the journal, unless it was
    scored on fewer examples (`dev_examples`, or the part that `hold_out` leaves), which is noted.

    Args:
        source: a run folder, where the best/ folder of every task predicts; or a transformers
            folder.
        to: the folder for the files.
        data: the folder that holds the benchmark's folders; by default that of the run.
        names: only these tasks; required for a transformers folder.
        split: "dev" or "test" for all of these splits, or the name of one, see
            `split_names.requested_splits`; None for those that the benchmarks take.
        note: called with lines of progress and with assumptions; None writes the assumptions to
            the logger "raysearch" as warnings.

    Returns:
        The files, one for each split that the data folder has; answers may have several.

    Raises:
        InputError: with all unknown tasks and splits, missing weights or data, and reasons why the
            output folder cannot be written; or a folder holds no model, or a model of another task.
    """
    source, to = Path(source), Path(to)
    root, folders, searched = find_models(source, data, names)
    known = known_tasks_of(source, searched)
    models = [
        (task, folder)
        for name, folder in folders.items()
        for task in predicted_tasks(name, names, known)
    ]
    splits, problems = choose_splits([task for task, _ in models], split, names or ())
    if not models:
        problems += no_winner_problems(
            source, [known[n] for n in searched.tasks] if searched else ()
        )
    problems = problems or find_problems(models, splits, root, to, names or ())
    facts = RunFacts(source, searched)
    jobs = []
    for task, folder in [] if problems else models:
        try:
            jobs.append(make_job(task, folder, facts))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(str(source), dict.fromkeys(problems))
    written = [_write_files(job, splits[job.task.name], root, to, note) for job in jobs]
    return [path for paths in written for path in paths]


def _write_files(
    job: PredictionJob,
    splits: Sequence[Split],
    root: Path,
    to: Path,
    note: Callable[[str], None] | None,
) -> Iterator[Path]:
    """Write the files of one model, and yield their paths."""
    task, head = job.task, HEADS[job.task.head]
    present = readers.present_splits(task, root)
    predicted = [split for split in splits if split.name in present]
    if not predicted:
        return

    def warn(text: str) -> None:
        (note or _log.warning)(f"{task.name}: {text}")

    for text in job.notes:
        warn(text)
    labelled = any(part.labelled for part in predicted)
    if labelled and (text := finetuned.division_note(job.folder, task)):
        warn(text)
    predictor = SplitPredictor(job, root, note or (lambda line: None), warn)
    for split in predicted:
        examples, predictions = predictor(split)
        count, size = job.hyper.dev_examples, len(example_ends(examples.table))
        if split.labelled and count is not None and count < size:
            text = f"{split.name}: the journal's score is that of {count:,} of these {size:,}"
            warn(f"{text} examples (dev_examples)")
        yield from head.write(to, task, split, examples.ids(), predictions, job.hyper)
