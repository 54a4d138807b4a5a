"""Preparation of a study's data and models in the background, for the workers.

It is apart because lanes start meanwhile: a worker that needs a task before it is ready waits at
the broker. Tables go to Ray's object store; of a text only the paths of its files do.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import ray

from ..data import dev_parts, encoding_cache, readers, token_stream
from ..data.augmentation import dictionaries, resources, translation_pool, unigram_vocabulary
from ..data.columns import LABEL
from ..data.encoders.encoder import Encoder
from ..errors import InputError, Problem
from ..preflight import own_data, schedule_notes
from ..recipes import Hyperparameters
from ..study import Study
from ..study.unused_fields import unused_field_notes
from ..tasks import Split, Task
from ..workers.remote_text import StoredText
from .background_import import import_models
from .split_facts import split_facts

References = dict[str, ray.ObjectRef[Any]]


class BackgroundPreparation:
    """A thread that prepares the data and pretrained weights of a study's tasks.

    Args:
        study: its tasks, model and lengths.
        root: the data folder.
        broker: link to the broker that workers ask.
        note: called with a line for the log.

    Attributes:
        error: why the preparation failed; None while it has not.
        facts: task -> split -> see `split_facts`.
    """

    def __init__(self, study: Study, root: Path, broker: Any, note: Callable[[str], None]) -> None:
        self.study, self.root, self.broker, self.note = study, root, broker, note
        self.error: BaseException | None = None
        self._is_closed = False
        self.facts: dict[str, dict[str, Any]] = {}
        self._models: dict[str, Any] = {}
        self._digests: dict[str, str] = {}  # id of a trial that others start from -> its model's
        # Held as long as the study runs: the object store drops what nobody refers to.
        self._references: list[ray.ObjectRef[Any]] = []
        self._tasks: list[str] = []
        # Tasks that can be prepared, with the folders that they start from.
        self._ready: queue.SimpleQueue[tuple[str, Mapping[str, Path]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._prepare_all, daemon=True)

    def start(self, names: list[str], later: list[str] | None = None) -> None:
        """Start to prepare tasks, in their order.

        Args:
            names: tasks that start from a model.
            later: tasks that start from a winner, which `add` names.
        """
        self._tasks = [*names, *(later or ())]
        for name in names:
            self.add(name)
        self._thread.start()

    def add(self, name: str, starts: Mapping[str, Path] | None = None) -> None:
        """Let a task be prepared.

        Args:
            name: of the task.
            starts: id of a trial -> the folder of its weights, from which trials of this task
                start, the most common one first; None for the model.
        """
        self._ready.put((name, starts or {}))

    def close(self) -> None:
        """Prepare nothing more, as Ray may end: `ray.put` would start another one."""
        self._is_closed = True
        self._ready.put(None)

    def pretrained(self, task: str, start: str | None = None) -> Any:
        """Return the encoder with the task's head, after a trial of the task has run.

        Args:
            task: its name.
            start: id of the trial from whose weights it starts; None for the model.
        """
        model = self._models[task]
        return replace(model, digest=self._digests.get(start or "", model.digest))

    def _prepare_all(self) -> None:
        try:
            import_models()  # torch and transformers, which take seconds
            self._check_models()
            for _ in self._tasks:
                if (ready := self._ready.get()) is None:
                    return
                self._provide(*ready)
        except BaseException as error:  # the main thread raises it
            self.error = error

    def _check_models(self) -> None:
        """Check the models of all tasks and their settings before any task trains.

        Raises:
            InputError: what some task's model cannot read or answer, or does not support.
        """
        from ..models.suitability import suitability_problems

        if problems := suitability_problems(self.study, self._tasks, download=True):
            raise InputError(self.study.name, problems)
        for note in unused_field_notes(self.study):
            self.note(note)

    def _provide(self, name: str, starts: Mapping[str, Path] | None = None) -> None:
        """Prepare a task and publish its object references at the broker.

        Args:
            name: of the task.
            starts: see `add`.

        Raises:
            InputError: what is wrong with its data, model or teacher.
        """
        from ..models import read_pretrained
        from ..models.pretrained import read_tokenizer
        from ..models.teacher_model import read_teacher

        task = self.study.task(name)
        for note in own_data.data_notes(self.study.resolve(name), self.root):
            self.note(note)
        folders = [self.study.resolve(name).model]
        if self.study.resolve(name).source is not None:
            assert starts, "a task whose start is not known"
            folders = [str(folder) for folder in starts.values()]
        model, others = folders[0], folders[1:]
        tokenizer = read_tokenizer(model, self._texts(name))
        # The hyperparameters that shape data and head are fixed: all trials share them.
        hyper = self.study.resolve(name).shared
        if "subwords" in hyper.view_kinds():
            # It refuses other kinds before anything is prepared.
            unigram_vocabulary.of_tokenizer(tokenizer)
        train, splits, searched = self._splits(task, tokenizer, hyper)
        pretrained = read_pretrained(model, task, tokenizer, hyper)
        for note in pretrained.notes:
            self.note(f"{name}: {note}")
        if starts:  # the folder is not there for long
            pretrained = replace(pretrained, name=self.study.resolve(name).origin)
        self._models[name] = pretrained
        data: dict[str, Any] = {"task": self._put(task), "splits": splits}
        data["pretrained"] = self._put(pretrained)
        if others:
            data["starts"] = {}
            for start, other in zip(list(starts or {})[1:], others, strict=True):
                read = read_pretrained(other, task, tokenizer, hyper)
                self._digests[start] = read.digest
                data["starts"][start] = self._put(read)
        if searched:
            data["searched"] = searched
        if folder := getattr(hyper, "teacher", None):
            teacher = read_teacher(folder, task, pretrained, tokenizer, hyper, self.note)
            data["teacher"] = self._put(teacher)
        if hyper.view_kinds():
            data["views"] = self._put(self._views(task, train, tokenizer, hyper))
        self.broker.publish_data(name, data)

    def _splits(
        self, task: Task, tokenizer: Any, hyper: Hyperparameters
    ) -> tuple[pa.Table, References, References]:
        """Prepare the training set of a task and its dev splits.

        Returns:
            The table of the training set; split name -> reference to what `open_split` takes, the
            training set first. With `hold_out` these are the held-out parts, and the third value
            has the others; else it is empty.
        """
        max_bad_rows, facts = self.study.leave_out, {}
        parts = []
        for split in self.study.resolve(task.name).training_splits:
            parts.append(self._prepare(task, split, tokenizer, hyper, max_bad_rows))
            facts[split.name] = split_facts(task, split, parts[-1], parts[-1].table)
        train = encoding_cache.concat_splits(parts)
        self._note_schedules(task, train)
        references = {"train": self._put(self._input(train, parts))}
        searched: References = {}
        present = readers.present_splits(task, self.root)
        search = self.study.search
        masks: dict[str, dev_parts.Mask] = {}
        if search.hold_out is not None:
            examples = dev_parts.read_dev(task, self.root, hyper.dev_examples)
            masks = dev_parts.held_out(task, examples, search.hold_out, search.seed)
        for split in (s for s in task.dev if s.name in present):
            prepared = self._prepare(task, split, tokenizer, hyper)
            table = encoding_cache.subsample(prepared.table, hyper.dev_examples)
            if text := one_label(task, table):
                self.note(f"{task.name} {split.name}: {text}")
            facts[split.name] = split_facts(task, split, prepared, table)
            if masks:
                rest, table = encoding_cache.divide(table, masks[split.name])
                searched[split.name] = self._put(self._input(rest, [prepared]))
            references[split.name] = self._put(self._input(table, [prepared]))
        self.facts[task.name] = facts
        return train, references, searched

    def _prepare(
        self,
        task: Task,
        split: Split,
        tokenizer: Any,
        hyper: Hyperparameters,
        max_bad_rows: int = 0,
    ) -> encoding_cache.Prepared:
        encoder = _encoder_of(task)
        prepared = encoding_cache.prepare(
            encoder, task, split, self.root, tokenizer, hyper, max_bad_rows
        )
        return self._noted(task, split.name, prepared)

    def _noted(
        self, task: Task, split: str, prepared: encoding_cache.Prepared
    ) -> encoding_cache.Prepared:
        """Note the size of a split, and return the split."""
        origin = "from the cache" if prepared.cached else "prepared"
        self.note(f"{task.name} {split}: {describe_count(task, prepared.table)} {origin}")
        if prepared.skipped:
            self.note(f"{task.name} {split}: {prepared.skipped}")
        return prepared

    def _views(
        self, task: Task, train: pa.Table, tokenizer: Any, hyper: Hyperparameters
    ) -> dict[str, Any]:
        """Return the input of a training set's views.

        Returns:
            `tokenizer`; `dictionaries`, language -> word -> translations; `pool`, table and padding
            of translations, None if no view needs them; `candidates`, offsets and rows: the rows of
            the pool that translate each training row.

        Raises:
            InputError: views need files that are missing.
        """
        max_bad_rows = self.study.leave_out
        files = resources.find_resources(task, self.root, hyper.view_kinds(), max_bad_rows)
        if files.missing:
            raise InputError(task.name, files.missing)
        for note in files.notes:
            self.note(f"{task.name} {note}")
        views: dict[str, Any] = {"tokenizer": tokenizer, "pool": None, "candidates": None}
        views["dictionaries"] = dictionaries.read(files.dictionaries)
        if files.translations:
            parts = translation_pool.prepare_translations(
                _encoder_of(task), task, self.root, tokenizer, hyper, max_bad_rows
            )
            pool = translation_pool.join_translations(
                task, train, [self._noted(task, *part) for part in parts]
            )
            views |= {"pool": (pool.table, pool.padding), "candidates": (pool.offsets, pool.rows)}
            self._note_matches(task, pool, train)
        return views

    def _note_matches(
        self, task: Task, pool: translation_pool.TranslationPool, train: pa.Table
    ) -> None:
        """Note how many training rows have a translation.

        Raises:
            InputError: none has one, although the translations are those of a training set.
        """
        if not (pool.matched or translation_pool.has_numbered_ids(task)):
            text = "none belongs to a row of the training set: the files are of another one"
            raise InputError(task.name, [Problem(location="translations", text=text)])
        self.note(f"{task.name} translations: of {pool.matched:,} of {train.num_rows:,} rows")

    def _note_schedules(self, task: Task, train: pa.Table) -> None:
        """Note where schedules differ from what the study says, for this number of examples."""
        if task.facts.joins_examples:
            return
        groups = task.facts.groups_options
        examples = len(encoding_cache.example_ends(train)) if groups else train.num_rows
        for line in schedule_notes.schedule_notes(self.study.resolve(task.name), examples):
            self.note(f"{task.name} {line}")

    def _texts(self, name: str) -> Iterator[str]:
        """Yield the texts of a task's training set, for a tokenizer that is trained on them."""
        task = self.study.task(name)
        assert task.train is not None
        bad_rows = self.study.leave_out
        for example in readers.read(task, task.train, self.root, max_bad_rows=bad_rows):
            for field in task.inputs:
                value = example[field]
                yield from [value] if isinstance(value, str) else cast(list[str], value)

    def _input(
        self, table: pa.Table, parts: list[encoding_cache.Prepared]
    ) -> tuple[pa.Table | StoredText, dict[str, int]]:
        return _worker_input(table, parts)

    def _put(self, value: Any) -> ray.ObjectRef[Any]:
        if self._is_closed:
            raise RuntimeError("the run has ended")
        reference = ray.put(value)
        self._references.append(reference)
        return reference


