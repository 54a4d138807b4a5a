"""The identity of trials, and what has changed in a study since they were trained.

A trial's id is a hash of everything that decides its result. If the study, the provenance or the
journal of a run folder was changed after its trials were trained, their ids are no longer the hash
of their settings. This is apart from the search because tables and predictions need it too.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from .. import __version__
from ..errors import InputError, Problem, shorten
from ..recipes import RECIPES
from ..search_space import Choice, Dimension, difference
from ..storage import file_inside, kind_of, read_json
from ..study import Configuration, Study, as_mapping
from ..study.value_limits import check_values
from .events import Phase
from .journal import JOURNAL_NAME as JOURNAL
from .trial_records import Record, Records

STUDY, PROVENANCE = "study.yaml", "provenance.json"
# The hyperparameters of version 0.1.1, from which its ids were computed. Its runs do not list them.
_OF_0_1_1 = """
    BSZ LR EPOCH WARMUP epoch_examples schedule schedule_power schedule_end schedule_offset
    weight_decay decay_exclude adam_betas adam_eps adam_eps_on bias_correction clip layerwise_decay
    layerwise_offset dropout attention_dropout classifier_dropout label_smoothing label_scale
    max_length over_length doc_stride stride_as query_length span_head span_over answerable_by
    answerable_weight beam n_best answer_length null_threshold qa_length segments pooling
    dev_examples evaluations precision fp16_scale fp16_window gradient_checkpointing compile
    micro_batch_tokens agreement stages lambda1 lambda2 view corpus corpus_size subword_ratio
    subword_alpha switch_ratio noise noise_size hard_labels span_padding teacher teacher_select
    teacher_view teacher_lambda1 teacher_LR teacher_EPOCH layers slots cross_layers block length
    places mask_share positions fusion
"""
# Parts of a study that do not affect trained trials: a run may continue with other values.
_FREE = (
    "name",
    "published",
    "deviations",
    "confirm",
    "space",
    "tasks",
    "search.sampler",
    "search.minimize",
    "search.trials",
    "search.hours",
    "search.device_hours",
    "search.start_from",
    "search.keep_predictions",
    "search.keep_weights",
    "search.max_failures",
    "search.hang_after",
    "search.checkpoint_every",
    "search.stop_early.keep",
    # Of own tasks the content of the files is compared, wherever they lie.
    "own.train",
    "own.dev",
    "own.test",
)
# Parts of a study that are hashed into ids, so that ids show whether a change affects a trial.
_SETTINGS = ("fixed", "recipe", "search.stop_early", "search.hold_out")
# Parts of a study whose fields are compared one by one.
_NESTED = ("fixed", "search", "search.stop_early", "confirm", "per_task", "own")


@dataclass(frozen=True, kw_only=True)
class TrialOrigin:
    """The facts that trials were trained with, besides their configurations.

    Attributes:
        content: task -> identity of its data and model; "TASK teach" -> that of its teachers.
        version: version of raysearch.
        study: the study as it was run, as a mapping; None for version 0.1.1, which did not store
            it.
        names: the hyperparameters that ids were computed from; None for all that exist.
    """

    content: Mapping[str, str]
    version: str = __version__
    study: Mapping[str, Any] | None = None
    names: frozenset[str] | None = None


def trial_id(
    study: Study,
    task: str,
    phase: Phase,
    point: Configuration,
    seed: int,
    origin: TrialOrigin,
    start: str | None = None,
) -> str:
    """Return the identity of a trial: a hash of everything that decides its result.

    The rungs of a search are part of it, as they are evaluations and the best of them may count. A
    teacher is shared by studies, so the metric that selects its weights is part of its identity.
    So is the division of the dev splits, if there is one: it decides what is scored.

    Args:
        study: the study.
        task: the task's name.
        phase: search, confirm or teach.
        point: the searched values; of a teacher its full configuration.
        seed: the random seed.
        origin: what the trials were trained with.
        start: id of the trial whose weights it starts from, which is such a hash itself; None for
            the model of the origin.

    Returns:
        12 hexadecimal digits.

    Raises:
        ValueError: a value is invalid for its hyperparameter.
        KeyError: the origin has no data or model for this task.
    """
    hyper = study.resolve(task).hyperparameters(point).model_dump(mode="json")
    if origin.names is not None:
        hyper = {name: value for name, value in hyper.items() if name in origin.names}
    stopping = study.search.stop_early if phase == "search" else None
    content = origin.content[task]
    evaluated: list[float | str] = list(stopping.at) if stopping else []
    if phase == "teach":
        content = origin.content.get(f"{task} {phase}", content)
        evaluated = [study.resolve(task).selection_metric]
    facts = [task, study.recipe, hyper, seed, content, origin.version, evaluated]
    if study.search.hold_out is not None:
        facts.append([study.search.hold_out, study.search.seed])
    if start is not None:
        facts.append({"start": start})
    text = json.dumps(_with_plain_numbers(facts), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def hyperparameters(study: Study) -> list[str]:
    """Return the names of all hyperparameters of a study's recipe, which ids are computed from."""
    return sorted(RECIPES[study.recipe].hyper.model_fields)


