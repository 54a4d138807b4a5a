"""Prepares every task in the background and puts it into the object store; of a text stream, the
paths of its files.

Lanes come up meanwhile; a worker that needs a task before it is ready waits at the broker."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from .. import tasks
from ..data import encoding_cache, readers, token_stream
from ..data.augmentation import dictionaries, resources, translation_pool, unigram
from ..data.columns import LABEL
from ..errors import InputError, Problem
from ..preflight import schedule_notes
from ..recipes import Hyperparameters
from ..study import Study
from ..study.unused_fields import unused_field_notes
from ..workers.remote_text import StoredText


class BackgroundPreparation:
    """Prepared data and pretrained weights of a study's tasks.

    Args:
        study: its tasks, model and lengths.
        root: the data folder.
        broker: handle of the broker that workers ask.
        note: called with a line for the log.
    """

    def __init__(self, study: Study, root: Path, broker: Any, note: Callable[[str], None]) -> None:
        self.study, self.root, self.broker, self.note = study, root, broker, note
        self.error: BaseException | None = None
        self._models: dict[str, Any] = {}
        self._kept: list[ray.ObjectRef] = []  # the driver owns them as long as the study runs
        self._thread = threading.Thread(target=self._fill, daemon=True)

    def start(self, needed: list[str]) -> None:
        """Begin to prepare these tasks, in their order."""
        self._needed = needed
        self._thread.start()

    def pretrained(self, task: str) -> Any:
        """The encoder with the task's head; there once a trial of the task has run."""
        return self._models[task]

    def _fill(self) -> None:
        try:
            self._check_settings()
            for name in self._needed:
                self._provide(name)
        except BaseException as error:  # the main thread raises it
            self.error = error

    def _check_settings(self) -> None:
        """Raises InputError for settings that some task's model cannot take, before any trains."""
        from ..models.setting_checks import setting_problems

        if problems := setting_problems(self.study, self._needed, download=True):
            raise InputError(self.study.name, problems)
        for note in unused_field_notes(self.study):
            self.note(note)

    def _provide(self, name: str) -> None:
        from ..models import read_pretrained
        from ..models.pretrained import read_tokenizer
        from ..models.teacher_model import read_teacher

        task = tasks.get(name)
        tokenizer = read_tokenizer(self.study.model_of(name), self._texts(name))
        hyper = self.study.hyperparameters(
            name, {}
        )  # what shapes data and head is fixed: trials share it
        if "subwords" in hyper.view_kinds():
            unigram.of_tokenizer(tokenizer)  # refuses other kinds before anything is prepared
        present = readers.present_splits(task, self.root)
        train, spare = self.study.training_splits(name), self.study.leave_out
        parts = [self._prepared(task, split, tokenizer, hyper, spare) for split in train]
        train = encoding_cache.concat_splits(parts)
        self._tell_schedules(task, train)
        splits = {"train": self._put(_worker_input(train, parts))}
        for split in (s for s in task.dev if s.name in present):
            made = self._prepared(task, split, tokenizer, hyper)
            table = encoding_cache.subsample(made.table, hyper.dev_examples)
            if text := one_label(task, table):
                self.note(f"{name} {split.name}: {text}")
            splits[split.name] = self._put(_worker_input(table, [made]))
        pretrained = read_pretrained(self.study.model_of(name), task, tokenizer, hyper)
        self._models[name] = pretrained
        for note in pretrained.notes:
            self.note(f"{name}: {note}")
        material = {"splits": splits, "pretrained": self._put(pretrained)}
        if folder := getattr(hyper, "teacher", None):
            teacher = read_teacher(folder, task, pretrained, tokenizer, hyper, self.note)
            material["teacher"] = self._put(teacher)
        if hyper.view_kinds():
            material["views"] = self._put(self._views(task, train, tokenizer, hyper))
        ray.get(self.broker.publish_data.remote(name, material))

    def _prepared(
        self,
        task: tasks.Task,
        split: tasks.Split,
        tokenizer: Any,
        hyper: Hyperparameters,
        spare: int = 0,
    ) -> encoding_cache.Prepared:
        made = encoding_cache.prepare(task, split, self.root, tokenizer, hyper, spare)
        return self._noted(task, split.name, made)

    def _noted(
        self, task: tasks.Task, split: str, made: encoding_cache.Prepared
    ) -> encoding_cache.Prepared:
        known = "from the cache" if made.cached else "prepared"
        self.note(f"{task.name} {split}: {describe_count(task, made.table)} {known}")
        if made.skipped:
            self.note(f"{task.name} {split}: {made.skipped}")
        return made

    def _views(
        self, task: tasks.Task, train: pa.Table, tokenizer: Any, hyper: Hyperparameters
    ) -> dict[str, Any]:
        """What the views of a training set are made from.

        Returns:
            `tokenizer`; `dictionaries`, language -> word -> translations; `pool`, table and padding
            of translations, None where none are needed; `candidates`, offsets and rows: the rows of
            the pool that translate each training row.
        """
        spare = self.study.leave_out
        found = resources.find_resources(task, self.root, hyper.view_kinds(), spare)
        if found.missing:
            raise InputError(task.name, found.missing)
        for note in found.notes:
            self.note(f"{task.name} {note}")
        made: dict[str, Any] = {"tokenizer": tokenizer, "pool": None, "candidates": None}
        made["dictionaries"] = dictionaries.read(found.dictionaries)
        if found.translations:
            parts = translation_pool.prepare_translations(task, self.root, tokenizer, hyper, spare)
            pool = translation_pool.join_translations(
                task, train, [self._noted(task, *part) for part in parts]
            )
            made |= {"pool": (pool.table, pool.padding), "candidates": (pool.offsets, pool.rows)}
            self._tell_matches(task, pool, train)
        return made

    def _tell_matches(
        self, task: tasks.Task, pool: translation_pool.TranslationPool, train: pa.Table
    ) -> None:
        """How many rows have a translation. Raises InputError where none has that should."""
        if not (pool.matched or translation_pool.has_numbered_ids(task)):
            text = "none is of a row of the training set: the files are of another one"
            raise InputError(task.name, [Problem(location="translations", text=text)])
        self.note(f"{task.name} translations: of {pool.matched:,} of {train.num_rows:,} rows")

    def _tell_schedules(self, task: tasks.Task, train: pa.Table) -> None:
        """What schedules do otherwise than the study says, of as many examples as there are."""
        if task.head in schedule_notes.UNCOUNTED_HEADS:
            return
        examples = (
            len(encoding_cache.example_ends(train)) if task.head == "choose" else train.num_rows
        )
        for line in schedule_notes.schedule_notes(self.study, task.name, examples):
            self.note(f"{task.name} {line}")

    def _texts(self, name: str) -> Iterator[str]:
        task = tasks.get(name)
        for example in readers.read(task, task.train, self.root, max_bad_rows=self.study.leave_out):
            for field in task.inputs:
                yield from [example[field]] if isinstance(example[field], str) else example[field]

    def _put(self, value: Any) -> ray.ObjectRef:
        reference = ray.put(value)
        self._kept.append(reference)
        return reference


