"""Raw files to token ids: once per (data, tokenizer, lengths), cached by content.

It knows how a head reads text; it knows neither model weights nor Ray."""

import hashlib
import json
import os
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
from ..tasks import Example, Split, Task
from . import readers
from .columns import GROUP, ID, INPUT, LABEL, LANGUAGE, TYPE, token_types
from .encoders import (
    masked_lm,
    multiple_choice,
    question_answering,
    sequence_classification,
    token_classification,
)
from .token_stream import TokenStream, is_token_stream, open_memory_mapped

FORMAT = 4  # raise it when the same input would prepare to something else
CHUNK = 2000
# How each head reads text: `encode`, `padding` and `SHAPE`, the hyperparameters that it minds. Some
# have `facts`, what a table tells of the tokenizer; some `LOST`, why they leave out examples; some
# `chunks`, how many examples they encode at once.
ENCODERS = {
    "classify": sequence_classification,
    "regress": sequence_classification,
    "choose": multiple_choice,
    "tag": token_classification,
    "span": question_answering,
    "thought": masked_lm,
}

__all__ = [
    "GROUP",
    "ID",
    "INPUT",
    "LABEL",
    "Prepared",
    "TokenStream",
    "cache_folder",
    "concat_splits",
    "example_ends",
    "is_token_stream",
    "prepare",
    "prepare_examples",
    "subsample",
    "tokenizer_digest",
]  # fmt: skip

