"""The steps of a training run in order, each with the training set of its epoch.

Views of texts are built in separate processes, ahead of the step that needs them. This is apart
from `sampling` because only these processes need torch's DataLoader.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from .augmentation.augmented_dataset import AugmentedDataset
from .augmentation.view_pairs import ViewPair
from .sampling import epoch_of, epoch_order, rank_share, step_batches, step_rows
from .training_set import TrainingSet

STEPS = 8  # the most that each process builds ahead
# The views of some rows, and the counts of words that were switched in them.
PrefetchedViews = tuple[dict[int, ViewPair], dict[str, int]]


def training_steps(
    examples: TrainingSet,
    batch: int,
    seed: int,
    *,
    start: int,
    stop: int,
    rank: int = 0,
    size: int = 1,
) -> Iterator[tuple[np.ndarray, TrainingSet]]:
    """Yield the rows of every step, see `step_batches`, and the training set of its epoch.

    Args:
        examples: the training set.
        batch: BSZ.
        seed: the seed of the trial.
        start: the first step.
        stop: the step after the last.
        rank: the rank of the worker. Views are built only for its rows.
        size: the number of workers that share a step.
    """
    prefetched = None
    if isinstance(examples, AugmentedDataset):
        prefetched = _PrefetchDataset(examples, batch, seed, rank, size).steps(start, stop)
    epoch, in_epoch = -1, examples
    steps = islice(step_batches(len(examples), batch, seed, start=start), stop - start)
    for step, rows in enumerate(steps, start):
        if epoch != (epoch := epoch_of(len(examples), batch, step)):
            in_epoch = examples.with_epoch(seed, epoch)
        if prefetched is not None and isinstance(in_epoch, AugmentedDataset):
            in_epoch.add_prefetched(*next(prefetched))
        yield rows, in_epoch


class _PrefetchDataset(Dataset[PrefetchedViews]):
    """The views of a worker's rows by step."""

    def __init__(
        self, views: AugmentedDataset, batch: int, seed: int, rank: int, size: int
    ) -> None:
        self.views, self.batch, self.seed, self.rank, self.size = views, batch, seed, rank, size
        self._epoch, self._order = -1, np.empty(0)

    def steps(self, start: int, stop: int) -> Iterator[PrefetchedViews]:
        """Yield the views of every step, built by one process per thread of the worker.

        A process that is killed, for example for lack of memory, is replaced once.
        """
        for last_attempt in (False, True):
            try:
                for views in self._loader(start, stop):
                    yield views
                    start += 1
                return
            except RuntimeError as error:
                if last_attempt or "exited unexpectedly" not in str(error):
                    raise

    def _loader(self, start: int, stop: int) -> "DataLoader[PrefetchedViews]":
        return DataLoader(
            self,
            sampler=range(start, stop),
            batch_size=None,
            collate_fn=_unchanged,
            num_workers=torch.get_num_threads(),
            prefetch_factor=STEPS,
        )

    def __getitem__(self, step: int) -> PrefetchedViews:
        count = len(self.views)
        epoch = epoch_of(count, self.batch, step)
        if self._epoch != epoch:
            self._epoch, self._order = epoch, epoch_order(count, self.seed, epoch)
        rows = step_rows(self._order, self.batch, step)
        views = self.views.with_epoch(self.seed, epoch)
        return views.prefetched(rank_share(rows, views.lengths, self.rank, self.size))


def _unchanged(views: Any) -> Any:
    return views
