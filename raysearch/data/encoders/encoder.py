"""Encoder: how the examples of a split become rows of token ids.

It is apart from the encoders, which fill it in, and from the cache, which calls one of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from ...recipes import Hyperparameters
from ...tasks import Example, Task


class Encode(Protocol):
    """A function that returns the columns of a chunk of examples."""

    def __call__(
        self,
        chunk: list[dict[str, Any]],
        task: Task,
        tokenizer: Any,
        hyper: Hyperparameters,
        *,
        train: bool,
    ) -> dict[str, pa.Array]:
        """Return the columns.

        Args:
            chunk: examples.
            task: their task.
            tokenizer: see `encoding_cache.prepare`.
            hyper: lengths and layouts.
            train: whether the rows are trained on.
        """


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """One way to encode examples.

    Attributes:
        shape: the hyperparameters that it reads.
        padding: returns, for a tokenizer, the padding value of each list column.
        encode: returns the columns of a chunk of examples.
        facts: returns, for a tokenizer, the metadata of a table that depends on it.
        chunks: yields the examples that are encoded at once; None: a fixed number of them.
        lost: why training examples are left out, a format of `max_length`; "" if none ever is.
        none_left: the problem of a split of which every example is left out, a format of
            `max_length` and of `skipped`, what was left out.
    """

    shape: tuple[str, ...]
    padding: Callable[[Any], dict[str, int]]
    encode: Encode
    facts: Callable[[Any], dict[str, str]] = lambda tokenizer: {}
    chunks: Callable[[Iterator[Example]], Iterator[list[Example]]] | None = None
    lost: str = ""
    none_left: str = "no example of {max_length} tokens or fewer; a larger max_length would do"
