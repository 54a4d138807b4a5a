"""Predictions of test splits with a run's winners or any transformers folder. No Ray.

The module has another name than its function: `raysearch.predict` is the function, always."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .. import run_folder, study, tasks
from ..data import encoding_cache, readers
from ..data.dataset import EncodedDataset
from ..data.readers.paths import task_folder
from ..errors import InputError, Problem
from ..models import finetuned
from ..models.pretrained import read_tokenizer
from ..models.training_record import TrainingRecord
from ..recipes import Hyperparameters
from ..results import formatting
from ..results.leaderboard import leaderboard
from ..run_folder import opening, trial_identity
from ..storage import file_inside, inside, kind_of
from ..tasks import Split, Task
from ..training import decode, embeddings, predict_outputs, span_decoding
from ..training.evaluation import has_only_finite_scores
from . import submission_files

EVERY = 10.0  # seconds between lines of progress
_SHAPING = (
    "max_length", "doc_stride", "stride_as", "query_length", "span_head", "n_best", "beam",
    "answer_length", "null_threshold", "qa_length", "segments", "pooling", "label_scale",
)  # fmt: skip
_log = logging.getLogger("raysearch")


@dataclass(frozen=True, kw_only=True)
class _PredictionJob:
    """A model and what it predicts.

    Attributes:
        task: what it predicts.
        folder: its weights.
        hyper: the hyperparameters that shape its data and decode what it says.
        notes: what has to be told before it predicts.
    """

    task: Task
    folder: Path
    hyper: Hyperparameters
    notes: tuple[str, ...] = ()


def predict(
    source: str | Path,
    *,
    to: str | Path,
    data: str | Path | None = None,
    names: Sequence[str] | None = None,
    note: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write the benchmark's submission files.

    The settings that shape data and decoding are those that the weights were trained with: their
    folder tells them, so a run and its best/ folder predict the same.

    Args:
        source: a run folder, of which every task's best/ predicts, or a transformers folder.
        to: the folder for the files.
        data: the folder that holds the benchmark's folders; a run's own by default.
        names: only these tasks; needed with a transformers folder.
        note: called with a line of progress, and with what was assumed; without it what was
            assumed goes to the log "raysearch" as a warning.

    Returns:
        The files, one for each test split whose data is there.

    Raises:
        InputError: unknown tasks, missing weights or data, an output folder that cannot be
            written, all together; a model that is none or not the task's.
    """
    source, to = Path(source), Path(to)
    root, models, searched = _sources(source, data, names)
    jobs = [(t, folder) for name, folder in models.items() for t in _predicted(name, names)]
    problems = _obstacles(jobs, root, to, names or ())
    facts, winners = _Facts(source, searched), []
    for task, folder in [] if problems else jobs:
        try:
            winners.append(_winner(task, folder, facts))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(str(source), dict.fromkeys(problems))
    return [path for one in winners for path in _files(one, root, to, note)]


def _obstacles(
    jobs: Sequence[tuple[Task, Path]], root: Path, to: Path, names: Sequence[str]
) -> list[Problem]:
    """Return what stands in the way before any model is looked at."""
    if not jobs:
        text = "nothing to predict: no task has a best/ folder yet"
        return [Problem(location="tasks", text=text)]
    asked = [task.name for task, _ in jobs if not task.predicted_by or task.name in names]
    problems = [
        problem
        for task, folder in jobs
        for problem in _problems(task, folder, root, needed=task.name in asked)
    ]
    return problems + _unwritable(to, [task for task, _ in jobs])


