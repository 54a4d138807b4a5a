"""Raw files to token ids: once per (data, tokenizer, lengths), cached by content.

It knows how a head reads text; it knows neither model weights nor Ray."""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from .. import readers
from ..errors import InputError, Problem
from ..recipes import Hyper
from ..tasks import Split, Task
from . import lines, options, texts, windows, words
from .columns import GROUP, ID, INPUT, LABEL, LANGUAGE

FORMAT = 3  # raise it when the same input would prepare to something else
CHUNK = 2000
# How each head reads text: `encode`, `padding` and `SHAPE`, the hyperparameters that it minds.
ENCODERS = {
    "classify": texts,
    "regress": texts,
    "choose": options,
    "tag": words,
    "span": windows,
    "thought": lines,
}

__all__ = ["GROUP", "ID", "INPUT", "LABEL", "Prepared", "cache_folder", "few", "prepare",
           "tokenizer_digest"]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One split as token ids.

    Attributes:
        table: list columns of token values, `label` where labelled, `id`.
        padding: list column -> value that pads it.
        digest: identity of what it was made from.
        cached: whether it was there already.
        left: what of the files was left out, and why; empty for nothing.
    """

    table: pa.Table
    padding: dict[str, int]
    digest: str
    cached: bool
    left: str = ""


def cache_folder() -> Path:
    """Where prepared data is kept: RAYSEARCH_CACHE, or raysearch under the user's cache folder."""
    named = os.environ.get("RAYSEARCH_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(home) / "raysearch"


def prepare(
    task: Task, split: Split, root: Path, tokenizer: Any, hyper: Hyper, spare: int = 0
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
    encoder, train = ENCODERS[task.head], split in task.trainings()
    padding = encoder.padding(tokenizer)
    shape = [(name, getattr(hyper, name)) for name in encoder.SHAPE]
    key = (FORMAT, task.head, task.inputs, task.labels, split.labelled, shape, sorted(padding),
           train, task.by_language, split.language, spare, tokenizer.model_max_length,
           readers.fingerprint(task, split, root), tokenizer_digest(tokenizer))  # fmt: skip
    digest = hashlib.sha256(repr(key).encode()).hexdigest()
    path = cache_folder() / "prepared" / f"{digest[:32]}.arrow"
    told = path.with_suffix(".left")
    table = _load(path)
    cached = table is not None
    if table is None:
        told.unlink(missing_ok=True)
        tell = partial(_tell, told)
        examples = readers.read(task, split, root, spare=spare, left=lambda f: tell(f.told()))
        language = split.language or "" if task.by_language else ""
        batches = _encoded(examples, task, tokenizer, hyper, tell, train=train, language=language)
        _write(path, batches)
        table = _load(path)
        assert table is not None, f"{path} cannot be read back"
    if not table.num_rows:
        text = f"no example of {hyper.max_length} tokens or fewer; a larger max_length would do"
        raise InputError(task.name, [Problem(place=split.name, text=text)])
    left = told.read_text(encoding="utf-8") if told.is_file() else ""
    return Prepared(table=table, padding=padding, digest=digest, cached=cached, left=left)


def _tell(path: Path, text: str) -> None:
    """Keep beside the prepared data what its files held that it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = f"{path.read_text(encoding='utf-8')}; " if path.is_file() else ""
    path.write_text(before + text, encoding="utf-8")


def few(table: pa.Table, count: int | None) -> pa.Table:
    """The rows of so many examples, evenly spread over the file; all of them for None."""
    ids = pa.compute.run_end_encode(table.column(ID).combine_chunks())
    ends = ids.run_ends.to_numpy()
    if count is None or count >= len(ends):
        return table
    chosen = np.linspace(0, len(ends) - 1, count).astype(int)
    begins = np.concatenate([[0], ends[:-1]])
    rows = np.concatenate([np.arange(begins[at], ends[at]) for at in chosen])
    return table.take(rows).combine_chunks()


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
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all().combine_chunks()
        table.validate(full=True)
    except (OSError, pa.ArrowInvalid):
        return None
    return table


def _encoded(
    examples: Iterable[dict[str, Any]], task: Task, tokenizer: Any, hyper: Hyper,
    tell: Callable[[str], None], *, train: bool, language: str,
) -> Iterator[pa.RecordBatch]:  # fmt: skip
    """Record batches of tokenized examples, a chunk at a time."""
    encoder, examples = ENCODERS[task.head], iter(examples)
    encode, further = encoder.encode, encoder.facts(tokenizer) if task.head == "thought" else {}
    lost = 0
    while chunk := list(islice(examples, CHUNK)):
        columns = encode(chunk, task, tokenizer, hyper, train=train)
        group = len(columns[ID]) // len(chunk) if task.head == "choose" else 1
        facts = {GROUP: str(group), LANGUAGE: language, **further}
        several = encoder is not texts  # rows of an example
        kept = pa.compute.count_distinct(columns[ID]).as_py() if several else len(columns[ID])
        lost += len(chunk) - kept
        yield pa.RecordBatch.from_pydict(columns).replace_schema_metadata(facts)
    if lost and train and hasattr(encoder, "LOST"):
        tell(f"{lost:,} examples left out: {encoder.LOST.format(hyper.max_length)}")


def _write(path: Path, batches: Iterator[pa.RecordBatch]) -> None:
    """Publish by rename: a reader sees a whole file or none, a failed write leaves nothing.

    Raises:
        InputError: there is no room, or no right to write.
    """
    first = next(batches)
    temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex}.writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pa.ipc.new_file(str(temporary), first.schema) as writer:
            for batch in chain([first], batches):
                writer.write_batch(batch)
        os.replace(temporary, path)
    except OSError as error:
        text = f"cannot be written: {error}\nRAYSEARCH_CACHE can name a folder with room"
        raise InputError(str(path.parent), [Problem(place="cache", text=text)]) from error
    finally:
        temporary.unlink(missing_ok=True)
