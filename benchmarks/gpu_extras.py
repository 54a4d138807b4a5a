"""What gpu.py measures besides steps: losses with less precision, and a step without enough memory.

It is apart from gpu.py because each of its functions is one experiment that ends in a sentence.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch
from gpu_cases import Lengths, Scale, free_memory, make_case, use_tf32
from step_loops import StepCase, gradient, largest_difference

from raysearch.training import MicroBatchLimit
from raysearch.training.gradient_accumulation import LIMITS


def loss_curves(lengths: dict[str, Lengths], scale: Scale, device: torch.device) -> str:
    """Return how far the loss with less precision is from that of tf32, as text.

    Same seed, rows and dropout: BERT-base on the first mix. A curve is smoothed over a twentieth of
    its steps.
    """
    window = max(2, scale.curve // 20)
    curves, lines = {}, []
    for precision in ("tf32", "fp16", "bf16"):
        use_tf32(precision)
        case = make_case("BERT-base", next(iter(lengths.values())), precision, scale, device)
        losses, updates = loss_curve(case, scale.curve)
        curves[precision] = np.convolve(losses, np.full(window, 1 / window), "valid")
        skipped = scale.curve - updates
        lines.append(
            f"{precision} {losses[0]:.4f} to {curves[precision][-1]:.4f}, {skipped} skipped"
        )
        free_memory(device)
    apart = [
        f"{name} {100 * np.max(np.abs(curves[name] / curves['tf32'] - 1)):.2f} %"
        for name in ("fp16", "bf16")
    ]
    return (
        f"Loss of {scale.curve} steps, BERT-base, smoothed over {window}: {'; '.join(lines)}."
        f" Largest difference from tf32: {', '.join(apart)}."
    )


def loss_curve(case: StepCase, steps: int) -> tuple[np.ndarray, int]:
    """Return the mean loss of each step, float64, and how many steps updated the weights."""
    trainer = case.trainer(EPOCH={"steps": steps}, WARMUP=0.1)
    rows, losses = case.rows(), []
    for _ in range(steps):
        losses.append(trainer._train(next(rows), case.train) / trainer.gradient.units)
        trainer.step += 1
    return torch.stack(losses).cpu().double().numpy(), trainer.optimizer.updates


def halving(lengths: dict[str, Lengths], scale: Scale, device: torch.device) -> str:
    """Return what a step does when memory runs out, as text: BERT-base on the last mix.

    Without TF32, whose rounding would hide that both gradients are one.
    """
    if device.type == "cpu":
        return "Micro-batches halved when memory runs out: needs a GPU."
    name, mix = list(lengths.items())[-1]
    use_tf32("fp32")
    case = make_case("BERT-base", mix, "fp32", scale, device)
    return f"BERT-base, {name}, fp32: {halve(case, limited_memory)}"


def halve(case: StepCase, limited: Callable[[float], AbstractContextManager[None]]) -> str:
    """Compute a step's gradient with enough memory, then with less; return what differed, as text.

    Args:
        case: what is trained, without dropout.
        limited: returns a context in which this share of what the step needed is there.
    """
    memory = MicroBatchLimit(LIMITS[case.device.type])
    trainer = case.trainer(memory=memory, dropout=0.0, attention_dropout=0.0)
    rows, before = next(case.rows()), memory.limit
    whole = gradient(trainer, case.train, rows)
    parts = trainer.gradient.micro_batches
    trainer.model.zero_grad()
    with limited(0.6):
        halved = gradient(trainer, case.train, rows)
    if memory.limit == before:
        raise RuntimeError("the memory was enough: nothing was halved")
    return (
        f"with 0.6 of the memory that a step needs, its micro-batches went from {parts} to"
        f" {trainer.gradient.micro_batches} and their limit from {before:,} to {memory.limit:,}"
        f" tokens; the gradient differs by {largest_difference(halved, whole):.0e} of its norm."
    )


@contextmanager
def limited_memory(share: float) -> Iterator[None]:
    """Allow the process this share of the memory that its tensors took at the peak, on a GPU.

    The tensors that are there now stay: the share is of what a step adds.
    """
    peak, held = torch.cuda.max_memory_allocated(), torch.cuda.memory_allocated()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((held + share * (peak - held)) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
