"""The tokens of a prepared text, one behind the other. They are read where they lie, in files that
are mapped, so that memory does not grow with the text. It needs no torch: any node may read."""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from .columns import INPUT, MASK_ID, VOCABULARY_SIZE


def open_memory_mapped(path: Path | str) -> pa.Table:
    """A prepared file, memory-mapped; its record batches stay as they are."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def is_token_stream(schema: pa.Schema) -> bool:
    """Whether rows are lines of a text, of which no more is in memory than is looked at."""
    return MASK_ID.encode() in (schema.metadata or {})


class TokenStream:
    """The tokens of a text, as many as `len` tells.

    Args:
        table: a row of tokens for every line of the text.
        padding: column -> the value that fills a short row.

    Attributes:
        facts: the metadata of the table.
    """

    def __init__(self, table: pa.Table, padding: dict[str, int]) -> None:
        self.padding = padding
        self.facts = {n.decode(): value.decode() for n, value in table.schema.metadata.items()}
        self._rows = table.column(INPUT)
        sizes = [len(self._batch(at)) for at in range(self._rows.num_chunks)]
        self._begins = np.cumsum([0, *sizes])

    @classmethod
    def of_files(cls, paths: Iterable[str], padding: dict[str, int]) -> Self:
        """The text of prepared files, one behind the other."""
        return cls(pa.concat_tables([open_memory_mapped(path) for path in paths]), padding)

    def __len__(self) -> int:
        return int(self._begins[-1])

    def read(self, begin: int, end: int) -> np.ndarray:
        """The tokens from one place to before another, both within the text, int32 [tokens]."""
        first, last = np.searchsorted(self._begins, [begin, end - 1], side="right") - 1
        found = []
        for at in range(first, last + 1):
            before = self._begins[at]
            found.append(self._batch(at)[max(begin - before, 0) : end - before])
        return np.concatenate(found)

    def vocabulary(self) -> np.ndarray:
        """The token ids that a batch can hold: all, as what is masked may become any other."""
        return np.arange(int(self.facts[VOCABULARY_SIZE]))

    def _batch(self, at: int) -> np.ndarray:
        return self._rows.chunk(at).flatten().to_numpy()
