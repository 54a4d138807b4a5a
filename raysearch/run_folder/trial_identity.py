"""Identity of trials: what they were trained with, recomputed, and what has changed since.

A trial's id is a hash of everything that decides its result. A run folder whose study, provenance
or journal was changed after its trials were trained has ids that no longer follow from it. It
stands apart from the search, since a table and a prediction have to know it too."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import InputError, Problem, shorten
from ..recipes import RECIPES
from ..search_space import Dimension
from ..storage import file_inside, kind_of, read_json
from ..study import Configuration, Study, as_mapping
from ..study.value_limits import check_values
from .journal import JOURNAL_NAME as JOURNAL
from .trial_records import Phase, Record, Records

STUDY, PROVENANCE = "study.yaml", "provenance.json"
# The hyperparameters of 0.1.1: its runs do not list them, and its ids were made of no others.
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
# Parts of a study that change no trial that was trained: a run goes on with others.
_FREE = (
    "name", "published", "confirm", "space", "tasks", "search.sampler", "search.trials",
    "search.hours", "search.start_from", "search.max_failures", "search.stop_early.keep",
)  # fmt: skip
_SETTINGS = ("fixed", "recipe", "search.stop_early")  # of these an id tells whether they count
_NESTED = ("fixed", "search", "search.stop_early", "confirm", "per_task")


@dataclass(frozen=True, kw_only=True)
class TrialOrigin:
    """What trials were trained with, besides their configurations.

    Attributes:
        content: task -> identity of its data and model; "TASK teach" -> that of its teachers.
        version: of raysearch.
        study: the study as it was run, as a mapping; None of 0.1.1, which did not keep it.
        names: the hyperparameters that made up an id; None for all that there are.
    """

    content: Mapping[str, str]
    version: str = __version__
    study: Mapping[str, Any] | None = None
    names: frozenset[str] | None = None


def trial_id(
    study: Study, task: str, phase: Phase, point: Configuration, seed: int, origin: TrialOrigin
) -> str:
    """Return the identity of a trial: a hash of what decides its result, and of nothing else.

    The rungs of a search are evaluations too, and the best of them may be the one that counts.
    A teacher serves other studies too, so the score that selects its weights counts.

    Args:
        point: of the space; of a teacher its configuration, whole.

    Returns:
        12 hexadecimal digits.

    Raises:
        ValueError: no values of hyperparameters.
        KeyError: of the data or the model of this task nothing is known.
    """
    hyper = study.hyperparameters(task, point).model_dump(mode="json")
    if origin.names is not None:
        hyper = {name: value for name, value in hyper.items() if name in origin.names}
    halving = study.search.stop_early if phase == "search" else None
    content, also = origin.content[task], list(halving.at) if halving else []
    if phase == "teach":
        content = origin.content.get(f"{task} {phase}", content)
        also = [study.selection_metric(task)]
    facts = [task, study.recipe, hyper, seed, content, origin.version, also]
    text = json.dumps(_spelled(facts), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def hyperparameters(study: Study) -> list[str]:
    """Return the names of all hyperparameters of a study's recipe, which make up its ids."""
    return sorted(RECIPES[study.recipe].hyper.model_fields)


def origin_of(folder: Path) -> TrialOrigin | None:
    """Return what a run folder says of how its trials were trained.

    Returns:
        None where that cannot be told: no provenance, one that is no JSON object, or that names no
        data.

    Raises:
        InputError: a part of it that has another type.
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
    """Return the origin that a provenance tells. Raises InputError where a part has another type.

    Args:
        folder: the run folder.
        facts: the content of its provenance.json.
    """
    content, version = facts.get("content"), facts.get("raysearch")
    study, names = facts.get("study"), facts.get("hyperparameters")
    if not _is_texts(content):
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
    return TrialOrigin(
        content=content, version=version, study=study,
        names=None if names is None else frozenset(names),
    )  # fmt: skip


def refuse_others(
    source: str, study: Study, records: Records, origin: TrialOrigin, *, places: bool = True
) -> None:
    """Refuse trials that were trained with another study than the one that is at hand.

    Args:
        source: the run folder.
        study: from its study.yaml.
        records: from its journal.
        places: whether a model at another place is another model; no where its content was
            compared.

    Raises:
        InputError: everything that has changed, by name where the run kept its study.
    """
    problems: dict[str, Problem] = {}
    for problem in _problems(study, records, origin, places):
        problems.setdefault(problem.location, problem)  # of many trials the first tells
    if problems:
        raise InputError(source, problems.values())


def check_identity(folder: Path, study: Study, records: Records) -> list[str]:
    """Refuse a run folder whose trials were trained with another study.

    Args:
        folder: the run folder.
        study: from its study.yaml.
        records: from its journal.

    Returns:
        What is to be said of where the trials come from.

    Raises:
        InputError: everything that has changed, see `refuse_others`.
    """
    origin = origin_of(folder)
    if origin is None and records.trials:
        missing = f"{PROVENANCE} is missing or damaged"
        return [f"{missing}: that the trials are of {STUDY} was not checked."]
    if origin is None:
        return []
    refuse_others(str(folder), study, records, origin)
    if origin.version != __version__:
        return [f"Trained by raysearch {origin.version}; this is {__version__}."]
    return []


def _problems(
    study: Study, records: Records, origin: TrialOrigin, places: bool
) -> Iterator[Problem]:
    trials = list(records.trials.values())
    strange = dict.fromkeys(r.task for r in trials if r.task not in study.tasks)
    lacking = [name for name in study.tasks if name not in origin.content]
    if strange:
        text = f"has trials of {shorten(', '.join(strange))}, which is none of the study's tasks"
        yield Problem(location=JOURNAL, text=text)
    if lacking:
        text = f"{', '.join(lacking)} was not part of the run: a study of its own would do"
        yield Problem(location="tasks", text=text)
    if strange or lacking:
        return
    wrong = [record for record in trials if not _follows(study, record, origin)]
    changes = dict(_changes(origin.study, study)) if origin.study else {}
    free = _FREE if places else (*_FREE, "model")
    changes = {place: text for place, text in changes.items() if not _begins(place, free)}
    settings = {place for place in changes if _begins(place, _SETTINGS)}
    for place, text in changes.items():
        if wrong or place not in settings:
            yield Problem(location=place, text=text)
    if wrong and not settings:
        text = (
            f"{len(wrong)} of {len(trials)} trials do not follow from it, {wrong[0].id} among them:"
            f" {STUDY}, {PROVENANCE} or {JOURNAL} was changed after they were trained\n"
            "put back what they were; another study needs a run of its own"
        )
        yield Problem(location=STUDY, text=text)
    for name in study.tasks:
        yield from _outside(study, records, name)
        yield from _selected_otherwise(study, records, name)


def _follows(study: Study, record: Record, origin: TrialOrigin) -> bool:
    """Whether a trial's id is that of its settings."""
    point, seed = record.configuration, record.seed
    try:
        return record.id == trial_id(study, record.task, record.phase, point, seed, origin)
    except (ValueError, KeyError, TypeError):
        return False