def _worker_input(
    table: pa.Table, parts: list[encoding_cache.Prepared]
) -> tuple[Any, dict[str, int]]:
    """What workers open: a table of some or all rows of these parts, or where a whole text is; its
    padding."""
    if token_stream.is_token_stream(table.schema) and table.num_rows == sum(
        p.table.num_rows for p in parts
    ):
        paths, node = (str(p.path) for p in parts), ray.get_runtime_context().get_node_id()
        return StoredText(paths=tuple(paths), node=node), parts[0].padding
    return table, parts[0].padding


def one_label(task: tasks.Task, table: pa.Table) -> str:
    """Return what is to be told of dev examples that all have one label; empty where they differ.

    Args:
        table: of the examples that are scored.
    """
    if task.head not in ("classify", "regress") or LABEL not in table.column_names:
        return ""
    if len(table[LABEL].unique()) != 1:
        return ""
    which = table[LABEL][0].as_py()
    named = task.labels[which] if task.labels else f"{which:g}"
    text = f"all {table.num_rows:,} examples that are scored have the label '{named}': to predict"
    return f"{text} it alone looks perfect, and correlations are 0; dev_examples can be raised"


def describe_count(task: tasks.Task, table: pa.Table) -> str:
    """How many examples a prepared table holds, and of how many rows, where it has several of one:
    "1,223 examples (4,892 rows)"."""
    examples, rows = len(encoding_cache.example_ends(table)), table.num_rows
    said = f"{examples:,} examples"
    name = "windows" if task.head == "span" else "rows"
    return said if examples == rows else f"{said} ({rows:,} {name})"