def _unwritable(to: Path, predicted: Sequence[Task]) -> list[Problem]:
    """Return why the submission files cannot be written, seen before anything is predicted."""
    names = {split.submission for task in predicted for split in _asked(task)}
    places = {to, *(to / name for name in names), *(p for n in names for p in (to / n).parents)}
    problems = []
    for place in sorted(place for place in places if place.is_relative_to(to)):
        if place != to and place.is_symlink():
            text = f"'{place}' is a link, which is not followed; a folder of its own would do"
            problems.append(Problem(location="to", text=text))
        elif place != to and place.is_dir() and place in {to / name for name in names}:
            text = f"'{place}' is a folder, a file is to be written there"
            problems.append(Problem(location="to", text=text))
    inner = {(to / name).parent for name in names} | {to}
    for folder in sorted(inner):
        parent = next(p for p in (folder, *folder.absolute().parents) if p.exists())
        if not parent.is_dir():
            problems.append(
                Problem(location="to", text=f"'{parent}' is no folder; another would do")
            )
        elif not os.access(parent, os.W_OK | os.X_OK):
            text = f"'{parent}' cannot be written; another folder would do"
            problems.append(Problem(location="to", text=text))
    return list(dict.fromkeys(problems))


def _sources(
    source: Path, data: str | Path | None, names: Sequence[str] | None
) -> tuple[Path, dict[str, Path], study.Study | None]:
    """The data folder, the model folder of each task, and the study of a run."""
    # A task that another one's model predicts has no model of its own.
    chosen = list(
        dict.fromkeys(tasks.get(n).predicted_by or tasks.get(n).name for n in names or ())
    )
    if (source / "config.json").is_file():
        if not chosen or data is None:
            text = "a transformers folder needs --tasks and --data"
            raise InputError(str(source), [Problem(location="tasks", text=text)])
        return Path(data), dict.fromkeys(chosen, source), None
    for name in (opening.STUDY, opening.PROVENANCE):
        if kind_of(file_inside(source, name)) is None:
            text = f"neither a run folder (no {name}) nor a transformers folder (no config.json)"
            raise InputError(str(source), [Problem(location="source", text=text)])
    searched = study.load(opening.study_file(source))
    root = Path(data or opening.recorded_data(source))
    models = {n: inside(source, tasks.get(n).slug, "best") for n in chosen or searched.tasks}
    if not chosen:
        models = {name: folder for name, folder in models.items() if folder.is_dir()}
    for name, folder in models.items():  # a run's own weights are no links, as a hub's cache has
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            inside(source, tasks.get(name).slug, "best", path.name)
    return root, models, searched


class _Facts:
    """What a run knows of its winners beside their weights.

    Args:
        source: the run folder; or a model's, of which nothing is known.
        searched: its study; None for a model's folder.
    """

    def __init__(self, source: Path, searched: study.Study | None) -> None:
        self.source, self.searched = source, searched
        self.records: run_folder.Records | None = None
        self.origins: list[str] = []
        if searched is not None:
            self.records = run_folder.read_journal(source)
            self.origins = trial_identity.check_identity(source, searched, self.records)

    def notes(self, task: Task, record: TrainingRecord | None) -> Iterator[str]:
        """Yield which seed a winner's weights are of, and whether it has learned anything."""
        yield from self.origins
        own = task.predicted_by or task.name
        leaders = leaderboard(self.searched, self.records, own) if self.records else []
        if not leaders:
            yield from _told(record)
            return
        leader, metric = leaders[0], tasks.get(own).metric
        identity = record.trial.get("id") if record else None
        trials = [trial for trial in leader.trials if trial.id == identity] or [leader.best_trial]
        if len(leader.trials) > 1:
            yield _seed_note(metric, trials[0].seed, trials[0].score, len(leader.trials))
            over = self.searched.confirm.report
            score = formatting.format_percent(leader.score, 2)
            yield f"the table's {score} is the {over} of all seeds"
        if trials[0].status == "degenerate":
            yield _DEGENERATE


_DEGENERATE = "WARNING: the winner is degenerate: its training ended with nothing learned"


