"""The facts about sessions, machines, data and models that a run's provenance holds.

It is apart from `opening` because nothing depends on them but what is told to a reader: a part that
is damaged or missing, as in older runs, is empty.
"""

from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..errors import InputError
from ..storage import file_inside, kind_of, read_json
from .opening import PROVENANCE

MAX_TEXT = 4096
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Size = Annotated[int, Field(ge=0, le=10**15)]
Value = Text | float | int | Annotated[list[Text], Field(max_length=1000)]
Facts = Annotated[dict[Text, Value], Field(max_length=50)]


class _Facts(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class SessionFacts(_Facts):
    """What a session was started with."""

    began: Text = ""
    command: Text = ""
    raysearch: Text = ""
    commit: Text | None = None
    packages: Text = ""
    machine: Facts = {}


class SplitFacts(_Facts):
    """What a split holds; see `search.split_facts`."""

    examples: Size
    used: Size
    rows: Size
    language: Text | None = None
    left_out: Text = ""
    labels: dict[Text, Size] = {}
    label_statistics: dict[Text, float] = {}


class Parameters(_Facts):
    """How many parameters a model has, and how many of them are trained."""

    total: Size
    trained: Size


class Duplicates(_Facts):
    """How many examples of a task with own files occur more than once.

    Attributes:
        training: training examples.
        repeated: training examples that repeat an earlier one.
        contradicting: of these, with another label.
        dev: dev split -> its examples.
        in_training: dev split -> its examples that are training examples too.
    """

    training: Size
    repeated: Size = 0
    contradicting: Size = 0
    dev: dict[Text, Size] = {}
    in_training: dict[Text, Size] = {}


class RecordedFacts(_Facts):
    """The facts of a run; what it did not record is empty."""

    raysearch: Text = ""
    commit: Text | None = None
    python: Text = ""
    packages: dict[Text, Text | None] = {}
    machine: Facts = {}
    content: dict[Text, Text] = {}
    lanes: dict[Text, float | Text | None] = {}
    sessions: tuple[SessionFacts, ...] = ()
    machines: dict[Text, Facts] = {}
    nodes: dict[Text, Facts] = {}
    splits: dict[Text, dict[Text, SplitFacts]] = {}
    parameters: dict[Text, Parameters] = {}
    duplicates: dict[Text, Duplicates] = {}


def read_facts(folder: Path) -> tuple[RecordedFacts, list[str]]:
    """Return the facts of a run folder, and a note for each part that cannot be read."""
    path = file_inside(folder, PROVENANCE)
    if kind_of(path) is None:
        return RecordedFacts(), []
    try:
        values = read_json(path)
    except (InputError, OSError):
        return RecordedFacts(), []  # the check of the trials' identity tells it
    found: dict[str, Any] = {}
    notes = []
    for name, field in RecordedFacts.model_fields.items():
        if not isinstance(values, dict) or name not in values:
            continue
        try:
            checks: TypeAdapter[Any] = TypeAdapter(cast(Any, field.annotation))
            found[name] = checks.validate_python(values[name])
        except ValidationError:
            notes.append(f"{PROVENANCE}: {name} is damaged; the statement leaves it out.")
    return RecordedFacts(**found), notes
