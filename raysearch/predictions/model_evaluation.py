"""Scores of any fine-tuned model's folder on dev splits, with their intervals; no run is needed.

It is apart from `prediction`, which writes files and scores nothing. The module and its function
have different names, so that `raysearch.evaluate` is always the function.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import metrics
from ..data import readers
from ..data.encoding_cache import example_ends
from ..errors import InputError, Problem, shorten
from ..heads import HEADS
from ..models import finetuned
from ..results import formatting
from ..run_folder import dev_predictions, opening
from ..run_folder.remote_files import local_copy
from ..run_folder.report import dev_scores, is_gap, splits_of
from ..statistics import intervals
from ..study.overrides import parse_settings
from ..study.own_tasks import PREFIX
from ..tasks import Split, Task
from . import kept_files
from .error_collection import collect_errors
from .prediction_checks import choose_splits, find_problems
from .prediction_jobs import RunFacts, changeable_settings, known_tasks_of, make_job
from .split_predictor import SplitPredictor
from .task_names import known_tasks, load_study, missing_text, run_around

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class DevScore:
    """A score of a model on a task.

    Attributes:
        task: the task's name.
        name: of the score, as a run's journal has it: "dev.accuracy" of the first dev split,
            "dev.mismatched.accuracy" of another one, "dev.mean.f1" over the languages.
        examples: the number of examples that it is of.
        value: the score, a fraction.
        low: lower end of its 95 % interval over examples; None of a gap between languages.
        high: upper end, like `low`.
    """

    task: str
    name: str
    examples: int
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The scores of a fine-tuned model on dev splits.

    Attributes:
        model: the model's folder.
        scores: of each task all splits and metrics.
        files: the files of predictions that were written.
        notes: what was assumed or mapped, and what the scores alone do not show.
    """

    model: str
    scores: tuple[DevScore, ...]
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def evaluate(
    model: str | Path,
    *,
    tasks: Sequence[str] | str,
    data: str | Path | None = None,
    settings: Mapping[str, Any] | Iterable[str] | None = None,
    split: str = "dev",
    to: str | Path | None = None,
    study: str | Path | None = None,
    note: Callable[[str], None] | None = None,
) -> Evaluation:
    """Score a fine-tuned model on dev splits, as a run scores its trials.

    The folder of a run's winner has exactly the scores of its trial in the journal, unless that was
    scored on a part of dev (`hold_out`), which is noted.

    Args:
        model: a transformers folder with a trained head, made by raysearch or not; or its URI.
        tasks: the names of the tasks to score, a list or a text with commas.
        data: the folder that holds the benchmark's folders; None: that of the run in which the
            model lies, else `data`.
        settings: other values of settings that shape the data or decode the outputs, a mapping or
            texts NAME=VALUE; by default those that the folder records, else the defaults.
        split: "dev" for all dev splits whose files are there, or the name of one.
        to: a folder for the predictions, in the benchmark's own format; None: none are written.
        study: the study or run that defines tasks on own files; None: the run in which the model
            lies does, else the model's record.
        note: called with lines of progress.

    Raises:
        InputError: with all unknown tasks, splits and settings and missing data; or the folder
            holds no model, its head is not trained or does not fit, or its tokenizer is missing.
    """
    folder, source = local_copy(model, weights=True, note=note), str(model)
    tasks = [n.strip() for n in tasks.split(",")] if isinstance(tasks, str) else tasks
    _refuse_other_folders(folder)
    root, defined = _surroundings(folder, tasks, data, study)
    rows = _tasks_to_score(source, tasks, {**known_tasks_of(folder, None), **defined})
    splits, problems = choose_splits(rows, split, list(tasks))
    problems += [
        Problem(
            location=row.name, text="test splits are predicted, and scored by `raysearch score`"
        )
        for row in rows
        if not all(part.labelled for part in splits[row.name])
    ]
    values, setting_problems = parse_settings(settings or {})
    problems += [*setting_problems, *_setting_problems(rows, values)]
    output = Path(to) if to is not None else None
    models = [(row, folder) for row in rows if splits[row.name]]
    problems += find_problems(models, splits, root, output, list(tasks))
    if problems:
        raise InputError(source, dict.fromkeys(problems))
    notes: list[str] = []
    predictors = collect_errors(
        source,
        *(_load(row, folder, root, values, note or (lambda line: None), notes.append)
          for row in rows),
    )  # fmt: skip
    parts = [
        _evaluate_task(predictor, splits[predictor.job.task.name], root, output)
        for predictor in predictors
    ]
    return Evaluation(
        model=source,
        scores=tuple(score for part in parts for score in part.scores),
        files=tuple(path for part in parts for path in part.files),
        notes=(*dict.fromkeys(notes), *(text for part in parts for text in part.notes)),
    )


