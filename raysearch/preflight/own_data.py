"""What was understood of a user's own files, and duplicates that make scores worth less.

It is apart from the checks because files of benchmarks are known.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..data import readers
from ..errors import nearest_names, shorten
from ..study import TaskStudy
from ..tasks import Example, Task
from ..tasks.own_forms import BENCHMARK

_SHOWN_LABELS = 12
_Digest = bytes


@dataclass(kw_only=True)
class _Seen:
    """The first example that has some texts: its split, id and label; and how many have them."""

    split: str
    identity: str
    label: object
    count: int = 1


@dataclass(kw_only=True)
class Overview:
    """Collects what is told about an own task while its examples are read.

    Attributes:
        task: the task.
    """

    task: Task
    _sizes: Counter[str] = field(default_factory=Counter)
    _labels: dict[str, Counter[object]] = field(default_factory=dict)
    _trained: dict[_Digest, _Seen] = field(default_factory=dict)
    _repeated: list[tuple[_Seen, str]] = field(default_factory=list)
    _differing: list[tuple[_Seen, Example]] = field(default_factory=list)
    _leaks: dict[str, list[tuple[_Seen, Example]]] = field(default_factory=dict)

    def add(self, split: str, example: Example) -> None:
        """Take note of an example. Training sets come before dev splits."""
        facts, label = self.task.facts, example["label"]
        self._sizes[split] += 1
        labels = self._labels.setdefault(split, Counter())
        if isinstance(label, tuple):
            labels.update(label)
        elif not facts.numeric_labels:
            labels[label] += 1
        texts = repr([example[name] for name in self.task.inputs])
        digest = hashlib.blake2b(texts.encode("utf-8", "replace"), digest_size=16).digest()
        gold = example.get("answers", label) if facts.extracts_answers else label
        first = self._trained.get(digest)
        if split not in {training.name for training in self.task.training_splits()}:
            if first is not None:
                self._leaks.setdefault(split, []).append((first, example))
        elif first is None:
            identity = str(example["id"])
            self._trained[digest] = _Seen(split=split, identity=identity, label=gold)
        else:
            first.count += 1
            self._repeated.append((first, str(example["id"])))
            if first.label != gold:
                self._differing.append((first, example))

    def notes(self) -> Iterator[str]:
        """Yield lines about the columns, the labels and the duplicates."""
        yield f"{self.task.name} reads {self._columns()}"
        if labels := self.task.labels:
            more = (
                f" and {len(labels) - _SHOWN_LABELS:,} more" if len(labels) > _SHOWN_LABELS else ""
            )
            text = f"{', '.join(labels[:_SHOWN_LABELS])}{more}"
            yield f"{self.task.name} has {len(labels):,} labels, in this order: {text}"
        if self.task.facts.labels_examples or self.task.facts.labels_words:
            for split, counts in self._labels.items():
                if counts:
                    yield f"{self.task.name} {split}: {self._label_counts(counts)}"
        yield from self._rare_labels()
        yield from self._metric_notes()
        yield from self._duplicates()

    def duplicates(self) -> dict[str, Any]:
        """Return the numbers of duplicates as a run records them; empty if there are none.

        Returns:
            The fields of `recorded_facts.Duplicates`, without texts of examples.
        """
        if not self._leaks and not self._repeated:
            return {}
        training = {split.name for split in self.task.training_splits()}
        return {
            "training": sum(n for name, n in self._sizes.items() if name in training),
            "repeated": len(self._repeated),
            "contradicting": len(self._differing),
            "dev": {name: n for name, n in self._sizes.items() if name not in training},
            "in_training": {split: len(leaks) for split, leaks in self._leaks.items()},
        }

    def _rare_labels(self) -> Iterator[str]:
        """Yield a line about the labels that occur once in training: one may be misspelled."""
        names = self.task.labels
        training = {split.name for split in self.task.training_splits()}
        counts = Counter[object]()
        for split in training:
            counts.update(self._labels.get(split, {}))
        rare = [name for index, name in enumerate(names) if counts[index] == 1]
        if not rare or len(counts) == len(rare):
            return
        often = [name for index, name in enumerate(names) if counts[index] > 1]
        shown = []
        for name in rare[:_SHOWN_LABELS]:
            near = nearest_names(name, often)[:1]
            shown.append(f"{name} (is it '{near[0]}'?)" if near else name)
        more = f" and {len(rare) - _SHOWN_LABELS:,} more" if len(rare) > _SHOWN_LABELS else ""
        yield f"{self.task.name} labels that occur once in training: {', '.join(shown)}{more}"

    def _metric_notes(self) -> Iterator[str]:
        """Yield lines about metrics that depend on the names of labels."""
        name, labels, facts = self.task.name, self.task.labels, self.task.facts
        if facts.labels_examples and "f1" in self.task.metrics:
            yield f"{name} f1 is that of '{labels[1]}', the second label"
        prefixed = any(label[1:2] == "-" for label in labels)
        if facts.labels_words and not prefixed and "entity_f1" in self.task.metrics:
            text = f"{name} entity_f1 is of runs of equal tags, as no tag has a prefix such as B-"
            yield f"{text}; token_accuracy, under metrics, is of single words"

    def _columns(self) -> str:
        """Return which column is what, in words."""
        assert self.task.train is not None
        columns = self.task.train.files[0].columns
        texts = [str(x) for key, x in columns.items() if key not in ("label", "id", "group")]
        parts = [f"the text in {', '.join(texts)}", f"the label in {columns['label']}"]
        parts += [f"the {key} in {columns[key]}" for key in ("id", "group") if key in columns]
        if "id" not in columns:
            parts.append("ids are the numbers of rows, from 0")
        return "; ".join(parts)

    def _label_counts(self, counts: Counter[object]) -> str:
        names = self.task.labels
        rows = sorted(counts.items(), key=lambda item: -item[1])
        shown = [f"{_label_name(names, label)} {n:,}" for label, n in rows[:_SHOWN_LABELS]]
        more = len(rows) - _SHOWN_LABELS
        absent = [name for index, name in enumerate(names) if not counts[index]]
        text = ", ".join(shown) + (f" and {more:,} more labels" if more > 0 else "")
        return f"{text}; none: {shorten(', '.join(absent))}" if absent else text

    def _duplicates(self) -> Iterator[str]:
        """Yield lines about examples that occur more than once."""
        name = self.task.name
        for split, leaks in self._leaks.items():
            first, example = leaks[0]
            text = (
                f"{name}: examples of {split} that are in the training set too, so that its scores"
            )
            text = f"{text} are too high: {len(leaks):,} of {self._sizes[split]:,}, such as"
            places = f"{split} {example['id']} and {first.split} {first.identity}"
            yield f"{text} {places}: {self._quote(example)}"
        if self._repeated:
            first, identity = self._repeated[0]
            text = f"{name}: training examples that repeat an earlier one: {len(self._repeated):,},"
            yield f"{text} such as {identity} and {first.identity}"
        if self._differing:
            first, example = self._differing[0]
            text = f"{name}: of these with another label: {len(self._differing):,}, such as"
            yield f"{text} {example['id']} and {first.identity}: {self._quote(example)}"

    def _quote(self, example: Example) -> str:
        texts = (example[name] for name in self.task.inputs)
        words = (" ".join(map(str, x)) if isinstance(x, tuple) else f"{x}" for x in texts)
        return f"'{shorten(' / '.join(words))}'"


def _label_name(names: tuple[str, ...], label: object) -> str:
    return names[label] if names and isinstance(label, int) else f"{label}"


def overview_of(task: Task) -> Overview | None:
    """Return what collects facts of an own task's examples; None of a benchmark's files."""
    return Overview(task=task) if task.benchmark == BENCHMARK else None


def data_notes(task: TaskStudy, root: Path) -> Iterable[str]:
    """Return what a run tells about the files of an own task; nothing of a benchmark's.

    Args:
        task: a task of a study whose files have no problems.
        root: the data folder.
    """
    if (overview := overview_of(task.row)) is None:
        return ()
    present = readers.present_splits(task.row, root)
    for split in (*task.training_splits, *task.row.dev):
        if split.name in present:
            bad_rows = task.study.leave_out if split in task.training_splits else 0
            for example in readers.read(task.row, split, root, max_bad_rows=bad_rows):
                overview.add(split.name, example)
    return overview.notes()
