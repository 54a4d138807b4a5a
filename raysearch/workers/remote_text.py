"""How workers open a task's splits: tables, and texts that stay in files.

Tables come through Ray's object store. A text stays in the files of the node that prepared it: it
is apart because a worker on a node that cannot see these files reads them through an actor.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ..data.token_stream import TokenStream, is_token_stream
from ..errors import InputError, Problem

if TYPE_CHECKING:
    from ..data.dataset import EncodedDataset


@dataclass(frozen=True, kw_only=True)
class StoredText:
    """A text in files.

    Attributes:
        paths: its files in order; a file's name identifies its content.
        node: id of the node that has them.
    """

    paths: tuple[str, ...]
    node: str


def open_split(split: Any, padding: dict[str, int]) -> "EncodedDataset | TokenStream":
    """Return the examples of a split, or the tokens of its text.

    Args:
        split: an Arrow table of rows or of a text, or a StoredText.
        padding: column -> the value that pads a short row.

    Raises:
        InputError: neither this node nor the one that prepared a text has its files.
    """
    from ..data.dataset import EncodedDataset  # needs torch, which readers do without

    if not isinstance(split, StoredText):
        return (TokenStream if is_token_stream(split.schema) else EncodedDataset)(split, padding)
    if all(Path(path).is_file() for path in split.paths):
        return TokenStream.of_files(split.paths, padding)
    return RemoteText(split, padding)


class RemoteText(TokenStream):
    """A text that the node with its files reads for this worker, a block at a time.

    Args:
        stored: where the text is.
        padding: column -> the value that pads a short row.

    Raises:
        InputError: that node does not have the files.
    """

    def __init__(self, stored: StoredText, padding: dict[str, int]) -> None:
        self.padding, self._paths, self._reader = padding, stored.paths, _reader(stored.node)
        try:
            self.metadata, self._tokens = ray.get(self._reader.describe.remote(stored.paths))
        except ray.exceptions.RayTaskError as error:
            text = (
                f"not on this node, and cannot be read on the one that prepared it: {error.cause}\n"
                "RAYSEARCH_CACHE can name a folder that all nodes share"
            )
            raise InputError(stored.paths[0], [Problem(location="text", text=text)]) from error

    def __len__(self) -> int:
        return int(self._tokens)

    def read(self, begin: int, end: int) -> np.ndarray:
        """Return the tokens from index `begin` to before `end`, int32 [tokens]."""
        tokens: np.ndarray = ray.get(self._reader.read.remote(self._paths, begin, end))
        return tokens


class TextReader:
    """An actor that reads the texts of its node for a worker of another node."""

    def describe(self, paths: tuple[str, ...]) -> tuple[dict[str, str], int]:
        """Return the metadata of a text and the number of its tokens."""
        return _text(paths).metadata, len(_text(paths))

    def read(self, paths: tuple[str, ...], begin: int, end: int) -> np.ndarray:
        """Return the tokens from index `begin` to before `end`, int32 [tokens]."""
        return _text(paths).read(begin, end)


@lru_cache
def _text(paths: tuple[str, ...]) -> TokenStream:
    return TokenStream.of_files(paths, {})


@lru_cache
def _reader(node: str) -> Any:
    """Return this worker's TextReader on a node; it ends with the worker."""
    strategy = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    return ray.remote(TextReader).options(num_cpus=0, scheduling_strategy=strategy).remote()
