"""The cache of prepared splits: raw files become token ids once per (data, tokenizer, lengths).

It is apart from models and Ray because it needs neither.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ..errors import InputError, Problem
from ..recipes import Hyperparameters
from ..storage import move, remove_file, staged_file, write_atomically
from ..storage.uris import cache_folder
from ..tasks import Example, Split, Task
from . import readers
from .columns import GROUP, ID, INPUT, LABEL, LANGUAGE, TYPE, token_types
from .dev_parts import Mask, spread_indices
from .encoders.encoder import Encoder
from .token_stream import TokenStream, is_token_stream, open_memory_mapped

FORMAT = 4  # raise it when the same input is prepared to something else
CHUNK = 2000  # examples that are encoded at once

__all__ = [
    "GROUP",
    "ID",
    "INPUT",
    "LABEL",
    "Prepared",
    "TokenStream",
    "cache_folder",
    "concat_splits",
    "divide",
    "example_ends",
    "is_token_stream",
    "prepare",
    "prepare_examples",
    "subsample",
    "tokenizer_digest",
]

# Yields examples. After the last one it calls its argument with what was left out.
ExampleSource = Callable[[Callable[[readers.RowErrors], None]], Iterable[Example]]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One split as token ids.

    Attributes:
        table: list columns of token values, `label` if labelled, and `id`. It is memory-mapped, and
            in one chunk unless it is a text.
        path: the file of the table.
        padding: list column -> the value that pads it.
        digest: the identity of the input that it was prepared from.
        cached: whether the file existed already.
        skipped: what was left out of the files, and why; empty if nothing was.
    """

    table: pa.Table
    path: Path
    padding: dict[str, int]
    digest: str
    cached: bool
    skipped: str = ""


def prepare(
    encoder: Encoder,
    task: Task,
    split: Split,
    root: Path,
    tokenizer: Any,
    hyper: Hyperparameters,
    max_bad_rows: int = 0,
) -> Prepared:
    """Return the token ids of a split, from the cache if it was prepared before.

    Args:
        encoder: of the task's head.
        task: the task of the split.
        split: the split.
        root: the data folder.
        tokenizer: a fast tokenizer, or one that gives offsets and has a digest.
        hyper: lengths and layouts; its other values do not matter.
        max_bad_rows: how many unusable examples may be left out.

    Raises:
        InputError: every broken row with its file and line.
    """

    def examples(on_skipped: Callable[[readers.RowErrors], None]) -> Iterator[Example]:
        return readers.read(task, split, root, max_bad_rows=max_bad_rows, on_skipped=on_skipped)

    source = readers.fingerprint(task, split, root)
    return prepare_examples(encoder, task, split, tokenizer, hyper, examples, source, max_bad_rows)


def prepare_examples(
    encoder: Encoder,
    task: Task,
    split: Split,
    tokenizer: Any,
    hyper: Hyperparameters,
    examples: ExampleSource,
    source: str,
    max_bad_rows: int = 0,
) -> Prepared:
    """Return the token ids of examples that take the place of those of a split.

    Args:
        encoder: see `prepare`.
        task: the task of the split.
        split: the split.
        tokenizer: see `prepare`.
        hyper: see `prepare`.
        examples: yields the examples.
        source: the identity of what the examples are made from.
        max_bad_rows: how many unusable examples may be left out.

    Raises:
        InputError: every broken row with its file and line, or no example is usable.
    """
    train = split in task.training_splits()
    padding = encoder.padding(tokenizer)
    digest = _digest(encoder, task, split, tokenizer, hyper, source, max_bad_rows)
    path = cache_folder().absolute() / "prepared" / f"{digest[:32]}.arrow"
    note_path = path.with_suffix(".left")
    table = _load(path)
    cached = table is not None
    if table is None:
        remove_file(note_path)
        note = partial(_append_note, note_path)
        language = split.language or "" if task.by_language else ""
        rows = examples(lambda errors: note(errors.summary()))
        batches = _encode(
            encoder, rows, task, tokenizer, hyper, note, train=train, language=language
        )
        _write(path, batches)
        table = _load(path)
        assert table is not None, f"{path} cannot be read back"
    skipped = note_path.read_text(encoding="utf-8") if note_path.is_file() else ""
    if not table.num_rows:
        text = encoder.none_left.format(max_length=hyper.max_length, skipped=skipped)
        raise InputError(task.name, [Problem(location=split.name, text=text)])
    return Prepared(
        table=table, path=path, padding=padding, digest=digest, cached=cached, skipped=skipped
    )


def _digest(
    encoder: Encoder,
    task: Task,
    split: Split,
    tokenizer: Any,
    hyper: Hyperparameters,
    source: str,
    max_bad_rows: int,
) -> str:
    """Return the identity of all that a prepared split depends on, SHA-256."""
    train, padding = split in task.training_splits(), encoder.padding(tokenizer)
    shape = [(name, getattr(hyper, name)) for name in encoder.shape]
    key: tuple[object, ...] = (
        FORMAT,
        task.head,
        task.inputs,
        task.labels,
        split.labelled,
        shape,
        sorted(padding.items()),
        train,
        task.by_language,
        split.language,
        max_bad_rows,
        tokenizer.model_max_length,
        source,
        tokenizer_digest(tokenizer),
    )
    key = (*key, token_types(tokenizer)) if TYPE in padding else key
    key = (*key, "said") if train and hyper.view_kinds() else key
    return hashlib.sha256(repr(key).encode()).hexdigest()


