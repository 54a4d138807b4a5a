"""The block `own` of a study: tasks on a user's own files.

It is apart from the schema because its checks need the facts of heads, and because the tasks that a
file defines are known before the rest of the file is a study.
"""

import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)

from ..errors import Problem, unknown_name
from ..search_space import Number
from ..tasks import TASKS, Head, Task
from ..tasks.own_forms import (
    BENCHMARK,
    DEFAULT_HEAD,
    FURTHER_FIELDS,
    OWN_FORMS,
    WITHOUT_ANSWER,
    is_language,
    make_task,
)
from .error_locations import mapping_or_empty, names_one_of

PREFIX = f"{BENCHMARK}/"
MAX_FILES = 1000  # of a split
MAX_LABELS = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_SPLIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
# Two splits that scores and predictions would not tell apart.
_TAKEN = frozenset({"train", "test", "mean", "gap"})


# Fields without which the other ones of an entry mean the same.
_DISPENSABLE = frozenset({"hold_out", "labels", "id", "group", "metrics", "seed", "test"})


def _texts(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _by_name(value: Any) -> Any:
    """Return files as a mapping: "" -> the files of a split without a name."""
    if isinstance(value, Mapping):
        return {key: _texts(files) for key, files in value.items()}
    return {"": _texts(value)} if value else {}


def _as_written(files: Mapping[str, tuple[str, ...]]) -> Any:
    """Return files in the shortest form that `_by_name` reads as the same."""
    short = {key: paths[0] if len(paths) == 1 else list(paths) for key, paths in files.items()}
    return short[""] if set(short) == {""} else short


def _label_texts(value: Any) -> Any:
    """Return labels as texts; 0 and 1 may be written without quotes, yes and no may not."""
    if not isinstance(value, list | tuple):
        return value
    for label in value:
        if isinstance(label, bool):
            text = "put yes, no, on, off, true and false in quotes: YAML reads truth values"
            raise ValueError(text)
    return tuple(str(x) if isinstance(x, int) else x for x in value)


def _own_head(value: Any) -> Any:
    if isinstance(value, str) and value not in OWN_FORMS:
        raise ValueError(unknown_name("head", value, OWN_FORMS))
    return value


def _bounds(value: Any) -> Any:
    if isinstance(value, tuple | list) and len(value) == 2 and value[0] >= value[1]:
        raise ValueError("the lowest label and the highest one are needed, in this order")
    return value


Name = Annotated[str, Field(min_length=1, max_length=1000)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_texts), Field(max_length=MAX_FILES)]
Files = Annotated[
    dict[str, Names],
    BeforeValidator(_by_name),
    PlainSerializer(_as_written),
    Field(max_length=200),
]


