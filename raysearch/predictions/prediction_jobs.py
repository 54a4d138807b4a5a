"""The models that predict, and the settings with which each of them predicts.

It is apart from `prediction` because it only reads folders: a run's, or any transformers folder.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import run_folder, study, tasks
from ..data import hub_datasets
from ..errors import InputError, Problem
from ..models import finetuned
from ..models.training_record import TrainingRecord
from ..recipes import Hyperparameters, validate_settings
from ..results import formatting
from ..results.leaderboard import leaderboard
from ..run_folder import opening, trial_identity
from ..storage import file_inside, inside, kind_of
from ..tasks import Task
from .task_names import known_tasks, missing_text

# Hyperparameters that shape a task's data or decode a model's outputs.
_PREDICTION_SETTINGS = (
    "max_length",
    "doc_stride",
    "stride_as",
    "query_length",
    "span_head",
    "n_best",
    "beam",
    "answer_length",
    "null_threshold",
    "qa_length",
    "segments",
    "pooling",
    "label_scale",
)
_DEGENERATE = "WARNING: the winner is degenerate: its training ended with nothing learned"


@dataclass(frozen=True, kw_only=True)
class PredictionJob:
    """A model and the task that it predicts.

    Attributes:
        task: the task.
        folder: the transformers folder of the model.
        hyper: the hyperparameters that shape its data and decode its outputs.
        notes: facts that the user should know before it predicts.
    """

    task: Task
    folder: Path
    hyper: Hyperparameters
    notes: tuple[str, ...] = ()


def find_models(
    source: Path, data: str | Path | None, names: Sequence[str] | None
) -> tuple[Path, dict[str, Path], study.Study | None]:
    """Return the data folder, the model folder of each task, and the study of a run.

    Args:
        source: a run folder or a transformers folder.
        data: the data folder; None for that of the run.
        names: only these tasks; None for all tasks of the run.

    Raises:
        InputError: the source is no such folder, or a transformers folder has no tasks or data.
    """
    is_model = (source / "config.json").is_file()
    chosen = _chosen(names, known_tasks_of(source, None)) if is_model else []
    if is_model:
        if not chosen or data is None:
            text = "a transformers folder needs --tasks and --data"
            raise InputError(str(source), [Problem(location="tasks", text=text)])
        return Path(data), dict.fromkeys(chosen, source), None
    for name in (opening.STUDY, opening.PROVENANCE):
        if kind_of(file_inside(source, name)) is None:
            text = f"neither a run folder (no {name}) nor a transformers folder (no config.json)"
            text += opening.near_runs(source)
            raise InputError(str(source), [Problem(location="source", text=text)])
    searched = study.load(opening.study_file(source))
    hub_datasets.fetch(searched.own_files)  # what is not there afterwards is told as missing
    chosen = _chosen(names, known_tasks_of(source, searched))
    if missing := [name for name in chosen if name not in searched.tasks]:
        text = f"the run has no task {', '.join(missing)}; it has {', '.join(searched.tasks)}"
        raise InputError(str(source), [Problem(location="tasks", text=text)])
    root = Path(data or opening.recorded_data(source))
    models = {n: inside(source, tasks.slug_of(n), "best") for n in chosen or searched.tasks}
    if not chosen:
        models = {name: folder for name, folder in models.items() if folder.is_dir()}
    # A run's own weights are never links, unlike those in the cache of a hub.
    for name, folder in models.items():
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            inside(source, tasks.slug_of(name), "best", path.name)
    return root, models, searched


def known_tasks_of(source: Path, searched: study.Study | None) -> dict[str, Task]:
    """Return the tasks that a run's models or a model can predict, by name.

    Args:
        source: the run folder or the transformers folder.
        searched: the run's study; None of a transformers folder, whose record may define one.

    Raises:
        InputError: the folder's record is invalid.
    """
    if searched is not None:
        return known_tasks(searched)
    record = finetuned.read_record(source)
    return {**known_tasks(None), **({record.task: record.row} if record else {})}


def _chosen(names: Sequence[str] | None, known: Mapping[str, Task]) -> list[str]:
    """Return the tasks whose models predict those of these names, without repetitions.

    Raises:
        InputError: a name is of no task.
    """
    if unknown := [name for name in names or () if name not in known]:
        problem = Problem(location="name", text=missing_text(unknown[0], known))
        raise InputError("tasks", [problem])
    # A task that is predicted by the model of another one has no model of its own.
    return list(dict.fromkeys(known[name].predicted_by or name for name in names or ()))


def predicted_tasks(
    name: str, names: Sequence[str] | None, known: Mapping[str, Task]
) -> list[Task]:
    """Return the task and those that its model predicts as well.

    Args:
        name: the task's name.
        names: only these tasks, and those that their models predict; None for all.
        known: of `known_tasks_of`.
    """
    predicted = [task for task in known.values() if name in (task.name, task.predicted_by)]
    return [task for task in predicted if not names or {task.name, task.predicted_by} & set(names)]


class RunFacts:
    """The facts that a run's journal adds to what its winners' folders record.

    Attributes:
        source: the run folder, or a model's folder, about which there are no facts.
        run: the run's study and its trials; None for a model's folder.
        origins: notes on trials that another study or version produced.
    """

    def __init__(self, source: Path, searched: study.Study | None) -> None:
        self.source = source
        self.run: tuple[study.Study, run_folder.Records] | None = None
        self.origins: list[str] = []
        if searched is not None:
            records = run_folder.read_journal(source)
            self.run = searched, records
            self.origins = trial_identity.check_identity(source, searched, records)

    def notes(self, task: Task, record: TrainingRecord | None) -> Iterator[str]:
        """Yield which seed a winner's weights are of, and whether its training learned anything."""
        yield from self.origins
        name = task.predicted_by or task.name
        ranked = leaderboard(self.run[0].resolve(name), self.run[1]) if self.run else []
        leader = next(iter(ranked), None)
        if leader is None or self.run is None:
            yield from _record_notes(record)
            return
        identity = record.trial.get("id") if record else None
        trials = [trial for trial in leader.trials if trial.id == identity]
        if identity and not trials:
            yield f"the weights are of trial {identity}, not of the table's winner"
            yield from _record_notes(record)
            return
        trials = trials or [leader.best_trial]  # an older folder does not name its trial
        if len(leader.trials) > 1:
            searched = self.run[0]
            metric, printed = searched.task(name).metric, searched.resolve(name).printed_metric
            measured = trials[0].scores_at(searched.search.select).get(printed, trials[0].score)
            count = len(leader.trials)
            yield _seed_note(metric, trials[0].seed, measured, f"the best of {count} seeds")
            score = formatting.format_percent(leader.score, 2)
            yield f"the table's {score} is the {searched.confirm.report} of all seeds"
        if trials[0].status == "degenerate":
            yield _DEGENERATE