def _outside(study: Study, records: Records, task: str) -> Iterator[Problem]:
    """Trials that no sampler of the study can have begun: other names, values or seeds."""
    space, seed = study.space_of(task), study.search.seed
    for record in records.of(task):
        point, trained = record.configuration, f"trial {record.id} was trained"
        if record.phase == "teach":
            continue
        if record.phase == "search" and record.seed != seed:
            text = f"was {record.seed} when the trials were trained, is {seed} now"
            yield Problem(location="search.seed", text=text)
        if set(point) != set(space):
            there, here = (", ".join(sorted(names)) or "nothing" for names in (point, space))
            text = f"{trained} in a space of {there}; here it is of {here}"
            yield Problem(location=f"space of {task}", text=text)
            continue
        for name, value in point.items():
            if not contains_value(space[name], value):
                text = f"{trained} with {name} {shorten(json.dumps(value))}, which is outside"
                yield Problem(location=f"space.{name}", text=f"{text}: a space may only grow")


def _selected_otherwise(study: Study, records: Records, task: str) -> Iterator[Problem]:
    """Scores that are not those of the evaluation, or of the dev split, that the study selects."""
    select, selector = study.search.select, study.selection_metric(task)
    for record in records.of(task):
        if record.phase == "teach" or record.status != "finished":
            continue
        scores = getattr(record, select)
        if scores and selector not in scores:
            text = f"trial {record.id} was not scored by {selector.removeprefix('dev.')}"
            yield Problem(location="search.select_on", text=text)
        elif scores and scores[selector] != record.score:
            text = f"the score of trial {record.id} is not that of its {select} evaluation"
            yield Problem(location="search.select", text=text)


def contains_value(dimension: Dimension, value: Any) -> bool:
    """Return whether a dimension has a value as a journal keeps it: without tuples, 3.0 as 3."""
    if dimension.kind == "choice":
        return _text(value) in map(_text, dimension.choice or ())
    low, high = dimension.range
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and low <= value <= high and (dimension.kind != "int" or value == int(value))


def _changes(before: Mapping[str, Any], study: Study) -> Iterator[tuple[str, str]]:
    """Place of a study's part -> what it was and is; of parts that `before` names or may name."""
    whole = "tasks" in before  # 0.1.1 kept the model alone
    now = dict(_parts(as_mapping(study)))
    then = dict(_parts(before))
    for place in dict.fromkeys((*then, *(now if whole else ()))):
        one, other = (_text(part[place]) if place in part else "" for part in (then, now))
        if one != other:
            was, is_now = (shorten(text) or "not set" for text in (one, other))
            yield place, f"was {was} when the trials were trained, is {is_now} now"


def _parts(raw: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """The parts of a study by their places, those of `fixed`, `search` and `per_task` each."""
    for name, value in raw.items():
        path = f"{place}{name}"
        own = path.startswith("per_task.") and (path.count(".") == 1 or path.endswith(".fixed"))
        if isinstance(value, Mapping) and value and (own or path in _NESTED):
            yield from _parts(value, f"{path}.")
        else:
            yield path, value


def _begins(place: str, names: Iterable[str]) -> bool:
    """Whether a place is one of these parts, or lies in it, of the study or of one of its tasks."""
    if place.startswith("per_task."):
        place = place.split(".", 2)[-1]
    return any(place == name or place.startswith(f"{name}.") for name in names)


def _text(value: Any) -> str:
    return json.dumps(_spelled(value), sort_keys=True)


def _spelled(value: Any) -> Any:
    """Numbers in one spelling: EPOCH 3 and EPOCH 3.0 are the same trial."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _spelled(x) for name, x in value.items()}
    return [_spelled(x) for x in value] if isinstance(value, list | tuple) else value


def _is_texts(part: Any) -> bool:
    """Whether a part is a mapping of texts to texts."""
    return isinstance(part, dict) and all(isinstance(value, str) for value in part.values())


def _damaged(folder: Path, text: str) -> InputError:
    text = f"damaged, {text}; restore it, without it no trial can be told from another study's"
    return InputError(str(folder), [Problem(location=PROVENANCE, text=text)])