class OwnTask(BaseModel):
    """A task on own files. `raysearch.Task` also takes tables of pandas and pyarrow as files."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", revalidate_instances="subclass-instances"
    )

    head: Annotated[Head, BeforeValidator(_own_head)] = Field(
        DEFAULT_HEAD, description="classify, regress, choose, tag or span"
    )
    like: str = Field("", description="a task whose format, labels and metrics the files have")
    train: Files = Field({}, description="files to train on, under the data folder")
    dev: Files = Field({}, description="files to score on; several by name or language")
    test: Files = Field({}, description="files to predict; several by name or language")
    text: Names = Field((), description="columns that the model reads, in order")
    label: str = Field("", description="column of the label")
    labels: Annotated[tuple[Name, ...], BeforeValidator(_label_texts)] = Field(
        (), max_length=MAX_LABELS, description="names of the classes; empty: those of the data"
    )
    options: Names = Field((), description="column with a list of options, or a column for each")
    id: str = Field("", description="column of the id; empty: rows are counted from 0")
    group: str = Field("", description="column whose equal values hold_out keeps together")
    metrics: Names = Field((), description="metrics; the first one selects")
    bounds: Annotated[tuple[Number, Number] | None, BeforeValidator(_bounds)] = Field(
        None, description="the lowest and the highest number of a regression"
    )
    unanswerable: bool = Field(False, strict=True, description="questions may have no answer")
    hold_out: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None, description="share of the training rows that is dev, where no dev is named"
    )
    seed: int = Field(1, ge=0, lt=2**31, description="of the division by hold_out")

    @property
    def files(self) -> list[str]:
        """The files of all splits."""
        kinds = (self.train, self.dev, self.test)
        return [file for kind in kinds for files in kind.values() for file in files]

    def task(self, name: str) -> Task:
        """Return the task.

        Args:
            name: "own/" and the name of the entry.
        """
        task = make_task(name, self, TASKS[self.like] if self.like else None)
        definition = self._without_folders().model_dump_json(exclude_defaults=True)
        return replace(task, definition=definition)

    def _without_folders(self) -> Self:
        """Return the entry as others may see it: of files outside the data folder the names."""
        fields = {}
        for kind in ("train", "dev", "test"):
            files: dict[str, tuple[str, ...]] = getattr(self, kind)
            fields[kind] = {
                key: tuple(
                    dict.fromkeys(PurePath(p).name if p.startswith("/") else p for p in paths)
                )
                for key, paths in files.items()
            }
        return self.model_copy(update=fields)


def defined_task(name: str, entry: Any) -> tuple[Task | None, list[Problem]]:
    """Return the task of an entry that some file holds, else its problems.

    Args:
        name: "own/" and the name of the entry.
        entry: a value of JSON.
    """
    key = name.removeprefix(PREFIX)
    if not name.startswith(PREFIX) or not isinstance(entry, Mapping):
        return None, [Problem(location=f"own.{key}", text="no entry of an own task")]
    wrong, block = _without_invalid_fields(entry)
    problems = [Problem(location=f"own.{key}.{field}", text="of a wrong type") for field in wrong]
    problems += entry_problems(key, block) if block is not None else ()
    if block is None or problems:
        return None, problems
    return block.task(name), []


def field_problems(error: ValueError) -> list[Problem]:
    """Return the problems of the fields of an entry.

    Args:
        error: of its validation.
    """
    if not isinstance(error, ValidationError):
        return [Problem(location="fields", text=str(error))]
    problems = []
    for part in error.errors(include_url=False):
        location = ".".join(map(str, part["loc"])) or "fields"
        text = unknown_name("field", location, OwnTask.model_fields)
        if part["type"] != "extra_forbidden":
            text = f"{part['msg'].removeprefix('Value error, ')}, got {reprlib.repr(part['input'])}"
        problems.append(Problem(location=location, text=text))
    return problems


def own_tasks(raw: Mapping[str, Any]) -> dict[str, Task]:
    """Return the tasks that a file defines, by name, see `valid_own_tasks`.

    Args:
        raw: the mapping of the file, before it is validated.
    """
    return {f"{PREFIX}{key}": x.task(f"{PREFIX}{key}") for key, x in valid_own_tasks(raw).items()}


def known_tasks(raw: Mapping[str, Any]) -> dict[str, Task]:
    """Return all tasks that a file can name: those of benchmarks and its own; see `own_tasks`."""
    return {**TASKS, **own_tasks(raw)}


def valid_own_tasks(raw: Mapping[str, Any]) -> dict[str, OwnTask]:
    """Return the entries of the block `own` without problems, or without their fields that have.

    Entries whose files and columns could be others than what is meant are absent.
    """
    entries = mapping_or_empty(raw.get("own")).items()
    blocks = {str(key): _usable(str(key), entry) for key, entry in entries}
    return {key: block for key, block in blocks.items() if block is not None}


def _usable(key: str, entry: Any) -> OwnTask | None:
    """Return an entry without the fields that have problems; None if more than these are unsure."""
    wrong, block = _without_invalid_fields(entry)
    if block is None:
        return None
    places = [p.location.removeprefix(f"own.{key}.") for p in entry_problems(key, block)]
    unsure = {*wrong, *(place.partition(".")[0] for place in places)}
    share = {}
    if "hold_out" in unsure and not block.dev:  # any share shows what is wrong with the rows
        share = {"hold_out": 0.1}
        unsure -= {"dev"}
    if not (unsure or share):
        return block
    if not unsure <= _DISPENSABLE:
        return None
    fields = entry if isinstance(entry, Mapping) else dict(block)
    rest = _valid({**{name: x for name, x in fields.items() if name not in unsure}, **share})
    return rest if rest is not None and not list(entry_problems(key, rest)) else None


def is_defined(raw: Mapping[str, Any], name: str) -> bool:
    """Return whether a file has an entry for an own task, with problems or without."""
    entries = mapping_or_empty(raw.get("own"))
    return name.startswith(PREFIX) and name.removeprefix(PREFIX) in entries


def own_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of the entries of `own` beyond those of single fields."""
    problems: list[Problem] = []
    for key, entry in mapping_or_empty(raw.get("own")).items():
        wrong, block = _without_invalid_fields(entry)
        if block is not None and not {"head", "like"} & {*wrong}:
            problems += _without_consequences(wrong, entry_problems(str(key), block))
    return problems