def origin_of(folder: Path) -> TrialOrigin | None:
    """Return what the trials of a run folder were trained with, from its provenance.

    Returns:
        None if that is unknown: the provenance is missing, is not a JSON object, or names no data.

    Raises:
        InputError: a part of it has another type.
    """
    path = file_inside(folder, PROVENANCE)
    if kind_of(path) is None:
        return None
    try:
        facts = read_json(path)
    except InputError:
        return None
    return read_origin(folder, facts) if isinstance(facts, dict) and "content" in facts else None


def read_origin(folder: Path, facts: Mapping[str, Any]) -> TrialOrigin:
    """Return the origin that is stored in a provenance.

    Args:
        folder: the run folder.
        facts: the content of its provenance.json.

    Raises:
        InputError: a part of it has another type.
    """
    content, version = facts.get("content"), facts.get("raysearch")
    study, names = facts.get("study"), facts.get("hyperparameters")
    if not _is_text_mapping(content):
        raise _damaged(folder, "content: a mapping of tasks to texts is needed")
    if not isinstance(version, str):
        raise _damaged(folder, "raysearch: the version that trained is needed")
    if not isinstance(study, dict | None) or check_values(study or {})[1]:
        raise _damaged(folder, "study: the study as it was run is needed, a mapping")
    if not (names is None or (isinstance(names, list) and all(isinstance(n, str) for n in names))):
        raise _damaged(folder, "hyperparameters: a list of names is needed")
    if names is None and version.startswith("0.1."):
        names = _OF_0_1_1.split()
        study = {"model": facts["model"]} if isinstance(facts.get("model"), str) else None
    searched = None if names is None else frozenset(names)
    return TrialOrigin(content=content, version=version, study=study, names=searched)


def refuse_others(
    source: str, study: Study, records: Records, origin: TrialOrigin, *, places: bool = True
) -> None:
    """Refuse trials that were trained with another study.

    Args:
        source: the run folder, for the message.
        study: the study now.
        records: the trials.
        origin: what they were trained with.
        places: count a model with another name as another model; False if the contents of the
            models were compared.

    Raises:
        InputError: everything that has changed; each change by name if the run stored its study.
    """
    problems: dict[str, Problem] = {}
    for problem in _problems(study, records, origin, places):
        problems.setdefault(problem.location, problem)  # the first trial stands for the others
    if problems:
        raise InputError(source, problems.values())


def check_identity(folder: Path, study: Study, records: Records) -> list[str]:
    """Refuse a run folder whose trials were trained with another study.

    Args:
        folder: the run folder.
        study: from its study.yaml.
        records: from its journal.

    Returns:
        Notes for a reader: what could not be checked, and another version of raysearch.

    Raises:
        InputError: everything that has changed, see `refuse_others`.
    """
    origin = origin_of(folder)
    if origin is None and records.trials:
        missing = f"{PROVENANCE} is missing or damaged"
        return [f"{missing}: whether the trials fit {STUDY} was not checked."]
    if origin is None:
        return []
    refuse_others(str(folder), study, records, origin)
    if origin.version != __version__:
        return [f"Trained by raysearch {origin.version}; this is {__version__}."]
    return []


def _problems(
    study: Study, records: Records, origin: TrialOrigin, places: bool
) -> Iterator[Problem]:
    """Yield everything that shows that trials were trained with another study."""
    trials = list(records.trials.values())
    unknown = dict.fromkeys(r.task for r in trials if r.task not in study.tasks)
    new_tasks = [name for name in study.tasks if name not in origin.content]
    if unknown:
        text = f"has trials of {shorten(', '.join(unknown))}, which is none of the study's tasks"
        yield Problem(location=JOURNAL, text=text)
    if new_tasks:
        text = f"{', '.join(new_tasks)} was not part of the run: a study of its own would do"
        yield Problem(location="tasks", text=text)
    if unknown or new_tasks:
        return
    mismatched = [record for record in trials if not _has_matching_id(study, record, origin)]
    changes = dict(_changes(origin.study, study)) if origin.study else {}
    free = _FREE if places else (*_FREE, "model")
    changes = {path: text for path, text in changes.items() if not _is_within(path, free)}
    settings = {path for path in changes if _is_within(path, _SETTINGS)}
    for path, text in changes.items():
        if mismatched or path not in settings:
            yield Problem(location=path, text=text)
    if mismatched and not settings:
        text = (
            f"{len(mismatched)} of {len(trials)} trials do not follow from it, {mismatched[0].id}"
            f" among them: {STUDY}, {PROVENANCE} or {JOURNAL} was changed after they were trained\n"
            "put back what they were; another study needs a run of its own"
        )
        yield Problem(location=STUDY, text=text)
    for name in study.tasks:
        yield from _space_problems(study, records, name)
        yield from _selection_problems(study, records, name)


