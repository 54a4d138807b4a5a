"""Task and its parts: the facts about one data set of a benchmark.

It is apart from the tables of tasks and from the readers, so that both can import it.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from .head import HEAD_FACTS, Head, HeadFacts

# One example as a reader yields it. Its keys are "id", the task's inputs and "label".
# Inputs are strings, except "options" (choose), "entities" (cloze) and "words" (tag), which are
# tuples of strings.
# "label" depends on the head; it is None where the split is not labelled:
#   classify: the id of the class          regress: a number
#   choose: the index of the right option  tag: a tuple with the id of a class for each word
#   span: always None; "answers" holds pairs of an answer's text and the index of its first
#   character in the context
#   cloze: always None; "entities" is a tuple of strings, "answers" as of span
# RACE's examples also have "part", the level that they belong to.
ExampleValue = (
    str | int | float | tuple[str, ...] | tuple[int, ...] | tuple[tuple[str, int], ...] | None
)
Example = dict[str, ExampleValue]


@dataclass(frozen=True, kw_only=True)
class IdList:
    """A file of ids that says which rows of a data file belong to a split.

    Attributes:
        path: the list, under the task's folder. It has no header; tabs separate the ids of a row.
        columns: the columns of the data file that hold those ids, in the list's order.
        inside: whether the split consists of the listed rows (True) or of all others (False).
    """

    path: str
    columns: tuple[str, ...]
    inside: bool


@dataclass(frozen=True, kw_only=True)
class File:
    """One published form of a split.

    Attributes:
        path: the file, under the task's folder; a folder if the format has one file per passage.
        folder: the folder under the data root that holds the file, if it is not the task's own.
        parts: the subfolders that belong to the split, in the order in which they are read.
        columns: input, "label" or "id" -> column, by header name, or by index if there is no
            `header`; of objects, the member. Formats without columns leave it empty. Without "id",
            rows count from 0.
        header: whether the first row names the columns.
        kept_ids: which rows belong to the split; None for all.
        tolerated_bad_rows: how many rows of another width the published file is known to hold.
            Up to that number they are left out; more are an error, and so is more than one row
            in a hundred.
        where: a column and its value in the split's rows, if a file holds several splits.
        label_aliases: a label as this file spells it -> the task's label.
        prefix: text before every word that is not part of it.
        numbered: whether questions are numbered by their order, because the ids in the file are
            not unique.
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
        name: the name of the split in scores and predictions.
        files: the forms in which it is published; the first one that exists is read.
        labelled: whether gold labels are read; never for a test split.
        submission: the file name of the predictions for a benchmark's server or its official
            evaluator.
        gold: whether a published form of an unlabelled split holds labels, for `labelled_copy`.
        language: its two-letter language code; None if the task has only one language.
    """

    name: str
    files: tuple[File, ...] = ()
    labelled: bool = True
    submission: str | None = None
    gold: bool = False
    language: str | None = None

    def labelled_copy(self) -> "Split":
        """Return the split with its labels read. It is for scoring only, never for a search."""
        return self if self.labelled else replace(self, labelled=True)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One benchmark data set.

    Attributes:
        name: "benchmark/task".
        head: the kind of output; code outside `raysearch.heads` asks its `facts` instead.
        inputs: names of the text fields, in the order in which the model reads them.
        labels: names of the classes, in the order of their ids; empty for regression.
        metric: the metric that selects, a name in `raysearch.metrics`; larger is better.
        extra_metrics: further metrics that are reported.
        reader: the file format, a name in `raysearch.data.readers.registry`.
        folder: the folder under the data root.
        train: the training split; None for a diagnostic set that is only predicted.
        translated_train: further training sets, in other languages.
        dev: development splits; the first one selects.
        test: splits that are predicted and never scored during a search.
        bounds: the lowest and the highest label of a regression.
        predicted_by: another task, whose model predicts this one.
        unanswerable: whether a question may have no answer in its context.
        by_language: whether answers are compared by the rules of their language (MLQA).
        id_parts: what the parts of an id are, the widest first; "/" separates them. Examples that
            share the first part belong together, such as the answers to questions on one passage;
            metrics of groups take those that differ in the last part alone. Empty: one part.
        layout: the format of prediction files: "glue" (a header, then index and prediction),
            "lines" (one prediction per line), "numbered" (id and prediction, no header), "json"
            (a mapping of id to text), "jsonl" (an object with idx and label per line) or
            "nested_jsonl" (an object per passage, with the answers to its questions).
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
    id_parts: tuple[str, ...] = ()
    layout: Literal["glue", "lines", "numbered", "json", "jsonl", "nested_jsonl"] = "glue"

    @property
    def facts(self) -> HeadFacts:
        """The facts of the task's head."""
        return HEAD_FACTS[self.head]

    @property
    def outputs(self) -> int:
        """Number of scores the head gives per example; per word for tag, per token for span."""
        return self.facts.outputs or len(self.labels) or 1

    @property
    def reads_pairs(self) -> bool:
        """Whether the model reads several texts in one row, with a separator between them."""
        return len(self.inputs) > 1

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics; the one that selects is first."""
        return (self.metric, *self.extra_metrics)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages of the dev splits, the one that selects first; may be empty."""
        return tuple(split.language for split in self.dev if split.language)

    @property
    def slug(self) -> str:
        """The name as the name of a folder: "glue-rte" for "glue/rte"."""
        return self.name.replace("/", "-")

    def splits(self) -> dict[str, Split]:
        """Return every split by its name: training sets, then dev, then test."""
        return {split.name: split for split in (*self.training_splits(), *self.dev, *self.test)}

    def prediction_file(self, split: Split) -> str | None:
        """Return the name of a split's file of predictions; None if no file holds them.

        It is the name that the benchmark takes. Dev splits that no benchmark takes have names of
        their own: glue-mnli-dev-mismatched.tsv, panx/dev-de.tsv.
        """
        if split.submission or split not in self.dev or self.facts.writes_embeddings:
            return split.submission
        taken = next((other.submission for other in self.test if other.submission), ".tsv")
        folder, _, name = taken.rpartition("/")
        extension = name.rpartition(".")[2]
        if split.language:
            return f"{folder}/dev-{split.language}.{extension}"
        suffix = "" if split.name == "dev" else f"-{split.name}"
        return f"{self.slug}-dev{suffix}.{extension}"

    def training_splits(self) -> tuple[Split, ...]:
        """Return every training set, `train` first."""
        return (*((self.train,) if self.train else ()), *self.translated_train)

    def training_split_of(self, language: str) -> Split | None:
        """Return the first training set in a language, or None."""
        splits = self.training_splits()
        return next((split for split in splits if split.language == language), None)
