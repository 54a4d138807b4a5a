"""What a user's own task may say about its columns, for each head, and the row that it becomes.

It is apart from the tables of benchmarks because the facts come from a study instead of a file of
the package.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from .head import HEAD_FACTS, Head
from .task import File, HeldOut, Split, Task

BENCHMARK = "own"
READER = "table"
DEFAULT_HEAD: Head = "classify"
HUB = "hub:"  # begins the name of a data set on the Hugging Face hub
_RESERVED = frozenset({"id", "label", "group", "part"})  # keys of an example that are no inputs


@dataclass(frozen=True, kw_only=True)
class OwnForm:
    """What an own task of a head has.

    Attributes:
        inputs: the inputs of the task, in the order in which the model reads them; empty: they are
            named by the columns.
        texts: the inputs that the columns under `text` are, in order. A column that is left out is
            the empty text.
        text: the columns of `text` by default; empty: they must be named.
        label: the column of the label by default.
        fields: the further fields of the block that the head reads.
        metrics: the metrics that can score it.
        default_metrics: those that do, unless others are named; the first one selects.
        layout: of files of predictions, see `Task`.
    """

    inputs: tuple[str, ...] = ()
    texts: tuple[str, ...] = ("", "")
    text: tuple[str, ...] = ()
    label: str = "label"
    fields: frozenset[str] = frozenset()
    metrics: tuple[str, ...]
    default_metrics: tuple[str, ...]
    layout: Literal["glue", "lines", "numbered", "json"] = "glue"


_CORRELATIONS = ("pearson_spearman", "pearson", "spearman")
_ANSWERS = ("f1", "exact")
# The metrics of SQuAD 2.0; those of the best threshold select.
WITHOUT_ANSWER = (
    "best_f1", "best_exact", "f1", "exact", "has_answer_f1", "has_answer_exact", "no_answer_f1",
    "no_answer_exact",
)  # fmt: skip

OWN_FORMS: dict[Head, OwnForm] = {
    "classify": OwnForm(
        fields=frozenset({"labels"}),
        metrics=("accuracy", "f1", "mcc"),
        default_metrics=("accuracy",),
    ),
    "regress": OwnForm(
        fields=frozenset({"bounds"}),
        metrics=_CORRELATIONS,
        default_metrics=_CORRELATIONS,
    ),
    "choose": OwnForm(
        inputs=("passage", "question", "options"),
        texts=("passage", "question"),
        fields=frozenset({"labels", "options"}),
        metrics=("accuracy",),
        default_metrics=("accuracy",),
        layout="numbered",
    ),
    "tag": OwnForm(
        inputs=("words",),
        texts=("words",),
        text=("tokens",),
        label="tags",
        fields=frozenset({"labels"}),
        metrics=("entity_f1", "token_accuracy", "pos_f1"),
        default_metrics=("entity_f1", "token_accuracy"),
        layout="lines",
    ),
    "span": OwnForm(
        inputs=("question", "context"),
        texts=("context", "question"),
        text=("context", "question"),
        label="answers",
        fields=frozenset({"unanswerable"}),
        metrics=_ANSWERS,
        default_metrics=_ANSWERS,
        layout="json",
    ),
}
FURTHER_FIELDS = frozenset(field for form in OWN_FORMS.values() for field in form.fields)


# An entry of the block `own`: a `study.own_tasks.OwnTask`, which stands above this module.
OwnBlock = Any


def is_language(name: str) -> bool:
    """Return whether the name of a split is the code of a language: two lower-case letters."""
    return len(name) == 2 and name.isascii() and name.islower() and name.isalpha()


def columns_of(block: OwnBlock) -> dict[str, str | int]:
    """Return the columns that a block names: input, "label", "id", "group" or "option N" -> it.

    Several option columns are "option 1", "option 2"; a single one, a list, is "options".
    """
    form = OWN_FORMS[block.head]
    names = form.texts if form.inputs else _input_names(block.text)
    columns: dict[str, str | int] = dict(zip(names, block.text or form.text, strict=False))
    if len(block.options) == 1:
        columns["options"] = block.options[0]
    else:
        columns |= {f"option {i}": name for i, name in enumerate(block.options, 1)}
    columns["label"] = block.label or form.label
    columns |= {name: x for name, x in (("id", block.id), ("group", block.group)) if x}
    return columns


def _input_names(text: Sequence[str]) -> tuple[str, ...]:
    """Return the names of inputs that are named by their columns."""
    return tuple(f"{name} text" if name in _RESERVED else name for name in text)


def make_task(name: str, block: OwnBlock, like: Task | None = None) -> Task:
    """Return the task of an entry of the block `own`.

    Args:
        name: "own/" and the name of the entry.
        block: the entry. A task without `labels` has none until they are read from the data.
        like: the task of a benchmark whose format its files have; None: they are tables.
    """
    if like is not None:
        return _extended(name, block, like)
    form, columns = OWN_FORMS[block.head], columns_of(block)
    facts = HEAD_FACTS[block.head]
    # A choice has no labels of its own: names count the options.
    aliases: dict[str, str] = {}
    if facts.groups_options:
        aliases = {label: str(index) for index, label in enumerate(block.labels)}

    def split(title: str, files: tuple[str, ...], **options: Any) -> Split:
        inside: bool | None = options.pop("inside", None)
        held_out = None
        if inside is not None and block.hold_out is not None:
            held_out = HeldOut(share=block.hold_out, seed=block.seed, inside=inside)
        file = File(path="", parts=files, columns=columns, label_aliases=aliases, held_out=held_out)
        return Split(name=title, files=(file,), **options)

    shared = None if block.dev else False
    train, *translated = (
        split(_title("train", key), files, language=_language(key), inside=shared)
        for key, files in block.train.items()
    )
    if block.dev:
        dev = [split(key or "dev", f, language=_language(key)) for key, f in block.dev.items()]
    else:
        dev = [split("dev", files, inside=True) for files in block.train.values()]
    metrics = block.metrics or form.default_metrics
    if block.unanswerable and not block.metrics:
        metrics = WITHOUT_ANSWER
    return Task(
        name=name,
        head=block.head,
        inputs=form.inputs or _input_names(block.text),
        labels=() if facts.groups_options else block.labels,
        metric=metrics[0],
        extra_metrics=metrics[1:],
        reader=READER,
        folder="",
        train=train,
        translated_train=tuple(translated),
        dev=tuple(dev),
        test=_test_splits(name, block, form.layout, split),
        bounds=block.bounds,
        unanswerable=block.unanswerable,
        layout=form.layout,
    )


def _test_splits(name: str, block: OwnBlock, layout: str, split: Any) -> tuple[Split, ...]:
    """Return the test splits. Their files may have labels, which only `score` reads."""
    extension, stem = "json" if layout == "json" else "tsv", name.partition("/")[2]
    splits = []
    for key, files in block.test.items():
        submission = f"{stem}.{extension}"
        if block.unanswerable:  # with the further files of SQuAD 2.0
            submission = f"{stem}/{key or 'test'}/predictions.{extension}"
        elif key:
            submission = f"{stem}/{_title('test', key)}.{extension}"
        language, title = _language(key), _title("test", key)
        options = {"labelled": False, "gold": True, "submission": submission}
        splits.append(split(title, files, language=language, **options))
    return tuple(splits)


def _extended(name: str, block: OwnBlock, like: Task) -> Task:
    """Return a task of a benchmark with further files in its format, such as a language's."""
    assert like.train is not None

    def further(template: Split, title: str, key: str, files: tuple[str, ...]) -> Split:
        forms = tuple(replace(template.files[0], path=path, folder="") for path in files)
        return replace(template, name=title, files=forms, language=_language(key))

    train = [
        further(like.train, _title("train", key), key, files) for key, files in block.train.items()
    ]
    dev = [further(like.dev[0], key, key, files) for key, files in block.dev.items()]
    test = []
    for key, files in block.test.items():
        split = further(like.test[0], _title("test", key), key, files)
        folder, _, file = (like.test[0].submission or "").rpartition("/")
        extension = file.rpartition(".")[2]
        path = f"{folder or name.partition('/')[2]}/{split.name}.{extension}"
        test.append(replace(split, submission=path))
    return replace(
        like,
        name=name,
        like=like.name,
        translated_train=(*like.translated_train, *train),
        dev=(*like.dev, *dev),
        test=(*like.test, *test),
    )


def _title(kind: str, key: str) -> str:
    """Return the name of a training or test split: "train", "train-de"."""
    return f"{kind}-{key}" if key else kind


def _language(key: str) -> str | None:
    return key if is_language(key) else None