def _without_consequences(wrong: list[str], problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield the problems of an entry without those that name a field whose value was wrong."""
    for problem in problems:
        field = problem.location.rpartition(".")[2]
        if not names_one_of(f"{field} {problem.text}", wrong):
            yield problem


def _valid(entry: Any) -> OwnTask | None:
    """Return an entry whose fields have the right types; None for another, which is reported."""
    try:
        return OwnTask.model_validate(entry)
    except ValidationError:
        return None


def _without_invalid_fields(entry: Any) -> tuple[list[str], OwnTask | None]:
    """Return the fields of an entry that are invalid, and the entry without them; None if none."""
    try:
        return [], OwnTask.model_validate(entry)
    except ValidationError as error:
        wrong = list(dict.fromkeys(str(part["loc"][0]) for part in error.errors() if part["loc"]))
    rest = {name: x for name, x in mapping_or_empty(entry).items() if name not in wrong}
    block = _valid(rest) if rest else None
    return wrong, block


def entry_problems(key: str, block: OwnTask) -> Iterator[Problem]:
    """Yield what does not fit together in an entry."""
    checks = _extension_problems if block.like else _table_problems
    texts = [*_name_problems(key), *_split_problems(block), *checks(block)]
    yield from (
        Problem(location=f"own.{key}{'.' * bool(field)}{field}", text=text) for field, text in texts
    )


def _name_problems(key: str) -> Iterator[tuple[str, str]]:
    if not _NAME.fullmatch(key):
        yield "", "a name of letters, digits, - and _ is needed, at most 100"


def _split_problems(block: OwnTask) -> Iterator[tuple[str, str]]:
    """Yield the problems of the names of splits, as a field and a text."""
    for kind in ("train", "dev", "test"):
        files: Mapping[str, tuple[str, ...]] = getattr(block, kind)
        for name, paths in files.items():
            place = f"{kind}.{name}" if name else kind
            if name and (not _SPLIT.fullmatch(name) or name in _TAKEN):
                yield place, f"'{name}' is no name for a split; letters, digits, - and _ are"
            if not paths:
                yield place, "at least one file is needed"
            if len(set(paths)) < len(paths):
                yield place, "each file may appear only once"
        languages = [name for name in files if is_language(name)]
        if languages and len(languages) < len(files):
            yield kind, f"{languages[0]} is a language, others are not: name all by their language"
        if kind == "train" and files and not languages and "" not in files:
            yield kind, "training files have no names but languages, such as {en: FILE, de: FILE}"


def _extension_problems(block: OwnTask) -> Iterator[tuple[str, str]]:
    """Yield the problems of an entry with `like`."""
    if block.like not in TASKS:
        yield "like", unknown_name("task", block.like, TASKS)
        return
    like = TASKS[block.like]
    if not like.languages or like.train is None or not like.train.files:
        yield "like", f"{block.like} has no languages; name the columns of the files instead"
    for field in sorted(_changed_fields(block) - {"like", "train", "dev", "test"}):
        yield field, f"is that of {block.like}: leave it out"
    if not (block.train or block.dev or block.test):
        yield "", "names no file: train, dev or test by language, such as dev: {sw: FILE}"
    known = {split.language for split in like.training_splits()}
    tested = {split.language for split in like.test}
    by_kind: dict[str, set[str | None]] = {}
    by_kind |= {"train": known, "dev": {*like.languages}, "test": tested}
    for kind, languages in by_kind.items():
        for name in getattr(block, kind):
            if not is_language(name):
                yield kind, "a language is needed for each file, such as {sw: FILE}"
            elif name in languages:
                yield f"{kind}.{name}", f"{block.like} has this language: leave it out"
            elif len(getattr(block, kind)[name]) > 1:
                yield f"{kind}.{name}", "one file is needed"


def _changed_fields(block: OwnTask) -> set[str]:
    """Return the fields of an entry that have another value than the default."""
    fields = OwnTask.model_fields.items()
    return {name for name, field in fields if getattr(block, name) != field.default}


def _table_problems(block: OwnTask) -> Iterator[tuple[str, str]]:
    """Yield the problems of an entry whose files are tables."""
    form = OWN_FORMS[block.head]
    if not block.train:
        yield "train", "at least one file is needed"
    if not (block.dev or block.hold_out):
        yield "dev", "a file is needed, or hold_out: 0.1 for a share of the training rows"
    if block.dev and block.hold_out:
        yield "hold_out", "there is a dev file: keep one of the two"
    if block.hold_out and len(block.train) > 1:
        yield "hold_out", "training files in several languages need dev files"
    if block.group and not block.hold_out:
        yield "group", "only hold_out reads it: leave it out"
    if not (block.text or form.text):
        yield "text", "the columns that the model reads are needed, such as [premise, hypothesis]"
    if len(block.text) > len(form.texts):
        yield "text", f"at most {len(form.texts)} columns, got {len(block.text)}"
    if (label := block.label or form.label) in (block.text or form.text):
        yield "text", f"'{label}' is the label, which the model would read: leave it out"
    for field in sorted((FURTHER_FIELDS - form.fields) & _changed_fields(block)):
        yield field, f"a task of head {block.head} does not read it: leave it out"
    if "options" in form.fields and not block.options:
        yield "options", "the column with the list of options, or a column for each, is needed"
    for field in ("text", "labels", "options", "metrics"):
        values = getattr(block, field)
        if len(set(values)) < len(values):
            yield field, f"each may appear only once, got {', '.join(values)}"
    if len(block.labels) == 1 and not block.options:
        yield "labels", f"two labels or more are needed, got '{block.labels[0]}'"
    known = WITHOUT_ANSWER if block.unanswerable else form.metrics
    for name in (name for name in block.metrics if name not in known):
        yield "metrics", unknown_name("metric", name, known)
    if "f1" in block.metrics and "labels" in form.fields and len(block.labels) > 2:
        yield "metrics", f"f1 is that of the second of two labels, there are {len(block.labels)}"
