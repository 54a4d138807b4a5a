"""The gradient of one optimizer step, micro-batch by micro-batch, within the device's memory.

It knows neither optimizer nor schedule."""

from collections.abc import Mapping

import numpy as np
import torch

from ..data.sampling import MicroBatchCost, pack_micro_batches, rank_share
from ..data.training_set import TrainingSet
from .distributed import DistributedContext
from .job import Job
from .precision import autocast

LIMITS = {"cpu": 2**15, "cuda": 2**20}  # padded tokens; only an accelerator says when it is full


class MicroBatchLimit:
    """The largest micro-batch that has fitted, in padded tokens. A lane keeps it between trials."""

    def __init__(self, limit: int = LIMITS["cuda"]) -> None:
        self.limit = limit


class GradientAccumulator:
    """Adds up the gradient of a step's mean loss over this worker's share of its examples.

    Each micro-batch gives its part of a mean over the whole step: neither the cut nor the padding
    nor the number of workers changes the gradient beyond rounding.

    Args:
        job: loss, examples and seed.
        model: whose parameters get gradients.
        forward: the model, or its compiled form.
        world: the workers that share a step.
        memory: the micro-batch limit, shrunk when memory runs out.
        scaler: fp16's loss scale.
        teacher: a frozen model that the loss may ask.
    """

    def __init__(
        self,
        job: Job,
        model: torch.nn.Module,
        forward: torch.nn.Module,
        *,
        world: DistributedContext,
        memory: MicroBatchLimit,
        scaler: torch.amp.GradScaler | None,
        teacher: torch.nn.Module | None = None,
    ) -> None:
        self.job, self.model, self.forward, self.teacher = job, model, forward, teacher
        self.world, self.memory, self.scaler = world, memory, scaler
        self.device = next(model.parameters()).device
        self.overhead = overhead(model, self.device)
        self.micro_batches = self.units = 0

    def __call__(
        self, examples: TrainingSet, rows: np.ndarray, step: int
    ) -> dict[str, torch.Tensor]:
        """Leave the gradients of these rows in the parameters.

        Args:
            examples: as this pass over them sees them.

        Returns:
            The sum of this worker's losses, "loss", and of their terms by name.

        Raises:
            MemoryError: a lone example does not fit.
        """
        share = rank_share(rows, examples.lengths, self.world.rank, self.world.size)
        over = examples.loss_counts(rows)
        self.units = over["units"]
        while True:
            self.model.zero_grad(set_to_none=True)
            parts = self._parts(share)
            sums = self._add_up(examples, parts, over, step)
            if sums is not None:
                self.micro_batches = len(parts)
                return sums
            self._shrink(parts)  # not where the error is caught: it holds on to what ran out

    def _parts(self, share: np.ndarray) -> list[np.ndarray]:
        if not len(share):
            return []
        limit = min(self.job.hyper.micro_batch_tokens or self.memory.limit, self.memory.limit)
        return pack_micro_batches(
            share, self.job.train.lengths, MicroBatchCost(overhead=self.overhead, limit=limit)
        )

    def _add_up(
        self, examples: TrainingSet, parts: list[np.ndarray], over: dict[str, int], step: int
    ) -> dict[str, torch.Tensor] | None:
        """Backward through every micro-batch; None where memory ran out."""
        job, sums = self.job, {"loss": torch.zeros((), device=self.device)}
        try:
            for number, part in enumerate(parts):
                place = (job.seed, step, self.world.rank, number)
                seed = np.random.SeedSequence(place).generate_state(1, np.uint64)[0]
                torch.manual_seed(int(seed))
                batch, terms = examples.batch(part, self.device), {}
                with autocast(self.device, job.hyper):
                    loss = job.stage.loss(self.forward, batch, job.hyper, over, self.teacher, terms)
                (self.scaler.scale(loss) if self.scaler else loss).backward()
                add(sums, {"loss": loss.detach(), **terms}, over["units"])
        except torch.OutOfMemoryError:
            return None
        return sums

    def _shrink(self, parts: list[np.ndarray]) -> None:
        """Halve the largest micro-batch after memory ran out."""
        lengths = self.job.train.lengths
        if all(len(part) == 1 for part in parts):
            longest = max(int(lengths[part].max()) for part in parts)
            raise MemoryError(f"one example of {longest} tokens does not fit in memory")
        sizes = [len(part) * int(lengths[part].max()) for part in parts if len(part) > 1]
        self.memory.limit = max(sizes) // 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def add(sums: dict[str, torch.Tensor], values: Mapping[str, torch.Tensor], times: int = 1) -> None:
    """Add values to sums of the same names."""
    for name, value in values.items():
        sums[name] = sums.get(name, 0) + value * times


def overhead(model: torch.nn.Module, device: torch.device) -> float:
    """What one more micro-batch costs, in tokens: launching it against computing a token.

    A fixed function of the model's shape, never measured: the same trial is cut the same way
    everywhere. The constants are 2 ms a layer at 100 GFLOP/s on a core, and 1.5 ms a layer at
    400 TFLOP/s on an accelerator.
    """
    layers = getattr(model.config, "num_hidden_layers", 12)
    dense = sum(p.numel() for n, p in model.named_parameters() if "embed" not in n)
    work = 2e-3 * 1e11 if device.type == "cpu" else 1.5e-3 * 4e14
    return layers * work / (6 * dense)
