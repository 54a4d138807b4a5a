"""The one training loop: batches, loss, optimizer, schedule, precision; it yields reports.

It knows torch and one worker's place in the world, neither Ray nor who asked for the trial."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from ..batches import Cost, Examples, cut, stream
from ..models.bench import snapshot
from ..recipes import Hyper, Stage
from ..tasks import Task
from .evaluate import decode, logits, score
from .optimizer import AdamW
from .plan import Plan, learning_rate
from .report import Report
from .world import World

CHECK_EVERY = 32  # steps between looks at the loss; each look waits for the device
STUCK = 0.98  # a loss above this share of the labels' entropy has learned nothing


class Memory:
    """The largest micro-batch that has fitted, in padded tokens. A lane keeps it between trials."""

    def __init__(self, limit: int = 2**20) -> None:
        self.limit = limit


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that decides what a stage of a trial computes.

    Attributes:
        task: its head, metrics and labels.
        stage: its loss.
        hyper: the configuration.
        plan: steps, warmup and evaluation points.
        seed: of the data order, dropout and new weights.
        train: training examples.
        dev: dev split -> examples; the first one selects.
        keep_best: whether to copy the weights of the best evaluation.
    """

    task: Task
    stage: Stage
    hyper: Hyper
    plan: Plan
    seed: int
    train: Examples
    dev: Mapping[str, Examples]
    keep_best: bool = False


