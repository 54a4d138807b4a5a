"""The record of a training, kept in the field `raysearch` of the trained folder's config.json.

It is in config.json because transformers keeps a configuration's unknown fields: the record stays
with the weights when someone loads and saves them, or uploads them to a hub. It is apart because it
reads foreign files: a record has the right types and bounds, or is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any

from ..errors import InputError, Problem, shorten, unknown_name
from ..recipes import RECIPES, Hyperparameters, validate_settings
from ..tasks import TASKS, Task

FIELD = "raysearch"
# The only settings that version 0.1.1 wrote, and without a record.
LEGACY_SETTINGS = frozenset({"pooling", "span_head"})


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """A description of how a folder's weights were trained.

    Attributes:
        version: of the raysearch that wrote it.
        task: the task's name.
        model: what the training began from.
        hyper: every hyperparameter; prediction uses those that shape data and decoding.
        tokenizer_limit: the most tokens that the model and its tokenizer take, whatever length it
            was trained with; None if unknown.
        trial: facts of the trial: `id`, `phase`, `seed`, `status`, `metric`, `score` (a fraction,
            on dev); and of the study: `seeds`, `report`, `keep_weights` and `hold_out`, the share
            of dev that the score is of. Unknown ones are absent.
    """

    version: str
    task: str
    model: str
    hyper: Hyperparameters
    tokenizer_limit: int | None = None
    trial: Mapping[str, Any] = field(default_factory=dict)

    @property
    def division_note(self) -> str:
        """Return a note if trials were compared on a part of dev; else, or if unknown, ""."""
        if self.trial.get("hold_out") is None:
            return ""
        share = f"search.hold_out {self.trial['hold_out']:g}"
        return f"trials were compared on a part of dev ({share}); this is all of it"

    @property
    def place_among_seeds(self) -> str:
        """Return what its seed is among those of its configuration, as far as it was known.

        A run that keeps the weights of several seeds writes them before it knows the best one.
        """
        return "one" if self.trial.get("keep_weights") == "confirmed" else "the best"

    @property
    def degenerate(self) -> bool:
        """Return whether the training ended without having learned anything."""
        return self.trial.get("status") == "degenerate"

    def encode(self) -> dict[str, Any]:
        """Return the record as values that JSON can hold."""
        recipes = [name for name, recipe in RECIPES.items() if recipe.hyper is type(self.hyper)]
        return {
            "version": self.version,
            "task": self.task,
            "model": self.model,
            "recipe": recipes[0],
            "settings": self.hyper.model_dump(mode="json"),
            "tokenizer_limit": self.tokenizer_limit,
            "trial": dict(self.trial),
        }

    def card(self) -> str:
        """Return a README of the weights, as Markdown."""
        trial, lines = self.trial, [f"# {self.task}, fine-tuned from {self.model}", ""]
        if trial.get("score") is not None:
            metric, score = trial.get("metric"), 100 * trial["score"]
            lines.append(f"Seed {trial.get('seed')} scored {metric} {score:.2f}, in percent.")
        if len(trial.get("seeds") or ()) > 1 and trial.get("phase") == "confirm":
            count, report = len(trial["seeds"]), trial.get("report")
            text = f"It is {self.place_among_seeds} of {count} seeds"
            lines.append(f"{text}; the run's table gives their {report}.")
        if self.degenerate:
            lines.append("WARNING: this training ended with nothing learned.")
        lines += [
            f"Its inputs have at most {self.hyper.max_length} tokens.",
            f"All settings are in config.json, field `{FIELD}`; `raysearch predict` reads them.",
            f"Written by raysearch {self.version}.",
        ]
        return "\n".join(lines) + "\n"


def decode_record(value: Any, source: str) -> TrainingRecord | None:
    """Return the record in a configuration's field; None if it has none, as in version 0.1.1.

    Args:
        value: the field's value in config.json.
        source: the folder, for messages.

    Raises:
        InputError: a value of a wrong type, out of bounds or of an unknown name; all are listed.
    """
    if value is None or (isinstance(value, Mapping) and set(value) <= LEGACY_SETTINGS):
        legacy_choices(value, source)
        return None
    if not isinstance(value, Mapping):
        raise _refusal(source, [("", f"an object is needed, got {shorten(repr(value))}")])
    problems = _type_problems(value)
    if not problems:
        problems = _name_problems(value)
    if not problems:
        problems = _trial_problems(value.get("trial", {}))
    if problems:
        raise _refusal(source, problems)
    return TrainingRecord(
        version=value.get("version", ""),
        task=value["task"],
        model=value.get("model", ""),
        hyper=_decode_hyper(RECIPES[value["recipe"]].hyper, value["settings"], source),
        tokenizer_limit=value.get("tokenizer_limit"),
        trial=dict(value.get("trial", {})),
    )


def legacy_choices(value: Any, source: str) -> dict[str, str]:
    """Return the head's variant in a folder of version 0.1.1: hyperparameter -> value.

    Args:
        value: the field's value in config.json.
        source: the folder, for messages.
    """
    values = value if isinstance(value, Mapping) else {}
    if not set(values) <= LEGACY_SETTINGS:
        return {}
    hyper = _decode_hyper(Hyperparameters, values, source)
    return {name: getattr(hyper, name) for name in values}


def head_choices(config: Any, source: str) -> dict[str, str]:
    """Return the head's variant in a folder of any version: hyperparameter -> value.

    Args:
        config: the folder's transformers configuration.
        source: the folder, for messages.

    Raises:
        InputError: the folder's record is invalid.
    """
    value = getattr(config, FIELD, None)
    record = decode_record(value, source)
    if record is None:
        return legacy_choices(value, source)
    fields = TASKS[record.task].facts.variant_fields
    return {name: getattr(record.hyper, name) for name in fields}


def other_task_note(record: TrainingRecord, task: Task) -> str:
    """Return a note for the user if the weights were trained on another task, else "".

    Args:
        record: of the weights.
        task: what they are to predict.

    Raises:
        InputError: the other task has another kind of output.
    """
    if record.task in (task.name, task.predicted_by):
        return ""
    trained = TASKS[record.task]
    if (trained.facts, trained.outputs) != (task.facts, task.outputs):
        text = f"its weights were trained on {record.task}, which has another head than {task.name}"
        raise InputError("model", [Problem(location="model", text=text)])
    return f"the weights were trained on {record.task}, not on this task"


def _decode_hyper(
    kind: type[Hyperparameters], settings: Mapping[str, Any], source: str
) -> Hyperparameters:
    """Return validated hyperparameters. Raises InputError with every invalid one."""
    hyper, problems = validate_settings(kind, settings)
    if hyper is None:
        raise _refusal(source, [(f"settings.{name}", text) for name, text in problems])
    return hyper


def _type_problems(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the unknown and missing fields of a record, and those of a wrong type."""
    problems = [(n, "no such field of a record") for n in sorted(set(value) - _FIELDS)]
    required = ("task", "recipe", "settings")
    problems += [(name, "is missing") for name in required if name not in value]
    for name in ("version", "task", "model", "recipe"):
        if not isinstance(value.get(name, ""), str):
            problems.append((name, f"a text is needed, got {shorten(repr(value[name]))}"))
    for name in ("settings", "trial"):
        if not isinstance(value.get(name, {}), Mapping):
            problems.append((name, f"an object is needed, got {shorten(repr(value[name]))}"))
    limit = value.get("tokenizer_limit")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        problems.append(("tokenizer_limit", f"a count is needed, got {shorten(repr(limit))}"))
    return problems