def _encoder_of(task: Task) -> Encoder:
    """Return the encoder of a task's head; importing it takes seconds, as it needs torch."""
    from ..heads import HEADS

    return HEADS[task.head].encoder


def _worker_input(
    table: pa.Table, parts: list[encoding_cache.Prepared]
) -> tuple[pa.Table | StoredText, dict[str, int]]:
    """Return what workers open, see `open_split`.

    Args:
        table: some or all rows of these parts.
        parts: prepared splits.

    Returns:
        The table, or where the text is if it is a whole one; column -> the value that pads it.
    """
    rows = sum(part.table.num_rows for part in parts)
    if token_stream.is_token_stream(table.schema) and table.num_rows == rows:
        paths, node = (str(part.path) for part in parts), ray.get_runtime_context().get_node_id()
        return StoredText(paths=tuple(paths), node=node), parts[0].padding
    return table, parts[0].padding


def one_label(task: Task, table: pa.Table) -> str:
    """Return a note about dev examples that all have the same label; empty if labels differ.

    Args:
        task: the task of the examples.
        table: the examples that are scored.
    """
    if not task.facts.labels_examples or LABEL not in table.column_names:
        return ""
    if len(table[LABEL].unique()) != 1:
        return ""
    label = table[LABEL][0].as_py()
    name = task.labels[label] if task.labels else f"{label:g}"
    return (
        f"all {table.num_rows:,} examples that are scored have the label '{name}': a model that"
        " always predicts it looks perfect, and correlations are 0; dev_examples can be raised"
    )


def describe_count(task: Task, table: pa.Table) -> str:
    """Return the number of examples in a prepared table, and of rows where these are more.

    An example has several rows if it has several options or windows: "1,223 examples (4,892 rows)".
    """
    examples, rows = len(encoding_cache.example_ends(table)), table.num_rows
    text = f"{examples:,} examples"
    return text if examples == rows else f"{text} ({rows:,} {task.facts.row_name})"
