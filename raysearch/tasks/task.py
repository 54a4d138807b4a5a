"""What a task is: a row of facts about a benchmark's data set. It knows no file, model or loop."""

from dataclasses import dataclass, field
from typing import Literal

Head = Literal["classify", "regress", "choose", "span", "tag", "thought"]

# What a reader gives: "id" and the inputs as text, "label" as a class id, a number or None.
Example = dict[str, str | int | float | None]


@dataclass(frozen=True, kw_only=True)
class Listed:
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
        path: under the task's folder.
        columns: input, "label" or "id" -> column, by header name, or by position where `header`
            is no; formats without columns leave it empty. Without "id", rows count from 0.
        header: whether the first row names the columns.
        keep: which rows belong to the split; None for all.
        torn: how many rows of another width the published file is known to hold; up to so many
            are left out, more are a fault.
    """

    path: str
    columns: dict[str, str | int] = field(default_factory=dict)
    header: bool = True
    keep: Listed | None = None
    torn: int = 0


@dataclass(frozen=True, kw_only=True)
class Split:
    """One part of a task.

    Attributes:
        name: what scores and predictions of this split are called.
        files: the forms in which it is published; the first that is there is read.
        labelled: whether gold labels are read; never for a test split.
        submission: the file name under which the benchmark takes predictions, test splits only.
    """

    name: str
    files: tuple[File, ...] = ()
    labelled: bool = True
    submission: str | None = None


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
        reader: the file format, a name in `raysearch.readers`.
        folder: the folder under the data root.
        train: the training split; None for a diagnostic set that is only predicted.
        dev: development splits; the first one selects.
        test: splits that are predicted, never scored during a search.
        bounds: the lowest and highest label of a regression.
        model_of: another task whose model predicts this one.
    """

    name: str
    head: Head
    inputs: tuple[str, ...]
    labels: tuple[str, ...] = ()
    metric: str
    also: tuple[str, ...] = ()
    reader: str = "tsv"
    folder: str
    train: Split | None
    dev: tuple[Split, ...] = ()
    test: tuple[Split, ...] = ()
    bounds: tuple[float, float] | None = None
    model_of: str | None = None

    @property
    def outputs(self) -> int:
        """How many numbers the head gives for an example."""
        return len(self.labels) or 1

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics, the one that selects first."""
        return (self.metric, *self.also)

    @property
    def slug(self) -> str:
        """The name as a folder: "glue/rte" -> "glue-rte"."""
        return self.name.replace("/", "-")

    def splits(self) -> dict[str, Split]:
        """Every split by its name."""
        train = (self.train,) if self.train else ()
        return {split.name: split for split in (*train, *self.dev, *self.test)}