def _seed_note(metric: str, seed: Any, score: float | None, seeds: int) -> str:
    """Say which of a configuration's seeds a folder holds."""
    scored = "" if score is None else f", {metric} {formatting.format_percent(score, 2)} on dev"
    return f"the weights are those of seed {seed}{scored}, the best of {seeds} seeds"


def _told(record: TrainingRecord | None) -> Iterator[str]:
    """Yield what a folder itself says of its seed and its training."""
    trial = record.trial if record else {}
    seeds = trial.get("seeds") or []
    if len(seeds) > 1 and trial.get("phase") == "confirm":
        metric = str(trial.get("metric", "")).removeprefix("dev.")
        yield _seed_note(metric, trial.get("seed"), trial.get("score"), len(seeds))
        yield f"its run's table gives the {trial.get('report', 'median')} of all seeds"
    if record and record.degenerate:
        yield _DEGENERATE


def _winner(task: Task, folder: Path, facts: _Facts) -> _PredictionJob:
    """Return a model with the settings that its weights were trained with.

    Raises:
        InputError: it is no model folder, or says of itself what cannot be.
    """
    record = finetuned.read_record(folder)
    own = task.predicted_by or task.name
    recorded = _rerun(folder, own)
    notes: list[str] = []
    if record is not None:
        hyper = record.hyper
        other = recorded and _differing(task, recorded, hyper)
        if other:
            notes.append(f"best.yaml says otherwise than the weights, which hold: {other}")
    elif recorded is not None:
        hyper = recorded
        if facts.searched is None:
            notes.append(f"the folder tells no settings; taken from '{folder.parent}/best.yaml'")
    else:
        hyper = Hyperparameters(**finetuned.read_choices(folder))
        listed = ", ".join(f"{name} {value}" for name, value in _shaping(task, hyper).items())
        notes.append(f"the folder tells no settings; assumed are: {listed}")
    notes += facts.notes(task, record)
    return _PredictionJob(task=task, folder=folder, hyper=hyper, notes=tuple(notes))


def _rerun(folder: Path, name: str) -> Hyperparameters | None:
    """Return the hyperparameters of the best.yaml that a run wrote beside a winner's folder."""
    path = folder.parent / "best.yaml"
    if folder.name != "best" or kind_of(path) != "a file":
        return None
    best = study.load(path)
    return best.hyperparameters(name, {}) if name in best.tasks else None


def _shaping(task: Task, hyper: Hyperparameters) -> dict[str, Any]:
    """Return the hyperparameters that shape a task's data and decode what a model says."""
    read = type(hyper).READ_BY_HEADS
    return {n: getattr(hyper, n) for n in _SHAPING if task.head in read.get(n, (task.head,))}


def _differing(task: Task, recorded: Hyperparameters, hyper: Hyperparameters) -> str:
    """Return the settings of the weights that best.yaml has otherwise."""
    others = _shaping(task, recorded)
    pairs = ((n, x, others[n]) for n, x in _shaping(task, hyper).items() if others[n] != x)
    return ", ".join(f"{name} {value}, not {other}" for name, value, other in pairs)


def _predicted(name: str, names: Sequence[str] | None) -> list[Task]:
    """The task itself, and those that its model predicts as well, as far as they are wanted."""
    own = [task for task in tasks.TASKS.values() if name in (task.name, task.predicted_by)]
    return [task for task in own if not names or {task.name, task.predicted_by} & set(names)]


def _asked(task: Task) -> list[Split]:
    """The splits of which predictions are taken; of SQuAD, whose test sets are hidden, dev."""
    return [split for split in (*task.test, *task.dev) if split.submission]


def _problems(task: Task, folder: Path, root: Path, *, needed: bool) -> Iterator[Problem]:
    if not folder.is_dir():
        yield Problem(location=task.name, text=f"no weights at '{folder}'")
    present = readers.present_splits(task, root)
    asked = _asked(task)
    if not asked:
        yield Problem(location=task.name, text="the benchmark takes no predictions of it")
    elif needed and not any(split.name in present for split in asked):
        wanted = ", ".join(file.path for split in asked[:3] for file in split.files)
        text = f"no test file under '{task_folder(task, root)}'; looked for {wanted}"
        yield Problem(location=task.name, text=text)