# Gives examples, and after the last tells what was left out.
Source = Callable[[Callable[[readers.RowErrors], None]], Iterable[Example]]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One split as token ids.

    Attributes:
        table: list columns of token values, `label` where labelled, `id`; memory-mapped, and but
            for a text in one piece.
        path: its file.
        padding: list column -> value that pads it.
        digest: identity of what it was made from.
        cached: whether it was there already.
        left: what of the files was left out, and why; empty for nothing.
    """

    table: pa.Table
    path: Path
    padding: dict[str, int]
    digest: str
    cached: bool
    skipped: str = ""


def cache_folder() -> Path:
    """Where prepared data is kept: RAYSEARCH_CACHE, or raysearch under the user's cache folder."""
    named = os.environ.get("RAYSEARCH_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(home) / "raysearch"


def prepare(
    task: Task, split: Split, root: Path, tokenizer: Any, hyper: Hyperparameters, spare: int = 0
) -> Prepared:
    """Token ids of a split, from the cache where it was prepared before.

    Args:
        root: the data folder.
        tokenizer: a fast tokenizer, or one that gives offsets and a digest.
        hyper: lengths and layouts; what else it holds does not matter.
        spare: unusable examples that may be left out.

    Raises:
        InputError: every broken row with its file and line.
    """

    def examples(left: Callable[[readers.RowErrors], None]) -> Iterator[Example]:
        return readers.read(task, split, root, spare=spare, left=left)

    source = readers.fingerprint(task, split, root)
    return prepare_examples(task, split, tokenizer, hyper, examples, source, spare)


def prepare_examples(
    task: Task, split: Split, tokenizer: Any, hyper: Hyperparameters, examples: Source, source: str,
    spare: int = 0,
) -> Prepared:  # fmt: skip
    """Token ids of examples that stand for those of a split: see `prepare`.

    Args:
        source: identity of what the examples are made from.
    """
    encoder, train = ENCODERS[task.head], split in task.training_splits()
    padding = encoder.padding(tokenizer)
    shape = [(name, getattr(hyper, name)) for name in encoder.SHAPE]
    key = (FORMAT, task.head, task.inputs, task.labels, split.labelled, shape,
           sorted(padding.items()), train, task.by_language, split.language, spare,
           tokenizer.model_max_length, source, tokenizer_digest(tokenizer))  # fmt: skip
    key = (*key, token_types(tokenizer)) if TYPE in padding else key
    key = (*key, "said") if train and hyper.view_kinds() else key
    digest = hashlib.sha256(repr(key).encode()).hexdigest()
    path = cache_folder().absolute() / "prepared" / f"{digest[:32]}.arrow"
    told = path.with_suffix(".left")
    table = _load(path)
    cached = table is not None
    if table is None:
        remove_file(told)
        tell = partial(_tell, told)
        given = examples(lambda faults: tell(faults.summary()))
        language = split.language or "" if task.by_language else ""
        batches = _encoded(given, task, tokenizer, hyper, tell, train=train, language=language)
        _write(path, batches)
        table = _load(path)
        assert table is not None, f"{path} cannot be read back"
    left = told.read_text(encoding="utf-8") if told.is_file() else ""
    if not table.num_rows:
        text = f"no example of {hyper.max_length} tokens or fewer; a larger max_length would do"
        if task.head == "span":
            text = f"no example is left to learn from: {left}"
        raise InputError(task.name, [Problem(location=split.name, text=text)])
    return Prepared(
        table=table, path=path, padding=padding, digest=digest, cached=cached, skipped=left
    )


def _tell(path: Path, text: str) -> None:
    """Keep beside the prepared data what its files held that it does not."""
    before = f"{path.read_text(encoding='utf-8')}; " if path.is_file() else ""
    write_atomically(path, before + text)


def concat_splits(parts: Sequence[Prepared]) -> pa.Table:
    """The rows of several splits, in one piece; those of texts where they lie."""
    table = pa.concat_tables([part.table for part in parts])
    return table if is_token_stream(table.schema) else table.combine_chunks()


def example_ends(table: pa.Table) -> Sequence[int]:
    """The row behind each example's last, [examples]; rows of an example stand together and share
    its id. Of a text each is a line."""
    if is_token_stream(table.schema):
        return range(1, table.num_rows + 1)
    return pa.compute.run_end_encode(table.column(ID).combine_chunks()).run_ends.to_numpy()


def subsample(table: pa.Table, count: int | None) -> pa.Table:
    """The rows of so many examples, evenly spread over the file; all of them for None."""
    stops = example_ends(table)
    if count is None or count >= len(stops):
        return table
    chosen = np.linspace(0, len(stops) - 1, count).astype(int)
    spans = [(stops[at - 1] if at else 0, stops[at]) for at in chosen]
    return pa.concat_tables([table.slice(at, end - at) for at, end in spans]).combine_chunks()


def tokenizer_digest(tokenizer: Any) -> str:
    """Identity of a tokenizer: its whole pipeline, without what its last call left set; where it
    has none, its own `digest`."""
    if not tokenizer.is_fast:
        return tokenizer.digest
    pipeline = json.loads(tokenizer.backend_tokenizer.to_str())
    pipeline |= {"truncation": None, "padding": None}
    return hashlib.sha256(json.dumps(pipeline, sort_keys=True).encode()).hexdigest()


def _load(path: Path) -> pa.Table | None:
    """The table of a cache file, memory-mapped; None where there is no whole one."""
    try:
        table = open_memory_mapped(path)
        table.validate(full=True)
    except (OSError, pa.ArrowInvalid):
        return None
    return table if is_token_stream(table.schema) else table.combine_chunks()


def _encoded(
    examples: Iterable[dict[str, Any]], task: Task, tokenizer: Any, hyper: Hyperparameters,
    tell: Callable[[str], None], *, train: bool, language: str,
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    """Record batches of tokenized examples, a chunk at a time."""
    encoder = ENCODERS[task.head]
    facts = {LANGUAGE: language}
    if hasattr(encoder, "facts"):
        facts |= encoder.facts(tokenizer)
    why, lost = getattr(encoder, "LOST", "") if train else "", 0
    for chunk in getattr(encoder, "chunks", _chunks)(iter(examples)):
        columns = encoder.encode(chunk, task, tokenizer, hyper, train=train)
        group = len(columns[ID]) // len(chunk) if task.head == "choose" else 1
        if why:
            ids = Counter(example["id"] for example in chunk)
            lost += (ids - Counter(columns[ID].to_pylist())).total()
        whole = {GROUP: str(group), **facts}
        yield pa.RecordBatch.from_pydict(columns).replace_schema_metadata(whole)
    if lost:
        tell(f"{lost:,} examples left out: {why.format(hyper.max_length)}")


def _chunks(examples: Iterator[Example]) -> Iterator[list[Example]]:
    while chunk := list(islice(examples, CHUNK)):
        yield chunk


def _write(path: Path, batches: Iterator[pa.RecordBatch]) -> None:
    """Publish by rename: a reader sees a whole file or none, a failed write leaves nothing.

    The batches become one, so that whoever maps the file needs no copy to have them in one piece;
    those of a text, which may be larger than memory, stay.

    Raises:
        InputError: there is no room, or no right to write.
    """
    first = next(batches)
    try:
        with staged_file(path) as pieces, staged_file(path) as whole:
            with pa.ipc.new_file(str(pieces), first.schema) as writer:
                for batch in chain([first], batches):
                    writer.write_batch(batch)
            if not is_token_stream(first.schema):
                with pa.ipc.new_file(str(whole), first.schema) as writer:
                    writer.write_table(open_memory_mapped(pieces).combine_chunks())
                move(whole, pieces)
            move(pieces, path)
    except OSError as error:
        text = f"cannot be written: {error}\nRAYSEARCH_CACHE can name a folder with room"
        raise InputError(str(path.parent), [Problem(location="cache", text=text)]) from error
