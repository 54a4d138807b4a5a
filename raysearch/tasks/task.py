"""What a task is: a row of facts about a benchmark's data set. It knows no file, model or loop."""

from dataclasses import dataclass, field, replace
from typing import Literal

Head = Literal["classify", "regress", "choose", "span", "tag", "thought"]

# What a reader gives: "id", the inputs and "label", None where the split is not labelled. Inputs
# are text, but "options" of choose and "words" of tag, which are tuples. The label is a class id,
# of regress a number, of choose the right option's place, of tag a class id for each word; of span
# always None: its gold is "answers", each a text and its first character in the context. RACE's
# examples also say which "part" of it they are of.
Several = tuple[str, ...] | tuple[int, ...] | tuple[tuple[str, int], ...]
Example = dict[str, str | int | float | Several | None]


@dataclass(frozen=True, kw_only=True)
class IdList:
    """Which rows of a file belong to a split, where another file lists ids.

    Attributes:
        path: the list, under the task's folder; no header, a row's ids separated by tabs.
        columns: the columns of the data file that hold those ids, in the list's order.
        inside: whether the split is the listed rows or all the others.
    """

    path: str
    columns: tuple[str, ...]
    inside: bool


@dataclass(frozen=True, kw_only=True)
class File:
    """One published form of a split.

    Attributes:
        path: under the task's folder; a folder where the format is one file a passage.
        folder: a folder under the data root that holds it, where that is not the task's own.
        parts: what of a folder belongs to the split, in the order in which it is read.
        columns: input, "label" or "id" -> column, by header name, or by position where `header`
            is no; formats without columns leave it empty. Without "id", rows count from 0.
        header: whether the first row names the columns.
        keep: which rows belong to the split; None for all.
        torn: how many rows of another width the published file is known to hold; up to so many
            are left out, more are a fault, as is more than one in a hundred.
        where: a column and what it says in the split's rows, where a file holds several splits.
        spelled: a label as this file spells it -> the task's label.
        prefix: what stands before every word and is no part of it.
        numbered: whether the file's ids do not tell its questions apart, so that they are counted.
    """

    path: str
    folder: str | None = None
    parts: tuple[str, ...] = ()
    columns: dict[str, str | int] = field(default_factory=dict)
    header: bool = True
    kept_ids: IdList | None = None
    tolerated_bad_rows: int = 0
    where: tuple[str | int, str] | None = None
    label_aliases: dict[str, str] = field(default_factory=dict)
    prefix: str = ""
    numbered: bool = False


@dataclass(frozen=True, kw_only=True)
class Split:
    """One part of a task.

    Attributes:
        name: what scores and predictions of this split are called.
        files: the forms in which it is published; the first that is there is read.
        labelled: whether gold labels are read; never for a test split.
        submission: the file name under which predictions are handed in, or given to the official
            evaluator.
        gold: whether a published form of an unlabelled split holds labels, for `with_gold`.
        language: its language as a two-letter code; None where the task has only one.
    """

    name: str
    files: tuple[File, ...] = ()
    labelled: bool = True
    submission: str | None = None
    gold: bool = False
    language: str | None = None

    def labelled_copy(self) -> "Split":
        """The split as it is scored: its labels are read. For scoring only, never in a search."""
        return self if self.labelled else replace(self, labelled=True)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One benchmark data set.

    Attributes:
        name: "benchmark/task".
        head: the kind of output; the only thing that code may branch on.
        inputs: names of the text fields, in the order in which the model reads them.
        labels: names of the classes, in the order of their ids; empty for regression.
        metric: what selects, a name in `raysearch.metrics`; always larger is better.
        also: further metrics that are reported.
        reader: the file format, a name in `raysearch.data.readers.registry`.
        folder: the folder under the data root.
        train: the training split; None for a diagnostic set that is only predicted.
        trains: further training sets, in other languages.
        dev: development splits; the first one selects.
        test: splits that are predicted, never scored during a search.
        unanswerable: whether a question may have no answer in its context.
        layout: of prediction files: "glue", a header and index, prediction; "lines", a prediction
            a line; "numbered", id, prediction without a header; "json", id to text.
        by_language: whether answers are compared by the rules of their language (MLQA).
        bounds: the lowest and highest label of a regression.
        model_of: another task whose model predicts this one.
    """

    name: str
    head: Head
    inputs: tuple[str, ...]
    labels: tuple[str, ...] = ()
    metric: str
    extra_metrics: tuple[str, ...] = ()
    reader: str = "tsv"
    folder: str
    train: Split | None
    translated_train: tuple[Split, ...] = ()
    dev: tuple[Split, ...] = ()
    test: tuple[Split, ...] = ()
    bounds: tuple[float, float] | None = None
    predicted_by: str | None = None
    unanswerable: bool = False
    by_language: bool = False
    layout: Literal["glue", "lines", "numbered", "json"] = "glue"

    @property
    def outputs(self) -> int:
        """Numbers that the head gives for an example: for a word of tags, a token of spans."""
        return 2 if self.head == "span" else len(self.labels) or 1

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics, the one that selects first."""
        return (self.metric, *self.extra_metrics)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages of the dev splits, the one that selects first; or none."""
        return tuple(split.language for split in self.dev if split.language)

    @property
    def slug(self) -> str:
        """The name as a folder: "glue/rte" -> "glue-rte"."""
        return self.name.replace("/", "-")

    def splits(self) -> dict[str, Split]:
        """Every split by its name: training sets, then dev, then test."""
        return {split.name: split for split in (*self.training_splits(), *self.dev, *self.test)}

    def training_splits(self) -> tuple[Split, ...]:
        """Every training set, the task's own first."""
        return (*((self.train,) if self.train else ()), *self.translated_train)

    def training_split_of(self, language: str) -> Split | None:
        """The first training set in a language; None where there is none."""
        return next((split for split in self.training_splits() if split.language == language), None)
