"""The rows that a head that chooses was trained on, from the arguments of fairseq's training.

It is apart because it knows neither tensors nor models: only fairseq's tasks and the settings of
raysearch's.

Sources: fairseq/tasks/sentence_ranking.py and examples/roberta/commonsense_qa.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import InputError, Problem, unknown_name
from ...recipes import Hyperparameters, validate_settings
from ...tasks import TASKS

_BEGIN, _SEPARATOR = 0, 2  # ids of <s> and </s> in fairseq's dictionaries


@dataclass(frozen=True, kw_only=True)
class RankingRows:
    """How a checkpoint's rows were made.

    Attributes:
        settings: the settings of raysearch that make the same rows, as far as the arguments of
            training tell them: `max_length`, `qa_length`, `segments`.
        notes: what a user of the model should know of them.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def ranking_rows(arguments: Mapping[str, Any]) -> RankingRows:
    """Return the rows that training has read.

    Args:
        arguments: the plain values of the arguments of training.
    """
    if arguments.get("task") == "commonsense_qa":
        text = "trained on rows '<s> Q: question </s> A: option </s>', other ones than race tasks'"
        return RankingRows(settings=_lengths(arguments, "max_length"), notes=(text,))
    if arguments.get("task") != "sentence_ranking":
        text = "the arguments of training do not tell what rows the head was trained on"
        return RankingRows(notes=(text,))
    settings = {"segments": "qa_first", **_lengths(arguments, "max_length", "qa_length")}
    row = "<s> question and option </s></s> passage </s>"
    notes = [f"trained on rows '{row}', as race tasks have them with segments qa_first"]
    for name, token, text in (
        ("init_token", _BEGIN, "the first token"),
        ("separator_token", _SEPARATOR, "the token before the passage"),
    ):
        if (used := arguments.get(name)) != token:
            was = "none" if used is None else f"the one of id {used!r:.20}"
            notes.append(
                f"but {text} was {was} in training; in race tasks it is that of id {token}"
            )
    return RankingRows(settings=settings, notes=tuple(notes))


def _lengths(arguments: Mapping[str, Any], *names: str) -> dict[str, int]:
    """Return those of raysearch's limits in tokens that the arguments tell."""
    sources = {"max_length": "max_positions", "qa_length": "max_option_length"}
    values = {name: arguments.get(sources[name]) for name in names}
    settings = {n: x for n, x in values.items() if isinstance(x, int) and not isinstance(x, bool)}
    valid, _ = validate_settings(Hyperparameters, settings)
    return settings if valid is not None else {}


def record_of(name: str, rows: RankingRows, version: str, base_model: str | None) -> dict[str, Any]:
    """Return the record that prediction needs, see `training_record`; it has what is known alone.

    Args:
        name: the task that the user says the head was trained on.
        rows: of `ranking_rows`.
        version: of raysearch.
        base_model: what the training began from, if the user says it.
    """
    return {
        "version": version,
        "task": name,
        "model": base_model or "",
        "recipe": "finetune",
        "settings": dict(rows.settings),
    }


def check_task(name: str) -> None:
    """Raise InputError unless a task of this name is answered by a head that chooses."""
    able = [task.name for task in TASKS.values() if task.facts.groups_options]
    text = ""
    if name not in TASKS:
        text = unknown_name("task", name, TASKS)
    elif name not in able:
        text = f"{name} has labels; a task of options is needed: {', '.join(able)}"
    if text:
        raise InputError("convert", [Problem(location="--task", text=text)])