def _files(
    winner: _PredictionJob, root: Path, to: Path, note: Callable[[str], None] | None
) -> Iterator[Path]:
    task, folder, hyper = winner.task, winner.folder, winner.hyper
    present = readers.present_splits(task, root)
    splits = [split for split in _asked(task) if split.name in present]
    if not splits:
        return
    progress, assumed = note or (lambda line: None), note or _log.warning
    for text in winner.notes:
        assumed(f"{task.name}: {text}")
    tokenizer = read_tokenizer(str(folder), ())
    model = finetuned.load_finetuned(
        folder, task, _device(), lambda text: assumed(f"{task.name}: {text}")
    )
    for split in splits:
        prepared = _prepared(winner, split, root, tokenizer)
        examples = EncodedDataset(prepared.table, prepared.padding)
        numbers = _outputs(winner, model, split, examples, progress)
        predictions = decode(numbers, examples, task, hyper)
        progress(f"{task.name} {split.name}: {len(examples):,} examples predicted")
        if task.head == "span":
            files = span_decoding.answer_files(predictions, task, hyper)
            yield from submission_files.write_answers(to, split, files)
        elif task.head == "tag":
            yield submission_files.write_tags(to, task, split, predictions)
        elif task.head == "thought":
            yield submission_files.write_embeddings(to, split, examples.ids(), predictions)
        else:
            yield submission_files.write_submission(to, task, split, examples.ids(), predictions)


def _prepared(
    winner: _PredictionJob, split: Split, root: Path, tokenizer: Any
) -> encoding_cache.Prepared:
    """Return a split's token ids. Raises InputError where the folder's tokenizer makes none."""
    try:
        return encoding_cache.prepare(winner.task, split, root, tokenizer, winner.hyper)
    except (InputError, OSError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a foreign tokenizer: a panic of Rust is no Exception
        raise _unread(winner, split, "its tokenizer makes nothing of a text", error) from error


def _unread(winner: _PredictionJob, split: Split, why: str, error: BaseException) -> InputError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    text = f"'{winner.folder}' cannot read {winner.task.name} {split.name}: {first}\n{why}"
    return InputError(str(winner.folder), [Problem(location="model", text=text)])


def _outputs(
    winner: _PredictionJob, model: torch.nn.Module, split: Split, examples: EncodedDataset,
    note: Callable[[str], None],
) -> Any:  # fmt: skip
    """Return what a model says of every example of a split, see `training.predict_outputs`.

    Raises:
        InputError: it cannot: its configuration does not describe it, or what it says is no number.
    """
    task = winner.task
    try:
        numbers = predict_outputs(
            model, examples, task, winner.hyper, autocast=nullcontext,
            forward=embeddings if task.head == "thought" else None,
            on_batch=_progress(f"{task.name} {split.name}", len(examples), note),
        )  # fmt: skip
    except Exception as error:  # a model of foreign files: any of its layers may fail in any way
        why = "its config.json does not describe its weights, or memory is short"
        raise _unread(winner, split, why, error) from error
    if not has_only_finite_scores(numbers, task):
        text = f"'{winner.folder}' says NaN or infinity of {task.name} {split.name}"
        raise InputError(str(winner.folder), [Problem(location="model", text=text)])
    return numbers


def _progress(name: str, examples: int, note: Callable[[str], None]) -> Callable[[int], None]:
    """Notes now and then how many examples are done."""
    told = time.monotonic()

    def beat(done: int) -> None:
        nonlocal told
        if time.monotonic() - told > EVERY:
            told = time.monotonic()
            note(f"{name}: {done:,} of {examples:,} examples")

    return beat


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
