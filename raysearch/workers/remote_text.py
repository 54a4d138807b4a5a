"""What workers get of a task's splits. Tables come through the object store; a text stays in the
files of the node that prepared it, and is read there by those that do not see them."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ..data.token_stream import TokenStream, is_token_stream
from ..errors import InputError, Problem


@dataclass(frozen=True, kw_only=True)
class StoredText:
    """A text in files.

    Attributes:
        paths: its files, one behind the other; a file's name stands for its content.
        node: id of the node that has them.
    """

    paths: tuple[str, ...]
    node: str


def open_split(found: Any, padding: dict[str, int]) -> Any:
    """A split as it was handed over, a table or a stored text: Examples, or Text.

    Raises:
        InputError: neither this node nor the one that prepared a text has its files.
    """
    from ..data.dataset import EncodedDataset  # needs torch, which readers do without

    if not isinstance(found, StoredText):
        return (TokenStream if is_token_stream(found.schema) else EncodedDataset)(found, padding)
    if all(Path(path).is_file() for path in found.paths):
        return TokenStream.of_files(found.paths, padding)
    return RemoteText(found, padding)


class RemoteText(TokenStream):
    """A text that the node which has its files reads for this worker, a block at a time."""

    def __init__(self, stored: StoredText, padding: dict[str, int]) -> None:
        self.padding, self._paths, self._reader = padding, stored.paths, _reader(stored.node)
        try:
            self.metadata, self._tokens = ray.get(self._reader.told.remote(stored.paths))
        except ray.exceptions.RayTaskError as error:
            text = (
                f"not on this node, and not read on the one that prepared it: {error.cause}\n"
                "RAYSEARCH_CACHE can name a folder that all nodes share"
            )
            raise InputError(stored.paths[0], [Problem(location="text", text=text)]) from error

    def __len__(self) -> int:
        return self._tokens

    def read(self, begin: int, end: int) -> np.ndarray:
        """See Text."""
        return ray.get(self._reader.read.remote(self._paths, begin, end))


class TextReader:
    """Reads the texts of its node for a worker of another."""

    def told(self, paths: tuple[str, ...]) -> tuple[dict[str, str], int]:
        """Return the metadata of a text and the number of its tokens."""
        return _text(paths).metadata, len(_text(paths))

    def read(self, paths: tuple[str, ...], begin: int, end: int) -> np.ndarray:
        """See Text."""
        return _text(paths).read(begin, end)


@lru_cache
def _text(paths: tuple[str, ...]) -> TokenStream:
    return TokenStream.of_files(paths, {})


@lru_cache
def _reader(node: str) -> Any:
    """The one of a node for this worker, with which it ends."""
    place = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    return ray.remote(TextReader).options(num_cpus=0, scheduling_strategy=place).remote()
