"""The gradient of one optimizer step, computed in micro-batches that fit into the device's memory.

It is apart from the trainer because it knows neither optimizer nor schedule.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from ..data.sampling import (
    MicroBatchCost,
    divide_by_tokens,
    pack_micro_batches,
    rank_share,
)
from ..data.training_set import TrainingSet
from ..models.unpadded import UnpaddedPasses
from ..recipes import Hyperparameters
from .distributed import DistributedContext
from .job import Job
from .precision import autocast

# Initial limits of a micro-batch in padded tokens. Only an accelerator reports that it is full, so
# that the limit can shrink.
LIMITS = {"cpu": 2**15, "cuda": 2**20}
# The limit of a micro-batch without padding, in tokens: at least the first number, and so many that
# launching it costs a sixteenth. Larger ones would only take more memory.
UNPADDED_TOKENS, UNPADDED_OVERHEADS = 512, 16


class MicroBatchLimit:
    """The largest micro-batch that has fitted into memory. A lane keeps it between trials.

    Attributes:
        limit: in padded tokens.
        lowered: how often memory has run out.
    """

    def __init__(self, limit: int = LIMITS["cuda"]) -> None:
        self.limit, self.lowered = limit, 0


class GradientAccumulator:
    """Sums the gradient of a step's mean loss over this worker's share of its examples.

    Each micro-batch adds its part of a mean over the whole step. So neither the division into
    micro-batches nor the padding nor the number of workers changes the gradient beyond rounding.

    Args:
        job: its loss, examples and seed are used.
        model: the model whose parameters get gradients.
        forward: the model, or its compiled form.
        world: the workers that share a step.
        memory: the micro-batch limit, lowered when memory runs out.
        scaler: the loss scale of fp16.
        teacher: a frozen model that the loss may call.

    Attributes:
        overhead: the cost of one more micro-batch, in tokens.
        micro_batches: the number of micro-batches of the last step, on this worker.
        units: the number of terms in the mean loss of the last step, over all workers.
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
        self.parameters = list(model.parameters())
        self.overhead = micro_batch_overhead(model, self.device)
        self.unpadded = unpadded_passes(model, job.hyper, self.device)
        self.micro_batches = self.units = 0

    def __call__(
        self, examples: TrainingSet, rows: np.ndarray, step: int
    ) -> dict[str, torch.Tensor]:
        """Leave the gradients of these rows in the parameters.

        Args:
            examples: the training set as it is in the epoch of the step.
            rows: indices of the examples of the step, over all workers.
            step: index of the step, for the seed.

        Returns:
            The sum of this worker's losses as "loss", and the sums of the loss's terms by name.

        Raises:
            MemoryError: a single example does not fit into memory.
        """
        share = rank_share(rows, examples.lengths, self.world.rank, self.world.size)
        normalizers = examples.loss_counts(rows)
        self.units = normalizers["units"]
        while True:
            for parameter in self.parameters:
                parameter.grad = None
            micro_batches = self._pack(share)
            sums = self._backward(examples, micro_batches, normalizers, step)
            if sums is not None:
                self.micro_batches = len(micro_batches)
                return sums
            # Not in the except block: the exception still references the tensors of the pass.
            self._lower_limit(micro_batches)

    def _pack(self, share: np.ndarray) -> list[np.ndarray]:
        """Divide this worker's examples into micro-batches."""
        if not len(share):
            return []
        limit = min(self.job.hyper.micro_batch_tokens or self.memory.limit, self.memory.limit)
        if self.unpadded is not None:
            size = max(UNPADDED_TOKENS, int(UNPADDED_OVERHEADS * self.overhead))
            return divide_by_tokens(share, self.job.train.tokens, min(limit, size))
        return pack_micro_batches(
            share, self.job.train.lengths, MicroBatchCost(overhead=self.overhead, limit=limit)
        )

    def _backward(
        self,
        examples: TrainingSet,
        micro_batches: list[np.ndarray],
        normalizers: dict[str, int],
        step: int,
    ) -> dict[str, torch.Tensor] | None:
        """Run backward for every micro-batch; return the summed losses, None if memory ran out."""
        job, sums = self.job, {"loss": torch.zeros((), device=self.device)}
        try:
            for index, rows in enumerate(micro_batches):
                entropy = (job.seed, step, self.world.rank, index)
                seed = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
                seed_generators(int(seed), self.device)
                batch = examples.batch(rows, self.device)
                terms: dict[str, torch.Tensor] = {}
                with self.unpadded or nullcontext():
                    with autocast(self.device, job.hyper):
                        loss = job.stage.loss(
                            self.forward, batch, job.hyper, normalizers, self.teacher, terms
                        )
                    (self.scaler.scale(loss) if self.scaler else loss).backward()
                add_to_sums(sums, {"loss": loss.detach(), **terms}, normalizers["units"])
        except torch.OutOfMemoryError:
            return None
        return sums

    def _lower_limit(self, micro_batches: list[np.ndarray]) -> None:
        """Set the limit to half of the largest micro-batch, after memory ran out.

        Raises:
            MemoryError: every micro-batch is a single example.
        """
        lengths = self.job.train.lengths
        if all(len(rows) == 1 for rows in micro_batches):
            longest = max(int(lengths[rows].max()) for rows in micro_batches)
            raise MemoryError(f"one example of {longest} tokens does not fit in memory")
        sizes = [len(rows) * int(lengths[rows].max()) for rows in micro_batches if len(rows) > 1]
        self.memory.limit = max(sizes) // 2
        self.memory.lowered += 1
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def add_to_sums(
    sums: dict[str, torch.Tensor], values: Mapping[str, torch.Tensor], factor: int = 1
) -> None:
    """Add values, times a factor, to the sums of the same names; a missing sum is 0."""
    for name, value in values.items():
        sums[name] = sums.get(name, 0) + value * factor


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed the generators that a pass on a device draws from, as `torch.manual_seed` does.

    `torch.manual_seed` seeds every kind of accelerator. For a kind that is not in use it keeps the
    call for later, with a stack trace, which takes 2 ms: a tenth of a small model's step.

    Args:
        seed: 0 to 2^64 - 1.
        device: of the pass.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def unpadded_passes(
    model: torch.nn.Module, hyper: Hyperparameters, device: torch.device
) -> AbstractContextManager[None] | None:
    """Return the context in which a trial's passes compute no padding; None if they compute it.

    On a GPU they do, where the other way has not been measured, and where the loss reads padding.

    Args:
        model: of the trial.
        hyper: of the trial.
        device: of the model.
    """
    if device.type != "cpu" or hyper.precision != "fp32":
        return None
    if hyper.compile or hyper.reads_padding() or not getattr(model, "can_be_unpadded", False):
        return None
    return UnpaddedPasses(model)


def micro_batch_overhead(model: torch.nn.Module, device: torch.device) -> float:
    """Return the cost of one more micro-batch, in tokens: its launch in units of a token's compute.

    It is a function of the model's shape and not measured, so that a trial is divided into the same
    micro-batches everywhere: each draws dropout of its own, and their number changes how the
    gradient is rounded. `benchmarks/micro_batches.py` tells what a measured cost would save. The
    constants are 2 ms per layer at 100 GFLOP/s on a CPU core, and 1.5 ms per layer at 400 TFLOP/s
    on an accelerator.
    """
    layers: int = getattr(model.config, "num_hidden_layers", 12)
    dense = sum(p.numel() for n, p in model.named_parameters() if "embed" not in n)
    flop = 2e-3 * 1e11 if device.type == "cpu" else 1.5e-3 * 4e14
    return layers * flop / (6 * dense)
