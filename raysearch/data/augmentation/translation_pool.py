"""TranslationPool: encoded translations of a training set, matched with the rows they translate.

It is apart from the views because the pool is made once per task, and a view is drawn from it in
every epoch.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...recipes import Hyperparameters
from ...recipes.task_losses import IGNORE_INDEX
from ...tasks import Example, Split, Task
from .. import readers
from ..columns import FIRST_WORDS, ID, SECOND_WORDS
from ..encoders.encoder import Encoder
from ..encoding_cache import Prepared, prepare, prepare_examples
from .resources import tag_languages
from .translations import (
    ENGLISH,
    find_path,
    read_sentences,
    sentences_split,
    translated_splits,
)

OnSkipped = Callable[[readers.RowErrors], None]


@dataclass(frozen=True, kw_only=True)
class TranslationPool:
    """The translations of a training set in all languages.

    Attributes:
        table: all rows, as in `Prepared`. Columns of words have a chunk for each language.
        padding: list column -> the value that pads it.
        offsets, rows: int64 [training rows + 1] and [pairs]: the rows of the pool that translate
            training row i are rows[offsets[i]:offsets[i + 1]]. There may be none.
    """

    table: pa.Table
    padding: dict[str, int]
    offsets: np.ndarray
    rows: np.ndarray

    @property
    def matched(self) -> int:
        """Return the number of training rows that have a translation."""
        return int(np.count_nonzero(np.diff(self.offsets)))


def prepare_translations(
    encoder: Encoder,
    task: Task,
    root: Path,
    tokenizer: Any,
    hyper: Hyperparameters,
    max_bad_rows: int = 0,
) -> Iterator[tuple[str, Prepared]]:
    """Yield the name and the encoded rows of every file of translations that exists.

    They come from the cache if they were prepared before. The id of a pair or of a tagged sentence
    identifies the English text. Of two translations of a pair into one language the first is kept.
    Tags of translated words are IGNORE_INDEX.

    Args:
        encoder: see `prepare`.
        task: the task.
        root: the data folder.
        tokenizer: see `prepare`.
        hyper: see `prepare`.
        max_bad_rows: how many broken rows of a file may be left out.

    Raises:
        InputError: every broken row with its line, of the first file that has some.
    """
    if task.facts.labels_words:
        split, languages = sentences_split(task), tag_languages(task)
        source = f"{readers.fingerprint(task, split, root)} {languages}"
        path = find_path(task, split, root)
        assert path is not None, f"{task.name}: no file of translations"
        assert task.train is not None, f"{task.name}: no training set"
        examples = partial(_sentences, path, languages, max_bad_rows)
        prepared = prepare_examples(
            encoder, task, task.train, tokenizer, hyper, examples, source, max_bad_rows
        )
        yield split.name, prepared
        return
    for split in translated_splits(task).values():
        if find_path(task, split, root) is None:
            continue
        task_split = task.splits()[split.name]
        if task.facts.extracts_answers:
            yield (
                split.name,
                prepare(encoder, task, task_split, root, tokenizer, hyper, max_bad_rows),
            )
            continue
        examples = partial(_pairs, task, split, root, max_bad_rows)
        source = readers.fingerprint(task, split, root)
        prepared = prepare_examples(
            encoder, task, task_split, tokenizer, hyper, examples, source, max_bad_rows
        )
        yield split.name, prepared


def join_translations(task: Task, train: pa.Table, parts: Sequence[Prepared]) -> TranslationPool:
    """Return the pool of a prepared training set.

    Args:
        task: the task.
        train: the training set.
        parts: see `prepare_translations`; at least one. Some rows may translate nothing in `train`.
    """
    table = pa.concat_tables([part.table for part in parts])
    # Words do not always fit one chunk of 2 GiB, and are read row by row.
    columns = {
        name: column if name in (FIRST_WORDS, SECOND_WORDS) else column.combine_chunks()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    table = pa.table(columns, metadata=table.schema.metadata)
    if has_numbered_ids(task):
        ids = pa.array([""] * train.num_rows)
    else:
        ids = _translation_ids(task, train)
    offsets, rows = _matches(ids, table.column(ID))
    return TranslationPool(table=table, padding=parts[0].padding, offsets=offsets, rows=rows)


def has_numbered_ids(task: Task) -> bool:
    """Return whether the ids of translations only count them and match no other file (TyDiQA)."""
    return any(file.numbered for split in translated_splits(task).values() for file in split.files)


def _sentences(
    path: Path, languages: Sequence[str], max_bad_rows: int, on_skipped: OnSkipped
) -> Iterator[Example]:
    """Yield translated sentences of tagged words as examples."""
    for sentence, _, words in read_sentences(path, languages, max_bad_rows, on_skipped):
        labels = (IGNORE_INDEX,) * len(words)
        yield {"id": _text_id(sentence), "words": tuple(words), "label": labels}


def _pairs(
    task: Task, split: Split, root: Path, max_bad_rows: int, on_skipped: OnSkipped
) -> Iterator[Example]:
    """Yield the first translation of each pair of texts."""
    used: set[str] = set()
    examples = readers.read(task, split, root, max_bad_rows=max_bad_rows, on_skipped=on_skipped)
    for example in examples:
        identity = _text_id(*(str(example[name]) for name in ENGLISH))
        if identity not in used:
            used.add(identity)
            yield {**example, "id": identity}


def _translation_ids(task: Task, train: pa.Table) -> pa.Array:
    """Return for each training row the id of its translations."""
    if task.facts.extracts_answers:
        return train.column(ID).combine_chunks()
    names = [name for name in (FIRST_WORDS, SECOND_WORDS) if name in train.column_names]
    texts = [pc.binary_join(train.column(name), " ").to_pylist() for name in names]
    return pa.array([_text_id(*row) for row in zip(*texts, strict=True)])


def _matches(ids: pa.Array, pool_ids: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each id the rows of the pool that have it.

    Returns:
        Offsets, int64 [ids + 1], and rows, int64 [pairs].
    """
    distinct = pc.unique(ids)
    codes = pc.index_in(ids, value_set=distinct).to_numpy()
    pool_codes = pc.index_in(pool_ids, value_set=distinct).fill_null(-1).to_numpy()
    order = np.argsort(pool_codes, kind="stable")
    first, stop = (np.searchsorted(pool_codes[order], codes, side) for side in ("left", "right"))
    counts = stop - first
    offsets = np.concatenate([[0], np.cumsum(counts)])
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
    return offsets, order[np.repeat(first, counts) + within]


def _text_id(*texts: str) -> str:
    """Return the identity of texts, regardless of the white space between their words.

    The chance that two of a million share one is 1 to 10 million.
    """
    text = "\t".join(" ".join(part.split()) for part in texts)
    return blake2b(text.encode(), digest_size=8).hexdigest()
