"""TokenStream: the tokens of a prepared text, in one sequence.

They are read from memory-mapped files, so that memory does not grow with the text. The module is
apart from `dataset` because it needs no torch: any node can read a text for another one.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from .columns import INPUT, MASK_ID, VOCABULARY_SIZE


def open_memory_mapped(path: Path | str) -> pa.Table:
    """Return the table of a prepared file, memory-mapped and with the record batches it has."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def is_token_stream(schema: pa.Schema) -> bool:
    """Return whether the rows of a table are lines of a text, which stays memory-mapped."""
    return MASK_ID.encode() in (schema.metadata or {})


class TokenStream:
    """The tokens of a text; its length is their number.

    Args:
        table: a row of tokens for every line of the text.
        padding: column -> the value that pads a short row.

    Attributes:
        metadata: the metadata of the table.
    """

    def __init__(self, table: pa.Table, padding: dict[str, int]) -> None:
        self.padding = padding
        self.metadata = {n.decode(): value.decode() for n, value in table.schema.metadata.items()}
        self._rows = table.column(INPUT)
        sizes = [len(self._chunk(index)) for index in range(self._rows.num_chunks)]
        self._chunk_starts = np.cumsum([0, *sizes])

    @classmethod
    def of_files(cls, paths: Iterable[str], padding: dict[str, int]) -> Self:
        """Return the text of several prepared files, in their order."""
        return cls(pa.concat_tables([open_memory_mapped(path) for path in paths]), padding)

    def __len__(self) -> int:
        return int(self._chunk_starts[-1])

    def read(self, begin: int, end: int) -> np.ndarray:
        """Return the tokens from index `begin` to before `end`, int32 [tokens].

        Both must be within the text.
        """
        starts = self._chunk_starts
        first, last = np.searchsorted(starts, [begin, end - 1], side="right") - 1
        pieces = []
        for index in range(first, last + 1):
            start = starts[index]
            pieces.append(self._chunk(index)[max(begin - start, 0) : end - start])
        return np.concatenate(pieces)

    def vocabulary(self) -> np.ndarray:
        """Return the token ids that a batch can hold: all, as masking may put any in."""
        return np.arange(int(self.metadata[VOCABULARY_SIZE]))

    def _chunk(self, index: int) -> np.ndarray:
        tokens: np.ndarray = self._rows.chunk(index).flatten().to_numpy()
        return tokens