def _seed_note(metric: str, seed: Any, score: float | None, place: str) -> str:
    """Return which of a configuration's seeds the weights in a folder are of."""
    scored = "" if score is None else f", {metric} {formatting.format_percent(score, 2)} on dev"
    return f"the weights are those of seed {seed}{scored}, {place}"


def _record_notes(record: TrainingRecord | None) -> Iterator[str]:
    """Yield what a folder's record contains about its seed and its training."""
    trial = record.trial if record else {}
    seeds = trial.get("seeds") or []
    if len(seeds) > 1 and trial.get("phase") == "confirm":
        metric = str(trial.get("metric", "")).removeprefix("dev.")
        place = f"{record.place_among_seeds if record else ''} of {len(seeds)} seeds"
        yield _seed_note(metric, trial.get("seed"), trial.get("score"), place)
        yield f"its run's table gives the {trial.get('report', 'median')} of all seeds"
    if record and record.degenerate:
        yield _DEGENERATE


def make_job(
    task: Task, folder: Path, facts: RunFacts | None, settings: Mapping[str, Any] | None = None
) -> PredictionJob:
    """Return a model with the settings that its weights were trained with.

    The settings are those of the folder's record. Without a record they are those of the best.yaml
    beside the folder, else the defaults.

    Args:
        task: the task to predict.
        folder: the transformers folder.
        facts: what the run knows; None: which seed the weights are of is not noted.
        settings: values that take the place of the folder's, see `changeable_settings`.

    Raises:
        InputError: the folder holds no model, its record is invalid, or a setting is.
    """
    settings = settings or {}
    record = finetuned.read_record(folder)
    of_study = _settings_of_best_study(folder, task.predicted_by or task.name)
    notes: list[str] = []
    if record is not None:
        hyper = record.hyper
        differences = of_study and _differences(task, of_study, hyper)
        if differences:
            notes.append(f"best.yaml differs from the weights, which have: {differences}")
    elif of_study is not None:
        hyper = of_study
        if facts is None or facts.run is None:
            path = folder.parent / "best.yaml"
            notes.append(f"the folder does not record its settings; taken from '{path}'")
    else:
        hyper = Hyperparameters(**finetuned.read_choices(folder))
        values = _prediction_settings(task, hyper)
        assumed = ", ".join(f"{n} {value}" for n, value in values.items() if n not in settings)
        if assumed:
            notes.append(f"the folder does not record its settings; assumed: {assumed}")
    if settings:
        before, hyper = hyper, _with_settings(hyper, settings)
        if record is not None:
            values = {name: getattr(hyper, name) for name in settings}
            notes += [
                f"{name} {value} here, {getattr(before, name)} in training"
                for name, value in values.items()
                if value != getattr(before, name)
            ]
    notes += facts.notes(task, record) if facts else ()
    return PredictionJob(task=task, folder=folder, hyper=hyper, notes=tuple(notes))


