"""Steps as captured CUDA graphs, one for each padded length, beside the same steps run eagerly.

It is apart from gpu.py because it is an experiment: raysearch does not train like this. It says
whether it would pay, and whether the losses are the same.
"""

import statistics
import time

import numpy as np
import torch
from gpu_cases import Lengths, Scale, free_memory, make_case, use_tf32
from step_loops import StepCase

from raysearch.data.device_batches import MASK, PADDED
from raysearch.recipes.schedule import learning_rate
from raysearch.training.precision import autocast

NEEDS = "One CUDA graph for each padded length: needs a GPU."
STILL = {"dropout": 0.0, "attention_dropout": 0.0, "classifier_dropout": 0.0}
WARM = 3  # steps that run before a capture, as CUDA wants them
MULTIPLE = 8  # padded lengths are multiples of this, so that there are few graphs


def graphs(lengths: dict[str, Lengths], scale: Scale, device: torch.device) -> str:
    """Return what a step takes eagerly and as a graph, and how far their losses differ, as text."""
    if device.type != "cuda":
        return NEEDS
    lines = []
    use_tf32("bf16")
    for name, mix in list(lengths.items())[:2]:
        losses, times = {}, {}
        for way in ("eager", "graph"):
            free_memory(device)
            case = make_case("BERT-base", mix, "bf16", scale, device)
            losses[way] = StaticSteps(case, **STILL).losses(scale.phases.timed, way == "graph")
            times[way] = StaticSteps(case).measure(scale.phases.timed, way == "graph")
        apart = float(np.max(np.abs(losses["graph"] / losses["eager"] - 1)))
        shown = "; ".join(f"{way} {host:.2f} / {whole:.2f}" for way, (host, whole) in times.items())
        lines.append(f"{name}: {shown}, losses without dropout differ by {apart:.0e} at most.")
    return "BERT-base, bf16, one CUDA graph for each padded length; host ms / ms of a step. " + (
        " ".join(lines)
    )


