"""What a folder of weights says of the training that made it, in config.json's field `raysearch`.

There, and in no file beside, because transformers keeps a configuration's unknown fields: the
record stays with the weights when someone loads and saves them, or puts them on a hub. It is read
back as the words of a stranger: typed and within bounds, or refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError, Problem, shorten, unknown_name
from ..recipes import RECIPES, Hyperparameters, validate_settings
from ..tasks import TASKS, Task

FIELD = "raysearch"
CHOICES = {
    "pooling": Hyperparameters,
    "span_head": Hyperparameters,
}  # all that version 0.1.1 wrote, without a record


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """How a folder's weights came about.

    Attributes:
        version: of raysearch, that wrote it.
        task: the task's name.
        model: what the training began from.
        hyper: every hyperparameter, typed; those that shape data and decoding hold for prediction.
        tokenizer_limit: the most tokens that the model and its tokenizer take, whatever length
            it was trained with; None where that is not told.
        trial: of the trial `id`, `phase`, `seed`, `status`, `metric`, `score` (a fraction, on dev),
            and of the study `seeds` and `report`, as far as they are told.
    """

    version: str
    task: str
    model: str
    hyper: Hyperparameters
    tokenizer_limit: int | None = None
    trial: Mapping[str, Any] = field(default_factory=dict)

    @property
    def degenerate(self) -> bool:
        """Whether the training ended without having learned anything."""
        return self.trial.get("status") == "degenerate"

    def encode(self) -> dict[str, Any]:
        """Return the record as plain values of JSON."""
        recipes = [name for name, one in RECIPES.items() if one.hyper is type(self.hyper)]
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
        """Return what a reader wants to know of the weights, as Markdown."""
        trial, lines = self.trial, [f"# {self.task}, fine-tuned from {self.model}", ""]
        if trial.get("score") is not None:
            metric, score = trial.get("metric"), 100 * trial["score"]
            lines.append(f"Seed {trial.get('seed')} scored {metric} {score:.2f}, in percent.")
        if len(trial.get("seeds") or ()) > 1 and trial.get("phase") == "confirm":
            count, over = len(trial["seeds"]), trial.get("report")
            lines.append(f"It is the best of {count} seeds; the run's table gives their {over}.")
        if self.degenerate:
            lines.append("WARNING: this training ended with nothing learned.")
        lines += [
            f"Its inputs have at most {self.hyper.max_length} tokens.",
            f"All settings are in config.json, field `{FIELD}`; `raysearch predict` reads them.",
            f"Written by raysearch {self.version}.",
        ]
        return "\n".join(lines) + "\n"


def decode_record(value: Any, source: str) -> TrainingRecord | None:
    """Return the record of a configuration's field; None where it has none, as in version 0.1.1.

    Args:
        value: what config.json says.
        source: the folder, for messages.

    Raises:
        InputError: every value of a wrong type, beyond its bounds or of an unknown name.
    """
    if value is None or (isinstance(value, Mapping) and not set(value) - set(CHOICES)):
        legacy_choices(value, source)
        return None
    if not isinstance(value, Mapping):
        raise _refused(source, [("", f"an object is needed, got {shorten(repr(value))}")])
    problems = [(n, "no such field of a record") for n in sorted(set(value) - _FIELDS)]
    needed = ("task", "recipe", "settings")
    problems += [(name, "is missing") for name in needed if name not in value]
    for name in ("version", "task", "model", "recipe"):
        if not isinstance(value.get(name, ""), str):
            problems.append((name, f"a text is needed, got {shorten(repr(value[name]))}"))
    for name in ("settings", "trial"):
        if not isinstance(value.get(name, {}), Mapping):
            problems.append((name, f"an object is needed, got {shorten(repr(value[name]))}"))
    limit = value.get("tokenizer_limit")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        problems.append(("tokenizer_limit", f"a count is needed, got {shorten(repr(limit))}"))
    if not problems:
        problems += _name_problems(value)
    if not problems:
        problems += _trial_problems(value.get("trial", {}))
    if problems:
        raise _refused(source, problems)
    return TrainingRecord(
        version=value.get("version", ""),
        task=value["task"],
        model=value.get("model", ""),
        hyper=_hyper(RECIPES[value["recipe"]].hyper, value["settings"], source),
        tokenizer_limit=limit,
        trial=dict(value.get("trial", {})),
    )


def legacy_choices(value: Any, source: str) -> dict[str, str]:
    """Return which of a task's heads a folder of version 0.1.1 holds: the whole of its field."""
    values = value if isinstance(value, Mapping) else {}
    if not set(values) <= set(CHOICES):
        return {}
    hyper = _hyper(Hyperparameters, values, source)
    return {name: getattr(hyper, name) for name in values}


def head_choices(config: Any, source: str) -> dict[str, str]:
    """Return which of a task's heads a folder says that it holds, of either version."""
    value = getattr(config, FIELD, None)
    record = decode_record(value, source)
    if record is None:
        return legacy_choices(value, source)
    names = {"tag": ("pooling",), "span": ("span_head",)}.get(TASKS[record.task].head, ())
    return {name: getattr(record.hyper, name) for name in names}


def of_other_task(record: TrainingRecord, task: Task) -> str:
    """Return what to tell where the weights were trained on another task; "" where they were not.

    Raises:
        InputError: that task has another kind of output.
    """
    if record.task in (task.name, task.predicted_by):
        return ""
    trained = TASKS[record.task]
    if (trained.head, trained.outputs) != (task.head, task.outputs):
        text = f"its weights were trained on {record.task}, which has another head than {task.name}"
        raise InputError("model", [Problem(location="model", text=text)])
    return f"the weights were trained on {record.task}, not on this task"


def _hyper(
    kind: type[Hyperparameters], settings: Mapping[str, Any], source: str
) -> Hyperparameters:
    """Return typed hyperparameters. Raises InputError with every one that is wrong."""
    hyper, problems = validate_settings(kind, settings)
    if hyper is None:
        raise _refused(source, [(f"settings.{name}", text) for name, text in problems])
    return hyper


def _name_problems(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    problems = []
    for name, table in (("task", TASKS), ("recipe", RECIPES)):
        if value[name] not in table:
            problems.append((name, unknown_name(name, value[name], table)))
    return problems


def _trial_problems(trial: Mapping[str, Any]) -> list[tuple[str, str]]:
    problems = []
    for name, kind in _TRIAL.items():
        own = trial.get(name)
        if own is not None and (isinstance(own, bool) or not isinstance(own, kind)):
            problems.append((f"trial.{name}", f"of a wrong type: {shorten(repr(own))}"))
    return problems


def _refused(source: str, problems: list[tuple[str, str]]) -> InputError:
    told = [
        Problem(
            location="model", text=f"'{source}', config.json: {FIELD}{'.' * bool(n)}{n}: {text}"
        )
        for n, text in problems[:20]
    ]
    return InputError("model", told)


_FIELDS = {"version", "task", "model", "recipe", "settings", "tokenizer_limit", "trial"}
_TRIAL = {
    "id": str, "phase": str, "seed": int, "status": str, "metric": str, "score": int | float,
    "seeds": list, "report": str,
}  # fmt: skip
