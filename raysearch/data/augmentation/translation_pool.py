"""Translations of a task's training set as prepared rows, and which of them translate which of its
rows. Knows how translations are matched with what they translate, and nothing of how a view is
drawn from them."""

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
from ...recipes.finetune import IGNORE_INDEX
from ...tasks import Example, Split, Task
from .. import readers
from ..columns import FIRST_WORDS, ID, SECOND_WORDS
from ..encoding_cache import Prepared, prepare, prepare_examples
from .resources import tagged
from .translations import ENGLISH, path_of, sentences, sentences_of, translated

Left = Callable[[readers.RowErrors], None]


@dataclass(frozen=True, kw_only=True)
class TranslationPool:
    """Translations of a training set, in all languages.

    Attributes:
        table, padding: of all rows, as `Prepared` has them. Columns of words are in pieces, one for
            each language.
        offsets, rows: int64 [training rows + 1] and [pairs]: of each training row, the rows of the
            pool that translate it; none for some.
    """

    table: pa.Table
    padding: dict[str, int]
    offsets: np.ndarray
    rows: np.ndarray

    @property
    def matched(self) -> int:
        """Training rows that have a translation."""
        return int(np.count_nonzero(np.diff(self.offsets)))


def prepare_translations(
    task: Task, root: Path, tokenizer: Any, hyper: Hyperparameters, spare: int = 0
) -> Iterator[tuple[str, Prepared]]:
    """Name and rows of every file of translations that is there, from the cache where they were
    prepared before.

    The id of a pair or of a tagged sentence tells what it translates; of two translations of a
    pair into one language the first is kept. Tags of translated words are NO_TAG.

    Raises:
        InputError: every broken row with its line, of the first file that has some.
    """
    options = {"tokenizer": tokenizer, "hyper": hyper, "spare": spare}
    if task.head == "tag":
        split, languages = sentences_of(task), tagged(task)
        examples = partial(_sentences, path_of(task, split, root), languages, spare)
        source = f"{readers.fingerprint(task, split, root)} {languages}"
        yield (
            split.name,
            prepare_examples(task, task.train, examples=examples, source=source, **options),
        )
        return
    for split in translated(task).values():
        if path_of(task, split, root) is None:
            continue
        usual = task.splits()[split.name]
        if task.head == "span":
            yield split.name, prepare(task, usual, root, **options)
            continue
        examples = partial(_pairs, task, split, root, spare)
        source = readers.fingerprint(task, split, root)
        yield split.name, prepare_examples(task, usual, examples=examples, source=source, **options)


def join_translations(task: Task, train: pa.Table, found: Sequence[Prepared]) -> TranslationPool:
    """The pool of a prepared training set, which may hold rows that nothing translates.

    Args:
        found: see `parts`; at least one.
    """
    table = pa.concat_tables([part.table for part in found])
    # Words would not fit one column of 2 GiB in every case, and are read row by row.
    pieces = {name: table.column(name) for name in table.column_names}
    whole = {
        n: c if n in (FIRST_WORDS, SECOND_WORDS) else c.combine_chunks() for n, c in pieces.items()
    }
    table = pa.table(whole, metadata=table.schema.metadata)
    wanted = pa.array([""] * train.num_rows) if translated_split(task) else _wanted(task, train)
    offsets, rows = _matches(wanted, table.column(ID))
    padding = found[0].padding
    return TranslationPool(table=table, padding=padding, offsets=offsets, rows=rows)


def translated_split(task: Task) -> bool:
    """Whether ids of questions are counts, of which equal ones mean nothing (TyDiQA)."""
    return any(file.numbered for split in translated(task).values() for file in split.files)


def _sentences(path: Path, languages: Sequence[str], spare: int, left: Left) -> Iterator[Example]:
    for sentence, _, words in sentences(path, languages, spare, left):
        yield {"id": _key(sentence), "words": tuple(words), "label": (IGNORE_INDEX,) * len(words)}


def _pairs(task: Task, split: Split, root: Path, spare: int, left: Left) -> Iterator[Example]:
    seen = set()
    for example in readers.read(task, split, root, spare=spare, left=left):
        key = _key(*(example[name] for name in ENGLISH))
        if key not in seen:
            seen.add(key)
            yield {**example, "id": key}


def _wanted(task: Task, train: pa.Table) -> pa.Array:
    """The id that a translation of each training row has."""
    if task.head == "span":
        return train.column(ID).combine_chunks()
    names = [name for name in (FIRST_WORDS, SECOND_WORDS) if name in train.column_names]
    texts = [pc.binary_join(train.column(name), " ").to_pylist() for name in names]
    return pa.array([_key(*row) for row in zip(*texts, strict=True)])


def _matches(wanted: pa.Array, there: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """For each wanted id, the rows that have it: where they begin, and all of them."""
    known = pc.unique(wanted)
    code, own = (pc.index_in(ids, value_set=known) for ids in (wanted, there))
    code, own = code.to_numpy(), own.fill_null(-1).to_numpy()
    order = np.argsort(own, kind="stable")
    first, stop = (np.searchsorted(own[order], code, side) for side in ("left", "right"))
    offsets = np.concatenate([[0], np.cumsum(stop - first)])
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], stop - first)
    return offsets, order[np.repeat(first, stop - first) + within]


def _key(*texts: str) -> str:
    """Stands for texts, whatever white space is between their words. Two of a million share one
    with a chance of 1 to 10 million."""
    text = "\t".join(" ".join(one.split()) for one in texts)
    return blake2b(text.encode(), digest_size=8).hexdigest()
