"""The steps of a training run in their order, each with its examples as its pass sees them. Views
of texts are made by a process of their own, ahead of the step that needs them."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from .shapes import Training
from .steps import dealt, passed, stream
from .views import Views

STEPS = 8  # made ahead at most


def supply(
    examples: Training, batch: int, seed: int, *,
    start: int, stop: int, rank: int = 0, size: int = 1,
) -> Iterator[tuple[np.ndarray, Training]]:  # fmt: skip
    """The rows of every step, see `stream`, and the examples as the step's pass sees them.

    Args:
        batch: BSZ.
        start, stop: steps.
        rank, size: of the workers that share a step: views are made of this one's rows.
    """
    makes = isinstance(examples, Views)
    made = iter(_loader(_Ahead(examples, batch, seed, rank, size), start, stop) if makes else ())
    number, seen = -1, examples
    steps = islice(stream(len(examples), batch, seed, start=start), stop - start)
    for step, rows in enumerate(steps, start):
        if number != (number := passed(len(examples), batch, step)):
            seen = examples.drawn(seed, number)
        if makes:
            seen.provide(*next(made))
        yield rows, seen


def _loader(dataset: Dataset, start: int, stop: int) -> DataLoader:
    return DataLoader(
        dataset, sampler=range(start, stop), batch_size=None, num_workers=1,
        prefetch_factor=STEPS, collate_fn=_as_it_is,
    )  # fmt: skip


def _as_it_is(made: Any) -> Any:
    return made


class _Ahead(Dataset):
    """Step -> the views of a worker's rows in it."""

    def __init__(self, views: Views, batch: int, seed: int, rank: int, size: int) -> None:
        self.views, self.batch, self.seed, self.rank, self.size = views, batch, seed, rank, size
        self._steps: tuple[int, Iterator[np.ndarray]] = -1, iter(())

    def __getitem__(self, step: int) -> Any:
        at, steps = self._steps
        if at != step:
            steps = stream(len(self.views), self.batch, self.seed, start=step)
        self._steps = step + 1, steps
        seen = self.views.drawn(self.seed, passed(len(self.views), self.batch, step))
        return seen.ahead(dealt(next(steps), seen.lengths, self.rank, self.size))