def _append_note(path: Path, text: str) -> None:
    """Note beside the prepared data what was left out of it."""
    before = f"{path.read_text(encoding='utf-8')}; " if path.is_file() else ""
    write_atomically(path, before + text)


def concat_splits(parts: Sequence[Prepared]) -> pa.Table:
    """Concatenate prepared splits.

    Tables are copied into one chunk. Texts stay memory-mapped.
    """
    table = pa.concat_tables([part.table for part in parts])
    return table if is_token_stream(table.schema) else table.combine_chunks()


def example_ends(table: pa.Table) -> Sequence[int] | np.ndarray:
    """Return the row after the last one of each example, [examples].

    The rows of an example are adjacent and share its id. In a text each row is an example.
    """
    if is_token_stream(table.schema):
        return range(1, table.num_rows + 1)
    ids = table.column(ID).combine_chunks()
    ends: np.ndarray = pa.compute.run_end_encode(ids).run_ends.to_numpy()
    return ends


def subsample(table: pa.Table, count: int | None) -> pa.Table:
    """Return the rows of `count` examples, evenly spread over the file; all rows for None."""
    ends = example_ends(table)
    if count is None or count >= len(ends):
        return table
    return _select_examples(table, ends, spread_indices(len(ends), count))


def divide(table: pa.Table, held_out: Mask) -> tuple[pa.Table, pa.Table]:
    """Return the rows of the examples that are not held out, and those of the others.

    Args:
        table: a prepared split, or some of its examples.
        held_out: which examples are held out, [examples].
    """
    ends = example_ends(table)
    assert len(ends) == len(held_out), "the examples that were divided are others"
    searched, printed = (
        _select_examples(table, ends, np.flatnonzero(chosen)) for chosen in (~held_out, held_out)
    )
    return searched, printed


def _select_examples(
    table: pa.Table, ends: Sequence[int] | np.ndarray, chosen: Iterable[int]
) -> pa.Table:
    """Return the rows of the examples with these indices; `ends` is of `example_ends`."""
    spans = [(ends[index - 1] if index else 0, ends[index]) for index in chosen]
    return pa.concat_tables(
        [table.slice(start, end - start) for start, end in spans]
    ).combine_chunks()


def tokenizer_digest(tokenizer: Any) -> str:
    """Return the identity of a tokenizer.

    It covers the whole pipeline, without the truncation and padding that the last call left set. A
    slow tokenizer has its own `digest`.
    """
    if not tokenizer.is_fast:
        return str(tokenizer.digest)
    pipeline = json.loads(tokenizer.backend_tokenizer.to_str())
    pipeline |= {"truncation": None, "padding": None}
    return hashlib.sha256(json.dumps(pipeline, sort_keys=True).encode()).hexdigest()


def _load(path: Path) -> pa.Table | None:
    """Return the table of a cache file, memory-mapped; None if there is no complete one."""
    try:
        table = open_memory_mapped(path)
        table.validate(full=True)
    except (OSError, pa.ArrowInvalid):
        return None
    return table if is_token_stream(table.schema) else table.combine_chunks()


def _encode(
    encoder: Encoder,
    examples: Iterable[Example],
    task: Task,
    tokenizer: Any,
    hyper: Hyperparameters,
    note: Callable[[str], None],
    *,
    train: bool,
    language: str,
) -> Iterator[pa.RecordBatch]:
    """Yield record batches of encoded examples, and note how many were lost."""
    facts, chunks = {LANGUAGE: language, **encoder.facts(tokenizer)}, encoder.chunks or _chunks
    reason, lost = encoder.lost if train else "", 0
    for chunk in chunks(iter(examples)):
        columns = encoder.encode(chunk, task, tokenizer, hyper, train=train)
        group = len(columns[ID]) // len(chunk) if task.facts.groups_options else 1
        if reason:
            ids = Counter(example["id"] for example in chunk)
            lost += (ids - Counter(columns[ID].to_pylist())).total()
        metadata = {GROUP: str(group), **facts}
        yield pa.RecordBatch.from_pydict(columns).replace_schema_metadata(metadata)
    if lost:
        note(f"{lost:,} examples left out: {reason.format(max_length=hyper.max_length)}")


def _chunks(examples: Iterator[Example]) -> Iterator[list[Example]]:
    while chunk := list(islice(examples, CHUNK)):
        yield chunk


def _write(path: Path, batches: Iterator[pa.RecordBatch]) -> None:
    """Write a table and publish it by rename.

    A reader finds a complete file or none, and a failed write leaves nothing. The batches become
    one, so that a memory-mapped table is in one chunk without a copy. The batches of a text stay,
    because a text may be larger than memory.

    Raises:
        InputError: the disk is full, or the folder may not be written.
    """
    first = next(batches)
    try:
        with staged_file(path) as chunked, staged_file(path) as combined:
            with pa.ipc.new_file(str(chunked), first.schema) as writer:
                for batch in chain([first], batches):
                    writer.write_batch(batch)
            if not is_token_stream(first.schema):
                with pa.ipc.new_file(str(combined), first.schema) as writer:
                    writer.write_table(open_memory_mapped(chunked).combine_chunks())
                move(combined, chunked)
            move(chunked, path)
    except OSError as error:
        text = f"cannot be written: {error}\nRAYSEARCH_CACHE can name a folder with room"
        raise InputError(str(path.parent), [Problem(location="cache", text=text)]) from error