def _has_matching_id(study: Study, record: Record, origin: TrialOrigin) -> bool:
    """Return whether a trial's id is the hash of its settings."""
    point, seed = record.configuration, record.seed
    try:
        own = trial_id(study, record.task, record.phase, point, seed, origin, record.start)
        return record.id == own
    except (ValueError, KeyError, TypeError):
        return False


def _space_problems(study: Study, records: Records, task: str) -> Iterator[Problem]:
    """Yield trials that the study's sampler cannot have begun: of other names, values or seeds."""
    space, seed = study.resolve(task).space, study.search.seed
    for record in records.of(task):
        point, trained = record.configuration, f"trial {record.id} was trained"
        if record.phase == "teach":
            continue
        if record.phase == "search" and record.seed != seed:
            text = f"was {record.seed} when the trials were trained, is {seed} now"
            yield Problem(location="search.seed", text=text)
        if difference(space, point):
            before, now = (", ".join(sorted(names)) or "nothing" for names in (point, space))
            text = f"{trained} in a space of {before}; here it is of {now}"
            yield Problem(location=f"space of {task}", text=text)
            continue
        for name, value in point.items():
            if not contains_value(space[name], value):
                text = f"{trained} with {name} {shorten(json.dumps(value))}, which is outside"
                yield Problem(location=f"space.{name}", text=f"{text}: a space may only grow")


def _selection_problems(study: Study, records: Records, task: str) -> Iterator[Problem]:
    """Yield trials whose score is not of the evaluation or the dev split that the study selects."""
    select, selector = study.search.select, study.resolve(task).selection_metric
    for record in records.of(task):
        if record.phase == "teach" or record.status != "finished":
            continue
        scores = record.scores_at(select)
        if scores and selector not in scores:
            text = f"trial {record.id} was not scored by {selector.removeprefix('dev.')}"
            part = selector.partition(".")[0]
            other_part = not any(name.startswith(f"{part}.") for name in scores)
            location = "search.hold_out" if other_part else "search.select_on"
            yield Problem(location=location, text=text)
        elif scores and scores[selector] != record.score:
            text = f"the score of trial {record.id} is not that of its {select} evaluation"
            yield Problem(location="search.select", text=text)


def contains_value(dimension: Dimension, value: Any) -> bool:
    """Return whether a dimension has a value, in the form in which a journal stores it.

    JSON has lists for tuples, and 3.0 may be stored as 3.
    """
    if isinstance(dimension, Choice):
        return canonical(value) in map(canonical, dimension.choice)
    return not isinstance(value, bool) and value in dimension


def _changes(before: Mapping[str, Any], study: Study) -> Iterator[tuple[str, str]]:
    """Yield every changed part of a study: its path, and what it was and is."""
    old, new = dict(_parts(before)), dict(_parts(as_mapping(study)))
    is_full = "tasks" in before  # version 0.1.1 stored the model only
    for path in dict.fromkeys((*old, *(new if is_full else ()))):
        was, is_now = (canonical(parts[path]) if path in parts else "" for parts in (old, new))
        if was != is_now:
            was, is_now = shorten(was) or "not set", shorten(is_now) or "not set"
            yield path, f"was {was} when the trials were trained, is {is_now} now"


def _parts(raw: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the parts of a study with their paths.

    The parts of _NESTED, of each task in `per_task` and of each own task are yielded field by
    field.
    """
    for name, value in raw.items():
        path = f"{prefix}{name}"
        is_nested = path in _NESTED or (path.startswith("own.") and path.count(".") == 1)
        if path.startswith("per_task."):
            is_nested = path.count(".") == 1 or path.endswith(".fixed")
        if isinstance(value, Mapping) and value and is_nested:
            yield from _parts(value, f"{path}.")
        else:
            yield path, value


def _is_within(path: str, parts: Iterable[str]) -> bool:
    """Return whether a path is one of these parts or inside one, also in `per_task` and `own`."""
    if path.startswith("per_task."):
        path = path.split(".", 2)[-1]
    elif path.startswith("own."):
        path = f"own.{path.split('.', 2)[-1]}"
    return any(path == part or path.startswith(f"{part}.") for part in parts)


def canonical(value: Any) -> str:
    """Return a text that is equal for equal values, in whatever form a journal stores them."""
    return json.dumps(_with_plain_numbers(value), sort_keys=True)


def _with_plain_numbers(value: Any) -> Any:
    """Return a value with whole floats as integers: EPOCH 3 and EPOCH 3.0 are the same trial."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _with_plain_numbers(x) for name, x in value.items()}
    return [_with_plain_numbers(x) for x in value] if isinstance(value, list | tuple) else value


def _is_text_mapping(value: Any) -> TypeGuard[dict[str, str]]:
    """Return whether a value of JSON is an object with texts only."""
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _damaged(folder: Path, text: str) -> InputError:
    text = f"damaged, {text}; restore it, without it no trial can be told from another study's"
    return InputError(str(folder), [Problem(location=PROVENANCE, text=text)])
