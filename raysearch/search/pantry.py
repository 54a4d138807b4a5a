"""The pantry: prepares every task in the background and lays it out in the object store.

Lanes come up meanwhile; a worker that needs a task before it is ready waits at the desk."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import ray

from .. import prepare, readers, tasks
from ..recipes import Hyper
from ..study import Study


class Pantry:
    """Prepared data and pretrained weights of a study's tasks.

    Args:
        study: its tasks, model and lengths.
        root: the data folder.
        desk: handle of the desk that workers ask.
        note: called with a line for the log.
    """

    def __init__(self, study: Study, root: Path, desk: Any, note: Callable[[str], None]) -> None:
        self.study, self.root, self.desk, self.note = study, root, desk, note
        self.error: BaseException | None = None
        self._models: dict[str, Any] = {}
        self._kept: list[ray.ObjectRef] = []  # the driver owns them as long as the study runs
        self._weights: dict[tuple[str, ...], ray.ObjectRef] = {}
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
            for name in self._needed:
                self._provide(name)
        except BaseException as error:  # the main thread raises it
            self.error = error

    def _provide(self, name: str) -> None:
        from ..models import read
        from ..models.pretrained import read_tokenizer

        task = tasks.get(name)
        tokenizer = read_tokenizer(self.study.model_of(name), self._texts(name))
        hyper = self.study.hyper(name, {})  # what shapes data and head is fixed: trials share it
        present = readers.present_splits(task, self.root)
        train, spare = self.study.trainings(name), self.study.leave_out
        parts = [self._prepared(task, split, tokenizer, hyper, spare) for split in train]
        train = pa.concat_tables([part.table for part in parts]).combine_chunks()
        splits = {"train": self._put((train, parts[0].padding))}
        for split in (s for s in task.dev if s.name in present):
            made = self._prepared(task, split, tokenizer, hyper)
            table = prepare.few(made.table, hyper.dev_examples)
            splits[split.name] = self._put((table, made.padding))
        pretrained = read(self.study.model_of(name), task, tokenizer, hyper)
        self._models[name] = pretrained
        material = {"splits": splits, "pretrained": self._put(pretrained)}
        ray.get(self.desk.provide.remote(name, material))

    def _prepared(
        self, task: tasks.Task, split: tasks.Split, tokenizer: Any, hyper: Hyper, spare: int = 0
    ) -> prepare.Prepared:
        made = prepare.prepare(task, split, self.root, tokenizer, hyper, spare)
        known = "from the cache" if made.cached else "prepared"
        self.note(f"{task.name} {split.name}: {counted(task, made.table)} {known}")
        if made.left:
            self.note(f"{task.name} {split.name}: {made.left}")
        return made

    def _texts(self, name: str) -> Iterator[str]:
        task = tasks.get(name)
        for example in readers.read(task, task.train, self.root, spare=self.study.leave_out):
            for field in task.inputs:
                yield from [example[field]] if isinstance(example[field], str) else example[field]

    def _put(self, value: Any) -> ray.ObjectRef:
        reference = ray.put(value)
        self._kept.append(reference)
        return reference


def counted(task: tasks.Task, table: pa.Table) -> str:
    """How many examples a prepared table holds, and of how many rows, where it has several of one:
    "1,223 examples (4,892 rows)". The rows of an example stand together and share its id."""
    examples = len(pc.run_end_encode(table.column(prepare.ID).combine_chunks()).run_ends)
    said, rows = f"{examples:,} examples", table.num_rows
    name = "windows" if task.head == "span" else "rows"
    return said if examples == rows else f"{said} ({rows:,} {name})"