def _name_problems(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the names of a record that no task or recipe has."""
    problems = []
    tables: dict[str, Mapping[str, Any]] = {"task": TASKS, "recipe": RECIPES}
    for name, table in tables.items():
        if value[name] not in table:
            problems.append((name, unknown_name(name, value[name], table)))
    return problems


def _trial_problems(trial: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the facts of a trial that have a wrong type."""
    problems = []
    for name, kind in _TRIAL.items():
        value = trial.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kind)):
            problems.append((f"trial.{name}", f"of a wrong type: {shorten(repr(value))}"))
    return problems


def _refusal(source: str, problems: list[tuple[str, str]]) -> InputError:
    """Return an error for the first of the problems, each a field of the record and a text."""
    prefix = f"'{source}', config.json: {FIELD}"
    return InputError(
        "model",
        [
            Problem(location="model", text=f"{prefix}{'.' * bool(name)}{name}: {text}")
            for name, text in problems[:20]
        ],
    )


_FIELDS = {"version", "task", "model", "recipe", "settings", "tokenizer_limit", "trial"}
_TRIAL: dict[str, type | UnionType] = {
    "id": str,
    "phase": str,
    "seed": int,
    "status": str,
    "metric": str,
    "score": int | float,
    "seeds": list,
    "report": str,
    "hold_out": int | float,
    "keep_weights": str,
}