class Fit:
    """One stage of one trial, on this worker.

    Iterating trains and yields a Report at every evaluation; leaving the loop ends the trial.

    Args:
        job: what to compute.
        model: at its starting weights.
        world: the workers that train it together.
        memory: the micro-batch limit, shrunk when memory runs out.
        tick: called after every step and dev batch with this Fit.
    """

    def __init__(
        self,
        job: Job,
        model: torch.nn.Module,
        *,
        world: World | None = None,
        memory: Memory | None = None,
        tick: Callable[["Fit"], None] = lambda fit: None,
    ) -> None:
        self.job, self.model = job, model
        self.world, self.memory, self.tick = world or World(), memory or Memory(), tick
        self.device = next(model.parameters()).device
        self.optimizer = AdamW(model, job.hyper)
        self.scaler = (
            torch.amp.GradScaler(
                self.device.type,
                init_scale=job.hyper.fp16_scale,
                growth_interval=job.hyper.fp16_window,
            )
            if job.hyper.precision == "fp16"
            else None
        )
        self.forward = torch.compile(model, dynamic=True) if job.hyper.compile else model
        self.step = self.tokens = self.flat = 0
        self.spent, self._began = 0.0, time.perf_counter()
        self.best: tuple[float, dict[str, np.ndarray]] | None = None
        self._losses = torch.zeros((), device=self.device)
        self._seen = self._parts = 0

    @property
    def seconds(self) -> float:
        """Wall seconds of this trial, with those before a checkpoint."""
        return self.spent + time.perf_counter() - self._began

    def autocast(self) -> AbstractContextManager:
        """The context of a forward pass."""
        kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
        kind = kinds.get(self.job.hyper.precision)
        return torch.autocast(self.device.type, kind) if kind else nullcontext()

    def __iter__(self) -> Iterator[Report]:
        job, plan = self.job, self.job.plan
        self.model.train()
        steps = stream(len(job.train), job.hyper.BSZ, job.seed, start=self.step)
        for rows in islice(steps, plan.steps - self.step):
            loss = self._train(rows)
            self.step += 1
            due = self.step in plan.evaluations
            if (due or self.step % CHECK_EVERY == 0) and not self._finite(loss):
                yield self._report({}, "diverged")
                return
            if due:
                report = self._evaluate()
                yield report
                if report.status != "running":
                    return
            self.tick(self)

    def _train(self, rows: np.ndarray) -> torch.Tensor:
        """One optimizer step over exactly these rows; their summed loss on this worker."""
        hyper = self.job.hyper
        while True:
            try:
                loss = self._backward(rows)
                break
            except torch.OutOfMemoryError:
                self._shrink()
        self.world.sum_gradients(self.optimizer.parameters)
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer.inner)
        if hyper.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.optimizer.parameters, hyper.clip)
        self.optimizer.prepare(learning_rate(hyper, self.job.plan, self.step))
        self.optimizer.step(self.scaler)
        self.optimizer.inner.zero_grad(set_to_none=True)
        self._losses += loss
        self._seen += len(rows)
        return loss

    def _backward(self, rows: np.ndarray) -> torch.Tensor:
        """Gradients of the step's mean loss, micro-batch by micro-batch.

        Each micro-batch weighs its share of the whole step's examples, so that neither the cut,
        nor the padding, nor the number of workers changes the gradient beyond rounding.
        """
        job, lengths = self.job, self.job.train.lengths
        self.optimizer.inner.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        share = rows[np.argsort(-lengths[rows], kind="stable")][self.world.rank :: self.world.size]
        limit = min(job.hyper.micro_batch_tokens or self.memory.limit, self.memory.limit)
        cost = Cost(overhead=self._overhead, limit=limit)
        parts = cut(share, lengths, cost) if len(share) else []
        for number, part in enumerate(parts):
            place = (job.seed, self.step, self.world.rank, number)
            torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))
            batch = job.train.collate(part, multiple=1 if self.device.type == "cpu" else 8)
            batch = {name: x.to(self.device, non_blocking=True) for name, x in batch.items()}
            with self.autocast():
                loss = job.stage.loss(self.forward, batch, job.hyper)
            weighted = loss * (len(part) / len(rows))
            (self.scaler.scale(weighted) if self.scaler else weighted).backward()
            total += loss.detach() * len(part)
        self._parts = len(parts)
        self.tokens += int(lengths[rows].sum())
        return total

    @property
    def _overhead(self) -> float:
        """What one more micro-batch costs, in tokens: launching it against computing a token.

        A fixed function of the model's shape, never measured: the same trial is cut the same way
        everywhere. The constants are 2 ms a layer at 100 GFLOP/s on a core, and 1.5 ms a layer at
        400 TFLOP/s on an accelerator.
        """
        if not hasattr(self, "_overhead_tokens"):
            layers = getattr(self.model.config, "num_hidden_layers", 12)
            dense = sum(p.numel() for n, p in self.model.named_parameters() if "embed" not in n)
            work = 2e-3 * 1e11 if self.device.type == "cpu" else 1.5e-3 * 4e14
            self._overhead_tokens = layers * work / (6 * dense)
        return self._overhead_tokens

    def _shrink(self) -> None:
        """Halve the micro-batch after memory ran out. Raises where a lone example does not fit."""
        lengths = self.job.train.lengths
        limit = min(self.memory.limit, self.job.hyper.BSZ * int(lengths.max()))
        if limit <= int(lengths.max()) // 2:
            raise MemoryError(f"one example of {int(lengths.max())} tokens does not fit in memory")
        self.memory.limit = limit // 2
        self.optimizer.inner.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _finite(self, loss: torch.Tensor) -> bool:
        return all(self.world.gather(math.isfinite(loss.item())))

    def _evaluate(self) -> Report:
        job, scores, stuck = self.job, {}, False
        for number, (name, examples) in enumerate(job.dev.items()):
            outputs = logits(
                self.forward, examples, world=self.world, autocast=self.autocast,
                beat=lambda: self.tick(self),
            )  # fmt: skip
            predictions = decode(outputs, job.task, job.hyper.label_scale)
            prefix = f"dev.{name}." if number else "dev."
            found = score(predictions, examples, job.task)
            scores |= {prefix + metric: value for metric, value in found.items()}
            stuck = stuck or (not number and self._stuck(predictions))
        self.flat = self.flat + 1 if stuck else 0
        last = self.step == job.plan.steps
        hopeless = self.flat > 1 and 2 * self.step >= job.plan.steps
        status = "degenerate" if stuck and (last or hopeless) else "finished" if last else "running"
        report = self._report(scores, status)
        self._remember(report)
        return report

    def _stuck(self, predictions: np.ndarray) -> bool:
        """Whether one class is all that is predicted and the loss is the labels' own entropy."""
        if self.job.task.head != "classify" or len(np.unique(predictions)) > 1:
            return False
        share = np.bincount(self.job.train.labels) / len(self.job.train)
        entropy = -sum(p * math.log(p) for p in share if p > 0)
        return sum(self.world.gather(self._losses.item())) >= STUCK * entropy * self._seen

    def _report(self, scores: dict[str, float], status: str) -> Report:
        loss = sum(self.world.gather(self._losses.item())) / max(1, self._seen)
        rate = learning_rate(self.job.hyper, self.job.plan, self.step - 1)
        self._losses.zero_()
        self._seen = 0
        return Report(
            stage=self.job.stage.name,
            step=self.step,
            steps=self.job.plan.steps,
            loss=loss,
            scores=scores,
            status=status,
            seconds=self.seconds,
            rate=rate,
            tokens=self.tokens,
            micro_batches=self._parts,
        )

    def _remember(self, report: Report) -> None:
        """Copy the weights of the best evaluation so far; the first of equals stays."""
        value = report.scores[f"dev.{self.job.task.metric}"]
        if self.job.keep_best and (self.best is None or value > self.best[0]):
            self.best = (value, snapshot(self.model))

    def state(self) -> dict[str, Any]:
        """What going on from here needs; read back with weights_only."""
        best = self.best and (self.best[0], {n: torch.from_numpy(x) for n, x in self.best[1].items()})
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict() if self.scaler else None,
            "counts": [self.step, self.tokens, self.flat, self._seen],
            "losses": self._losses,
            "seconds": self.seconds,
            "best": best,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state, to the same weights as without the break."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scaler:
            self.scaler.load_state_dict(state["scaler"])
        self.step, self.tokens, self.flat, self._seen = state["counts"]
        self._losses = state["losses"].to(self.device)
        self.spent, self._began = state["seconds"], time.perf_counter()
        if state["best"]:
            value, weights = state["best"]
            self.best = (value, {name: x.numpy() for name, x in weights.items()})
