"""The one training loop: batches, loss, optimizer, schedule, precision; it yields reports.

It knows torch and one worker's place in the world, neither Ray nor who asked for the trial."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from ..data.dataset import EncodedDataset
from ..data.prefetch import training_steps
from ..data.training_set import TrainingSet
from ..models.reusable import export_weights
from ..recipes.schedule import learning_rate
from . import precision
from .distributed import DistributedContext
from .evaluation import decode, has_only_finite_scores, multilingual_scores, predict_outputs, score
from .gradient_accumulation import GradientAccumulator, MicroBatchLimit, add
from .job import Job
from .optimizer import AdamW
from .report import Report, Status

CHECK_EVERY = 32  # steps between looks at the loss; each look waits for the device
CHANCE_STEPS = 500  # steps after which a loss at chance is no slow start
LEAST_SCALE = 1e-4  # fp16 below this loss scale has diverged (fairseq's floor)


class Trainer:
    """One stage of one trial, on this worker.

    Iterating trains and yields a Report at every evaluation; leaving the loop ends the trial.

    Args:
        job: what to compute.
        model: at its starting weights.
        world: the workers that train it together.
        memory: the micro-batch limit, shrunk when memory runs out.
        teacher: a frozen model that the loss may ask.
        tick: called after every step and dev batch with this Fit.
    """

    def __init__(
        self,
        job: Job,
        model: torch.nn.Module,
        *,
        world: DistributedContext | None = None,
        memory: MicroBatchLimit | None = None,
        teacher: torch.nn.Module | None = None,
        tick: Callable[["Trainer"], None] = lambda fit: None,
    ) -> None:
        self.job, self.model, self.tick = job, model, tick
        self.world = world or DistributedContext()
        self.device = next(model.parameters()).device
        self.optimizer = AdamW(model, job.hyper)
        self.scaler = precision.scaler(self.device, job.hyper)
        self.forward = torch.compile(model, dynamic=True) if job.hyper.compile else model
        self.gradient = GradientAccumulator(
            job,
            model,
            self.forward,
            world=self.world,
            memory=memory or MicroBatchLimit(),
            scaler=self.scaler,
            teacher=teacher,
        )
        self.step = self.evaluated = self.tokens = self.flat = self._seen = 0
        self.spent, self._began = 0.0, time.perf_counter()
        self.best: tuple[float, dict[str, np.ndarray]] | None = None
        self.top: tuple[float, bool] | None = None  # the best score, and whether it means nothing
        self._losses: dict[str, torch.Tensor] = {}  # of the loss and its terms
        self._reached: list[torch.nn.Parameter] | None = None

    @property
    def seconds(self) -> float:
        """Wall seconds of this trial, with those before a checkpoint."""
        return self.spent + time.perf_counter() - self._began

    @property
    def _selector(self) -> str:
        """The score that selects."""
        return self.job.selector or f"dev.{self.job.task.metric}"

    def autocast(self) -> AbstractContextManager:
        """The context of a forward pass."""
        return precision.autocast(self.device, self.job.hyper)

    def __iter__(self) -> Iterator[Report]:
        job, plan = self.job, self.job.plan
        self.model.train()
        world = self.world
        steps = training_steps(job.train, job.hyper.BSZ, job.seed, start=self.step, stop=plan.steps,
                       rank=world.rank, size=world.size)  # fmt: skip
        while self.evaluated < plan.steps:
            # First, as a checkpoint may have been written in the middle of an evaluation.
            if self.step in plan.evaluations and self.step > self.evaluated:
                report = self._evaluate()
                self.evaluated = self.step
                yield report
                if report.status != "running":
                    return
            loss = self._train(*next(steps))
            self.step += 1
            look = self.step in plan.evaluations or self.step % CHECK_EVERY == 0
            if look and self._diverged(loss):
                yield self._report({}, "diverged")
                return
            self.tick(self)

    def _train(self, rows: np.ndarray, examples: TrainingSet) -> torch.Tensor:
        """One optimizer step over exactly these rows; their summed loss on this worker."""
        hyper = self.job.hyper
        sums = self.gradient(examples, rows, self.step)
        if self._reached is None:
            self._reached = self._parameters_with_gradient()
        self.world.sum_gradients(self._reached)
        if self.scaler is not None:
            precision.mark_overflow(self._reached)
            self.scaler.unscale_(self.optimizer.inner)
        if hyper.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.optimizer.parameters, hyper.clip)
        self.optimizer.prepare(learning_rate(hyper, self.job.plan, self.step))
        updated = self.optimizer.step(self.scaler)
        self.tokens += int(self.job.train.tokens[rows].sum())
        # Where a forward pass of fp16 overflowed, the step has no loss, on no worker.
        if updated or self.scaler is None or self._has_loss(sums):
            add(self._losses, sums)
            self._seen += self.gradient.units
        return sums["loss"]

    def _has_loss(self, sums: dict[str, torch.Tensor]) -> bool:
        """Return whether all losses of this step and their terms are finite on every worker."""
        return all(self.world.gather(all(math.isfinite(x.item()) for x in sums.values())))

    def _parameters_with_gradient(self) -> list[torch.nn.Parameter]:
        """The parameters that some worker's loss depends on; the others never change."""
        found = [at for at, p in enumerate(self.optimizer.parameters) if p.grad is not None]
        reached = sorted({at for worker in self.world.gather(found) for at in worker})
        return [self.optimizer.parameters[at] for at in reached]

    def _diverged(self, loss: torch.Tensor) -> bool:
        if self.scaler is not None:
            return self.scaler.get_scale() < LEAST_SCALE
        return not all(self.world.gather(math.isfinite(loss.item())))

    def _evaluate(self) -> Report:
        job, scores, stuck, chance = self.job, {}, False, False
        splits: dict[str, dict[str, float]] = {}
        for number, (name, examples) in enumerate(job.dev.items()):
            said = predict_outputs(
                self.forward, examples, job.task, job.hyper, world=self.world,
                autocast=self.autocast, beat=lambda done: self.tick(self),
            )  # fmt: skip
            if not has_only_finite_scores(said, job.task):
                return self._report({}, "diverged")
            predictions = decode(said, examples, job.task, job.hyper)
            prefix = f"dev.{name}." if number else "dev."
            splits[name] = score(predictions, examples, job.task, job.hyper)
            scores |= {prefix + metric: value for metric, value in splits[name].items()}
            if not number:
                stuck = self._stuck(predictions, examples)
                chance = self._at_chance(predictions, examples)
        if job.task.languages:
            scores |= multilingual_scores(list(splits.values()))
        self.flat = self.flat + 1 if stuck else 0
        report = self._report(scores, self._status(scores, stuck, chance))
        self._keep_if_best(report)
        return report

    def _status(self, scores: dict[str, float], stuck: bool, chance: bool) -> Status:
        """Return how the trial stands after an evaluation.

        It is degenerate where the evaluation that counts says nothing: where the best one does
        (`select: best`), it says something whatever came after.

        Args:
            scores: of this evaluation.
            stuck: whether it predicts one class alone.
            chance: whether the model is at chance.
        """
        plan, value = self.job.plan, scores[self._selector]
        last = self.step == plan.steps
        hopeless = chance or (self.flat > 2 and 4 * self.step >= 3 * plan.steps)
        if self.top is None or value > self.top[0]:  # the first of equals, as the weights
            self.top = (value, stuck or chance)
        nothing = self.top[1] if self.job.select == "best" else stuck or chance
        if nothing and (last or hopeless):
            return "degenerate"
        return "finished" if last else "running"

    def _stuck(self, predictions: np.ndarray, examples: EncodedDataset) -> bool:
        """Whether one prediction is made of everything, as by a model that has learned nothing.

        Where the examples that are scored have one label alone, that is what a perfect model does.
        """
        if self.job.task.head not in ("classify", "regress"):
            return False
        return len(np.unique(predictions)) == 1 < len(np.unique(examples.labels))

    def _at_chance(self, predictions: np.ndarray, examples: EncodedDataset) -> bool:
        """Whether a model of K classes or options has learned nothing in 500 steps: its loss stays
        at ln K, its accuracy near 1/K. Large models on RACE end so, and never recover."""
        if self.job.task.head not in ("classify", "choose"):
            return False
        classes = len(self.job.task.labels) or self.job.train.group
        if self.step < max(CHANCE_STEPS, 2 * self.job.plan.warmup):
            return False
        means = self._means()
        if abs(means.get("task", means["loss"]) / math.log(classes) - 1) > 0.01:
            return False
        return float(np.mean(predictions == examples.labels)) < 1 / classes + 0.05

    def _means(self) -> dict[str, float]:
        """Mean training loss since the last report, over all workers, and its terms."""
        own = {name: total.item() for name, total in self._losses.items()}
        every = self.world.gather(own)
        names = dict.fromkeys(name for one in ({"loss": 0.0}, *every) for name in one)
        if not self._seen:  # every step since then overflowed
            return dict.fromkeys(names, math.inf)
        seen = self._seen
        return {name: sum(one.get(name, 0.0) for one in every) / seen for name in names}

    def _report(self, scores: dict[str, float], status: Status) -> Report:
        means, self._losses, self._seen = self._means(), {}, 0
        terms = {name: x if math.isfinite(x) else math.inf for name, x in means.items()}
        return Report(
            stage=self.job.stage.name,
            step=self.step,
            steps=self.job.plan.steps,
            loss=terms.pop("loss"),
            terms=terms,
            scores=scores,
            status=status,
            seconds=self.seconds,
            rate=learning_rate(self.job.hyper, self.job.plan, self.step - 1),
            tokens=self.tokens,
            micro_batches=self.gradient.micro_batches,
            switched=self.job.train.switched_share(),
        )

    def _keep_if_best(self, report: Report) -> None:
        """Copy the weights of the best evaluation so far; the first of equals stays."""
        value = report.scores[self._selector]
        if self.job.keep_best and (self.best is None or value > self.best[0]):
            self.best = (value, export_weights(self.model))

    def state(self) -> dict[str, Any]:
        """What going on from here needs; read back with weights_only."""
        best = self.best and (
            self.best[0],
            {n: torch.from_numpy(x) for n, x in self.best[1].items()},
        )
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict() if self.scaler else None,
            "counts": [self.step, self.evaluated, self.tokens, self.flat, self._seen],
            "losses": self._losses,
            "seconds": self.seconds,
            "best": best,
            "top": self.top,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state, to the same weights as without the break."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scaler:
            self.scaler.load_state_dict(state["scaler"])
        self.step, self.evaluated, self.tokens, self.flat, self._seen = state["counts"]
        self._losses = {name: x.to(self.device) for name, x in state["losses"].items()}
        self.spent, self._began = state["seconds"], time.perf_counter()
        self.top = state["top"]
        if state["best"]:
            value, weights = state["best"]
            self.best = (value, {name: x.numpy() for name, x in weights.items()})