def _surroundings(
    folder: Path, names: Sequence[str], data: str | Path | None, study: str | Path | None
) -> tuple[Path, dict[str, Task]]:
    """Return the data folder, and the tasks that the given study or the run around defines."""
    run = run_around(folder)
    root = Path(data or (opening.recorded_data(run) if run else "data"))
    if study is None and any(name.startswith(PREFIX) for name in names):
        study = run
    return root, known_tasks(load_study(study, root)) if study is not None else {}


def _refuse_other_folders(folder: Path) -> None:
    """Refuse what is no transformers folder; of a run, say where its models are."""
    if (folder / "config.json").is_file():
        return
    text = f"no transformers folder (no config.json): '{folder}'"
    if (folder / "best" / "config.json").is_file():
        text += f"; did you mean '{folder / 'best'}'?"
    if kept_files.is_run(folder):
        winners = sorted(str(path.parent) for path in folder.glob("*/best/config.json"))
        text = (
            f"'{folder}' is a run folder; give a model: {', '.join(winners) or 'it has none yet'}"
        )
    raise InputError(str(folder), [Problem(location="model", text=text)])


def _tasks_to_score(source: str, names: Sequence[str], known: Mapping[str, Task]) -> list[Task]:
    """Return the tasks of these names; refuse unknown ones and those that have nothing to score."""
    problems = [
        Problem(location="tasks", text=missing_text(name, known))
        for name in names
        if name not in known
    ]
    rows = [known[name] for name in dict.fromkeys(names) if name in known]
    for row in rows:
        if row.facts.masks_tokens:
            text = "has no labels: what is masked of its text, only a run knows"
            problems.append(Problem(location=row.name, text=text))
    if not names:
        problems.append(Problem(location="tasks", text="at least one task is needed"))
    if problems:
        raise InputError(source, problems)
    return rows


def _setting_problems(rows: Sequence[Task], settings: Mapping[str, Any]) -> list[Problem]:
    """Return a problem for each setting that changes nothing of any task's evaluation."""
    names = sorted({name for row in rows for name in changeable_settings(row)})
    return [
        Problem(
            location=f"--set {shorten(name)}",
            text=f"changes nothing here; what can be set: {', '.join(names)}",
        )
        for name in settings
        if name not in names
    ]


def _load(
    task: Task,
    folder: Path,
    root: Path,
    settings: Mapping[str, Any],
    report: Callable[[str], None],
    warn: Callable[[str], None],
) -> Callable[[], SplitPredictor]:
    """Return a function that loads the model for a task."""

    def load() -> SplitPredictor:
        names = changeable_settings(task)
        own = {name: value for name, value in settings.items() if name in names}
        job = make_job(task, folder, RunFacts(folder, None), own)
        for text in filter(None, (*job.notes, finetuned.division_note(folder, task))):
            warn(f"{task.name}: {text}")
        predictor = SplitPredictor(job, root, report, lambda text: warn(f"{task.name}: {text}"))
        if "max_length" in own and job.hyper.max_length > predictor.limit:
            text = f"'{folder}' has positions for {predictor.limit} tokens"
            text += f", got {job.hyper.max_length}; {predictor.limit} or fewer would do"
            raise InputError(str(folder), [Problem(location="--set max_length", text=text)])
        return predictor

    return load