class StaticSteps:
    """Training steps whose tensors stay where they are, as a captured graph needs them.

    A batch is copied to the tensors of its padded length. The step is raysearch's: its loss, its
    gradient clipping, and torch's fused AdamW with the learning rate in a tensor. A step has one
    micro-batch. Every batch gets a mask: whether one is needed would change the graph.

    Args:
        case: the model and its examples.
        changes: settings that replace the case's.
    """

    def __init__(self, case: StepCase, **changes: object) -> None:
        trainer = case.trainer(**changes)
        self.case, self.job, self.model = case, trainer.job, trainer.model
        self.device, self.parameters = case.device, trainer.optimizer.parameters
        self._rate = torch.zeros((), device=self.device)
        hyper, groups = self.job.hyper, trainer.optimizer.inner.param_groups
        if any(group["scale"] != 1 for group in groups) or hyper.precision == "fp16":
            raise ValueError("neither layer-wise decay nor fp16 is measured here")
        self.optimizer = torch.optim.AdamW(
            [
                {"params": g["params"], "weight_decay": hyper.weight_decay if g["decay"] else 0.0}
                for g in groups
            ],
            lr=self._rate,
            betas=hyper.adam_betas,
            eps=hyper.adam_eps,
            fused=True,
            capturable=self.device.type == "cuda",
        )
        self._batches: dict[int, dict[str, torch.Tensor]] = {}
        self._losses: dict[int, torch.Tensor] = {}
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}

    def losses(self, steps: int, graphed: bool) -> np.ndarray:
        """Return the mean loss of each step, float64 [steps]."""
        rows = [chosen for chosen, _ in zip(self.case.rows(), range(steps), strict=False)]
        if graphed:
            self.capture(rows)
        return np.array([self.step(chosen, index) for index, chosen in enumerate(rows)])

    def measure(self, steps: int, graphed: bool) -> tuple[float, float]:
        """Return the milliseconds until the host has queued a step, and those of a whole step.

        The first begins with an idle device, a median; the second is the mean of steps that follow
        one another without a pause. Copies of the batches count in both.
        """
        rows = [chosen for chosen, _ in zip(self.case.rows(), range(steps), strict=False)]
        if graphed:
            self.capture(rows)
        for index, chosen in enumerate(rows[:WARM]):
            self.queue(chosen, index)
        host = []
        for index, chosen in enumerate(rows):
            torch.cuda.synchronize()
            began = time.perf_counter()
            self.queue(chosen, index)
            host.append(time.perf_counter() - began)
        torch.cuda.synchronize()
        began = time.perf_counter()
        for index, chosen in enumerate(rows):
            self.queue(chosen, index)
        torch.cuda.synchronize()
        whole = (time.perf_counter() - began) / len(rows)
        return 1e3 * statistics.median(host), 1e3 * whole

    def step(self, rows: np.ndarray, index: int) -> float:
        """Take a step over these rows and return its mean loss."""
        return float(self.queue(rows, index))

    def queue(self, rows: np.ndarray, index: int) -> torch.Tensor:
        """Queue a step over these rows; return the tensor that will hold its mean loss."""
        length = self._load(rows)
        self._rate.fill_(learning_rate(self.job.hyper, self.job.schedule, index))
        if length in self._graphs:
            self._graphs[length].replay()
        else:
            self._compute(length)
        return self._losses[length]

    def capture(self, rows: list[np.ndarray]) -> None:
        """Capture a graph for each padded length of these steps; the model stays as it is."""
        by_length = {self._load(chosen): chosen for chosen in rows}
        pool = torch.cuda.graph_pool_handle()
        for length, chosen in sorted(by_length.items(), reverse=True):
            self._load(chosen)
            self._warm_up(length)
            graph = torch.cuda.CUDAGraph()
            self.model.zero_grad(set_to_none=True)
            with torch.cuda.graph(graph, pool=pool):
                self._compute(length)
            self._graphs[length] = graph
        for state in self.optimizer.state.values():  # as before the steps that warmed up
            for value in state.values():
                value.zero_()

    def _warm_up(self, length: int) -> None:
        """Run a length on a stream of its own; with a rate of 0 no weight changes."""
        self._rate.zero_()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM):
                self._compute(length)
        torch.cuda.current_stream().wait_stream(stream)

    def _load(self, rows: np.ndarray) -> int:
        """Copy a batch to the tensors of its padded length, and return that."""
        batch = self.case.train.collate(rows, multiple=MULTIPLE)
        length = batch["input_ids"].shape[-1]
        if length not in self._batches:
            self._batches[length] = {n: x.to(self.device) for n, x in batch.items()}
            setattr(self._batches[length][MASK], PADDED, True)
        for name, tensor in self._batches[length].items():
            source = batch[name].pin_memory() if self.device.type == "cuda" else batch[name]
            tensor.copy_(source, non_blocking=True)
        return length

    def _compute(self, length: int) -> None:
        """Run forward, backward and update on the tensors of a padded length."""
        batch, hyper = self._batches[length], self.job.hyper
        units = len(batch["input_ids"])
        counts = {"units": units, "compared": units, "augmented": 0}
        self.model.zero_grad(set_to_none=True)
        with autocast(self.device, hyper):
            loss = self.job.stage.loss(self.model, batch, hyper, counts)
        loss.backward()
        if hyper.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, hyper.clip)
        self.optimizer.step()
        self._losses[length] = loss.detach()


def product_losses(case: StepCase, steps: int, **changes: object) -> np.ndarray:
    """Return the mean losses of raysearch's own steps over the same rows, float64 [steps]."""
    trainer, rows = case.trainer(**changes), case.rows()
    losses = []
    for _ in range(steps):
        losses.append(float(trainer._train(next(rows), case.train)) / trainer.gradient.units)
        trainer.step += 1
    return np.array(losses)
