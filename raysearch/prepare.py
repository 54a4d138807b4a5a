"""Raw files to token ids: once per (data, tokenizer, lengths), cached by content.

It knows how a head reads text; it knows neither model weights nor Ray."""

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from . import readers
from .errors import InputError, Problem
from .tasks import Split, Task

FORMAT = 1  # raise it when the same input would prepare to something else
CHUNK = 2000
LABEL, ID, INPUT = "label", "id", "input_ids"  # columns of a prepared table


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One split as token ids.

    Attributes:
        table: list columns of token values, `label` where labelled, `id`.
        padding: list column -> value that pads it.
        digest: identity of what it was made from.
        cached: whether it was there already.
    """

    table: pa.Table
    padding: dict[str, int]
    digest: str
    cached: bool


def cache_folder() -> Path:
    """Where prepared data is kept: RAYSEARCH_CACHE, or raysearch under the user's cache folder."""
    named = os.environ.get("RAYSEARCH_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(home) / "raysearch"


def prepare(task: Task, split: Split, root: Path, tokenizer: Any, max_length: int) -> Prepared:
    """Token ids of a split, from the cache where it was prepared before.

    Args:
        root: the data folder.
        tokenizer: a fast tokenizer.
        max_length: longer examples are cut, the longer text of a pair first.

    Raises:
        InputError: every broken row with its file and line.
    """
    length, padding = min(max_length, tokenizer.model_max_length), _padding(tokenizer)
    key = (FORMAT, task.head, task.inputs, task.labels, split.labelled, length, sorted(padding),
           readers.fingerprint(task, split, root), tokenizer_digest(tokenizer))  # fmt: skip
    digest = hashlib.sha256(repr(key).encode()).hexdigest()
    path = cache_folder() / "prepared" / f"{digest[:32]}.arrow"
    table = _load(path)
    cached = table is not None
    if table is None:
        _write(path, _encoded(readers.read(task, split, root), task, tokenizer, length))
        table = _load(path)
        assert table is not None, f"{path} cannot be read back"
    return Prepared(table=table, padding=padding, digest=digest, cached=cached)


def tokenizer_digest(tokenizer: Any) -> str:
    """Identity of a tokenizer: its whole pipeline, without what its last call left set."""
    pipeline = json.loads(tokenizer.backend_tokenizer.to_str())
    pipeline |= {"truncation": None, "padding": None}
    return hashlib.sha256(json.dumps(pipeline, sort_keys=True).encode()).hexdigest()


def _padding(tokenizer: Any) -> dict[str, int]:
    names = {INPUT: tokenizer.pad_token_id or 0, "token_type_ids": tokenizer.pad_token_type_id}
    return {n: fill for n, fill in names.items() if n == INPUT or n in tokenizer.model_input_names}


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
    examples: Iterable[dict[str, Any]], task: Task, tokenizer: Any, max_length: int
) -> Iterator[pa.RecordBatch]:
    """Record batches of tokenized examples, a chunk at a time."""
    examples = iter(examples)
    while chunk := list(islice(examples, CHUNK)):
        texts = [[example[name] for example in chunk] for name in task.inputs]
        tokens = tokenizer(
            *texts,
            truncation="longest_first" if len(texts) > 1 else True,
            max_length=max_length,
            return_attention_mask=False,
        )
        columns = {name: _lists(tokens[name]) for name in _padding(tokenizer)}
        if chunk[0]["label"] is not None:
            kind = pa.float32() if task.head == "regress" else pa.int64()
            columns[LABEL] = pa.array([example["label"] for example in chunk], kind)
        columns[ID] = pa.array([example["id"] for example in chunk], pa.string())
        yield pa.RecordBatch.from_pydict(columns)


def _lists(rows: list[list[int]]) -> pa.ListArray:
    offsets = np.zeros(len(rows) + 1, dtype=np.int32)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    values = np.fromiter((token for row in rows for token in row), np.int32, int(offsets[-1]))
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


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