def _evaluate_task(
    predictor: SplitPredictor, splits: Sequence[Split], root: Path, to: Path | None
) -> Evaluation:
    """Return the scores of a task on those of its splits whose files are there."""
    job = predictor.job
    task, hyper, head = job.task, job.hyper, HEADS[job.task.head]
    present = readers.present_splits(task, root)
    tables: dict[str, pa.Table] = {}
    scores: dict[str, dict[str, float]] = {}
    files: list[Path] = []
    notes: list[str] = []
    for split in (split for split in splits if split.name in present):
        examples, predictions = predictor(split, hyper.dev_examples)
        scores[split.name] = head.score(predictions, examples, task, hyper)
        kept = head.kept(predictions, examples, task, hyper)
        tables[split.name] = dev_predictions.to_table(split.name, kept)
        count = len(example_ends(examples.table))
        if count == hyper.dev_examples and predictor.sizes[split.name] > count:
            notes.append(f"{task.name} {split.name}: {count:,} examples (dev_examples), not all")
        if to is not None:
            files += head.write(to, task, split, examples.ids(), predictions, hyper)
    names = dev_scores(scores, task.dev[0].name, multilingual=bool(task.languages))
    return Evaluation(
        model=str(job.folder),
        scores=tuple(
            dev_score(task, hyper.null_threshold, name, value, tables)
            for name, value in names.items()
        ),
        files=tuple(files),
        notes=tuple(notes),
    )


def dev_score(
    task: Task, threshold: float, name: str, value: float, tables: Mapping[str, "pa.Table"]
) -> DevScore:
    """Return a score with its interval over the examples of its splits.

    Args:
        task: the task.
        threshold: the null score above which there is no answer.
        name: of the score, as a run's journal has it.
        value: the score.
        tables: dev split -> its predictions, see `dev_predictions.to_table`.
    """
    names = splits_of(name, [split.name for split in task.dev])
    counted = {split: tables[split] for split in names if split in tables}
    low = high = None
    if not is_gap(name):
        metric = name.rpartition(".")[2]
        sample, samples = dev_predictions.score_sample(counted, task, metric, threshold)
        interval = intervals.interval([sample], samples, within=(metrics.worst(metric), 1.0))
        low, high = interval.low, interval.high
    examples = sum(table.num_rows for table in counted.values())
    return DevScore(task=task.name, name=name, examples=examples, value=value, low=low, high=high)


def plain_text(result: Evaluation) -> str:
    """Return a table of scores and intervals in percent."""
    rows = [("task", "score", "examples", "percent", "95 %")]
    for score in result.scores:
        ends = "-"
        if score.low is not None and score.high is not None:
            ends = f"{100 * score.low:.2f} to {100 * score.high:.2f}"
        count, value = f"{score.examples:,}", f"{100 * score.value:.2f}"
        rows.append((score.task, score.name.removeprefix("dev."), count, value, ends))
    lines = formatting.aligned(rows, left=2)
    lines.append("95 %: the interval over dev examples, of this one model")
    lines += [str(path) for path in result.files]
    return "\n".join([*lines, *(f"note: {note}" for note in result.notes)])


def json_text(result: Evaluation) -> str:
    """Return a JSON object, with scores and intervals in percent."""
    scores = []
    for score in result.scores:
        percent = {
            name: None if (value := getattr(score, name)) is None else 100 * value
            for name in ("value", "low", "high")
        }
        scores.append({**asdict(score), **percent})
    files = [str(path) for path in result.files]
    values = {"model": result.model, "scores": scores, "files": files, "notes": result.notes}
    return json.dumps(values, indent=2)
