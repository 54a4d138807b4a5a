"""The model card of a converted folder: a README.md with metadata that the Hub reads.

It is apart from `results.model_card`, which describes what a run has trained and measured. Of a
checkpoint only the file itself is known: the card names no data, no score and no license.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ... import __version__
from ...errors import shorten
from ...results.table_formats import escape_markdown
from .parameter_names import RELATIVE

# Kind of head -> the Hub's name of the task, transformers' class that loads it, and what it does.
_HEADS: dict[str | None, tuple[str, str, str]] = {
    None: ("feature-extraction", "AutoModel", "none: the encoder alone"),
    "masked": ("fill-mask", "AutoModelForMaskedLM", "predicts masked words"),
    "classify": ("text-classification", "AutoModelForSequenceClassification", "classifies texts"),
    "choose": ("multiple-choice", "AutoModelForMultipleChoice", "chooses among options"),
    "span": ("question-answering", "AutoModelForQuestionAnswering", "finds answers in a text"),
}
_OWN = (*RELATIVE, "cross-thought")  # families that transformers lacks
_TOLD = ("arch", "task", "criterion")  # arguments of training that the card repeats


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """What the card of a converted folder says.

    Attributes:
        checkpoint: the file that was converted.
        family: one of `parameter_names.FAMILIES`.
        model: name of the class that loads the folder.
        parameters: number of its parameters.
        head: name and kind of its head; None for the encoder alone.
        settings: the plain arguments of training.
        task: the task that the user says the head was trained on.
        base_model: the hub name of what the training began from, if the user says it.
        licence: the Hub's name of a licence, if the user says it.
        notes: what a user should know of the inputs.
    """

    checkpoint: Path
    family: str
    model: str
    parameters: int
    head: tuple[str, str] | None
    settings: Mapping[str, Any]
    task: str | None = None
    base_model: str | None = None
    licence: str | None = None
    notes: Sequence[str] = field(default=())


def card(facts: CardFacts) -> str:
    """Return the card, as Markdown with YAML metadata; the checkpoint is read for its hash."""
    from huggingface_hub import ModelCardData

    pipeline, _, _ = _HEADS[facts.head[1] if facts.head else None]
    values: dict[str, Any] = {
        "base_model": facts.base_model,
        "library_name": "transformers",
        "license": facts.licence,
        "pipeline_tag": pipeline,
        "tags": ["raysearch", facts.family],
    }
    data = ModelCardData(**{name: value for name, value in values.items() if value})
    lines = [escape_markdown(line) for line in _lines(facts)]
    text = "\n".join([*lines, "", *_usage(facts)])
    return f"---\n{data.to_yaml()}\n---\n\n{text}\n"


def _lines(facts: CardFacts) -> list[str]:
    """Return the lines of the card that describe the model."""
    with facts.checkpoint.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = facts.checkpoint.stat().st_size
    kind = facts.head[1] if facts.head else None
    head = _HEADS[kind][2] + (
        f" ('{shorten(facts.head[0])}' in the checkpoint)" if facts.head else ""
    )
    told = [f"{n} '{shorten(str(facts.settings[n]))}'" for n in _TOLD if n in facts.settings]
    licence = "- License: not given. It depends on the checkpoint and the data of its training; add"
    lines = [
        f"# {facts.model}, converted from {shorten(facts.checkpoint.name)}",
        "",
        f"- Converted from `{shorten(facts.checkpoint.name)}` ({size:,} bytes, SHA-256 {digest})"
        f" by raysearch {__version__}. The values are the checkpoint's, as float32; nothing was"
        " trained.",
        f"- Base model: {facts.base_model or 'not told; the checkpoint does not name it'}.",
        f"- Model: {facts.model}, family {facts.family}, {facts.parameters:,} parameters.",
        f"- Head: {head}.",
        f"- Training, as the checkpoint's arguments say: {', '.join(told) or 'nothing'}."
        " The data are not recorded in it.",
        *(f"- Inputs: {note}." for note in facts.notes),
        "- Scores: none were measured at the conversion.",
    ]
    if facts.task:
        lines.insert(7, f"- Task, as the converter was told: {facts.task}.")
    if facts.licence:
        return [*lines, f"- License: {facts.licence}, as the converter was told."]
    return [*lines, f"{licence} `license` to the metadata before you publish it."]


def _usage(facts: CardFacts) -> list[str]:
    """Return how to load the model with transformers and with raysearch."""
    kind = facts.head[1] if facts.head else None
    name = _HEADS[kind][1]
    task = facts.task or "TASK"
    commands = ["raysearch run STUDY.yaml --model FOLDER --data DATA"]
    if kind not in (None, "masked"):
        commands.append(f"raysearch evaluate FOLDER --tasks {task} --data DATA")
    return [
        "With transformers:",
        "",
        "```python",
        *(["import raysearch  # its model class"] if facts.family in _OWN else []),
        f"from transformers import AutoTokenizer, {name}",
        "",
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
        f'model = {name}.from_pretrained("FOLDER")',
        "```",
        "",
        "With raysearch:",
        "",
        "```console",
        *(f"$ {command}" for command in commands),
        "```",
    ]
