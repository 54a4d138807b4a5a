"""The steps of a training run in their order, each with its examples as its pass sees them. Views
of texts are made by processes of their own, ahead of the step that needs them."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from .augmentation.augmented_dataset import AugmentedDataset
from .sampling import epoch_of, epoch_order, rank_share, step_batches, step_rows
from .training_set import TrainingSet

STEPS = 8  # made ahead at most, by each process


def training_steps(
    examples: TrainingSet, batch: int, seed: int, *,
    start: int, stop: int, rank: int = 0, size: int = 1,
) -> Iterator[tuple[np.ndarray, TrainingSet]]:  # fmt: skip
    """The rows of every step, see `stream`, and the examples as the step's pass sees them.

    Args:
        batch: BSZ.
        start, stop: steps.
        rank, size: of the workers that share a step: views are made of this one's rows.
    """
    ahead = (
        _PrefetchDataset(examples, batch, seed, rank, size)
        if isinstance(examples, AugmentedDataset)
        else None
    )
    made = ahead and ahead.steps(start, stop)
    number, seen = -1, examples
    steps = islice(step_batches(len(examples), batch, seed, start=start), stop - start)
    for step, rows in enumerate(steps, start):
        if number != (number := epoch_of(len(examples), batch, step)):
            seen = examples.with_epoch(seed, number)
        if made:
            seen.add_prefetched(*next(made))
        yield rows, seen


class _PrefetchDataset(Dataset):
    """Step -> the views of a worker's rows in it."""

    def __init__(
        self, views: AugmentedDataset, batch: int, seed: int, rank: int, size: int
    ) -> None:
        self.views, self.batch, self.seed, self.rank, self.size = views, batch, seed, rank, size
        self._order: tuple[int, np.ndarray] = -1, np.empty(0)

    def steps(self, start: int, stop: int) -> Iterator[Any]:
        """What every step needs, by as many processes as the worker has threads. One that is
        killed, as by a lack of memory, is replaced once."""
        for last in (False, True):
            try:
                for made in self._loader(start, stop):
                    yield made
                    start += 1
                return
            except RuntimeError as error:
                if last or "exited unexpectedly" not in str(error):
                    raise

    def _loader(self, start: int, stop: int) -> DataLoader:
        return DataLoader(
            self, sampler=range(start, stop), batch_size=None, collate_fn=_as_it_is,
            num_workers=torch.get_num_threads(), prefetch_factor=STEPS,
        )  # fmt: skip

    def __getitem__(self, step: int) -> Any:
        count = len(self.views)
        number = epoch_of(count, self.batch, step)
        if self._order[0] != number:
            self._order = number, epoch_order(count, self.seed, number)
        rows = step_rows(self._order[1], self.batch, step)
        seen = self.views.with_epoch(self.seed, number)
        return seen.prefetched(rank_share(rows, seen.lengths, self.rank, self.size))


def _as_it_is(made: Any) -> Any:
    return made