def changeable_settings(task: Task) -> list[str]:
    """Return the settings that a prediction of a task may have other values of than its training.

    They shape the data, decode the outputs, or say how much is scored and in what number format.
    Those of the head's variant cannot be changed: they belong to the weights.
    """
    names = [*_prediction_settings(task, Hyperparameters()), "dev_examples", "precision"]
    return [name for name in names if name not in task.facts.variant_fields]


def _with_settings(hyper: Hyperparameters, settings: Mapping[str, Any]) -> Hyperparameters:
    """Return the hyperparameters with other values. Raises InputError for invalid ones."""
    changed, problems = validate_settings(type(hyper), {**hyper.model_dump(), **settings})
    if changed is None:
        texts = [Problem(location=f"--set {name}", text=text) for name, text in problems]
        raise InputError("settings", texts)
    return changed


def _settings_of_best_study(folder: Path, name: str) -> Hyperparameters | None:
    """Return the hyperparameters of the best.yaml that a run wrote beside a winner's folder."""
    path = folder.parent / "best.yaml"
    if folder.name != "best" or kind_of(path) != "a file":
        return None
    best = study.load(path)
    return best.resolve(name).shared if name in best.tasks else None


def _prediction_settings(task: Task, hyper: Hyperparameters) -> dict[str, Any]:
    """Return the hyperparameters that shape a task's data or decode a model's outputs."""
    heads = hyper.read_by_heads()
    return {
        name: getattr(hyper, name)
        for name in _PREDICTION_SETTINGS
        if task.head in heads.get(name, (task.head,))
    }


def _differences(task: Task, of_study: Hyperparameters, of_weights: Hyperparameters) -> str:
    """Return the settings of the weights that differ from those of best.yaml."""
    others = _prediction_settings(task, of_study)
    settings = _prediction_settings(task, of_weights)
    return ", ".join(
        f"{name} {value}, not {others[name]}"
        for name, value in settings.items()
        if others[name] != value
    )
