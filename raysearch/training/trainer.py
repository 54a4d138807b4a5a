"""The training loop: batches, loss, optimizer, schedule and precision; it yields reports.

It is apart from the workers because it knows torch and the worker's rank, but neither Ray nor the
search.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np
import torch

from ..data.dataset import EncodedDataset
from ..data.prefetch import training_steps
from ..data.training_set import TrainingSet
from ..heads import HEADS
from ..models.lora import frozen_names
from ..models.reusable import export_weights
from ..recipes.schedule import learning_rate
from ..run_folder import dev_predictions
from ..run_folder.outcomes import ReportStatus
from ..run_folder.report import Report, dev_scores
from . import precision
from .distributed import DistributedContext
from .evaluation import predict_outputs
from .gradient_accumulation import GradientAccumulator, MicroBatchLimit, add_to_sums
from .job import Job
from .optimizer import AdamW

CHECK_EVERY = 32  # steps between checks of the loss; each check waits for the device
CHANCE_STEPS = 500  # steps after which a loss at chance is not just a slow start
LEAST_SCALE = 1e-4  # fp16 has diverged below this loss scale (fairseq's minimum)


class Trainer:
    """The training of one stage of one trial, on this worker.

    Iterating trains, and yields a Report at every evaluation. The trial ends when the iteration is
    left.

    Args:
        job: what to compute.
        model: the model with its initial weights.
        world: the workers that train it together; None: this one alone.
        memory: the micro-batch limit, lowered when memory runs out; None: a new one.
        teacher: a frozen model that the loss may call.
        on_step: called with this Trainer after every step and every dev batch.

    Attributes:
        step: the number of steps done.
        evaluated: the step of the last evaluation.
        tokens: the number of tokens trained on, without padding.
        seconds_before: wall seconds of the trial before this attempt.
        best: score and weights of the best evaluation, if the job keeps them.
        predictions: the dev predictions of the evaluation that counts so far, as the file of a run
            folder (`dev_predictions.to_parquet`); empty if the job does not keep them.
    """

    def __init__(
        self,
        job: Job,
        model: torch.nn.Module,
        *,
        world: DistributedContext | None = None,
        memory: MicroBatchLimit | None = None,
        teacher: torch.nn.Module | None = None,
        on_step: Callable[["Trainer"], None] = lambda trainer: None,
    ) -> None:
        self.job, self.model, self.on_step = job, model, on_step
        self.world = world or DistributedContext()
        self.device = next(model.parameters()).device
        self.optimizer = AdamW(model, job.hyper)
        self.scaler = precision.make_scaler(self.device, job.hyper)
        self.forward = _compiled(model) if job.hyper.compile else model
        self.gradient = GradientAccumulator(
            job,
            model,
            self.forward,
            world=self.world,
            memory=memory or MicroBatchLimit(),
            scaler=self.scaler,
            teacher=teacher,
        )
        self.step = self.evaluated = self.tokens = 0
        self.seconds_before, self._started = 0.0, time.perf_counter()
        self.best: tuple[float, dict[str, np.ndarray]] | None = None
        self.predictions = b""
        # The score of the best evaluation so far, and whether it was degenerate.
        self._best_evaluation: tuple[float, bool] | None = None
        self._stuck_evaluations = 0  # the last ones in a row
        self._losses: dict[str, torch.Tensor] = {}  # sums since the last report: loss and terms
        self._units = 0  # terms in these sums
        self._trained: list[torch.nn.Parameter] | None = None

    @property
    def seconds(self) -> float:
        """Return the wall seconds of this trial, including those before a checkpoint."""
        return self.seconds_before + time.perf_counter() - self._started

    @property
    def _selector(self) -> str:
        """Return the name of the score that selects."""
        return self.job.selector or f"{self._selecting_part}.{self.job.task.metric}"

    @property
    def _selecting_part(self) -> str:
        """Return the part of the dev splits on which trials are compared."""
        return "search" if self.job.searched else "dev"

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of a forward pass."""
        return precision.autocast(self.device, self.job.hyper)

    def __iter__(self) -> Iterator[Report]:
        job, schedule, world = self.job, self.job.schedule, self.world
        self.model.train()
        steps = training_steps(
            job.train,
            job.hyper.BSZ,
            job.seed,
            start=self.step,
            stop=schedule.steps,
            rank=world.rank,
            size=world.size,
        )
        while self.evaluated < schedule.steps:
            # First, since the checkpoint may have been written in the middle of an evaluation.
            if self.step in schedule.evaluations and self.step > self.evaluated:
                report = self._evaluate()
                self.evaluated = self.step
                yield report
                if report.status != "running":
                    return
            loss = self._train(*next(steps))
            self.step += 1
            check = self.step in schedule.evaluations or self.step % CHECK_EVERY == 0
            if check and self._has_diverged(loss):
                yield self._report({}, "diverged")
                return
            self.on_step(self)

    def _train(self, rows: np.ndarray, examples: TrainingSet) -> torch.Tensor:
        """Take one optimizer step over these rows; return their summed loss on this worker."""
        hyper = self.job.hyper
        sums = self.gradient(examples, rows, self.step)
        if self._trained is None:
            self._trained = self._parameters_with_gradient()
        self.world.sum_gradients(self._trained)
        if self.scaler is not None:
            precision.mark_overflow(self._trained)
            self.scaler.unscale_(self.optimizer.inner)
        if hyper.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.optimizer.parameters, hyper.clip)
        self.optimizer.prepare(learning_rate(hyper, self.job.schedule, self.step))
        updated = self.optimizer.step(self.scaler)
        self.tokens += int(self.job.train.tokens[rows].sum())
        # If a forward pass overflowed in fp16, the step's loss counts on no worker.
        if updated or self.scaler is None or self._has_finite_losses(sums):
            add_to_sums(self._losses, sums)
            self._units += self.gradient.units
        return sums["loss"]

    def _has_finite_losses(self, sums: dict[str, torch.Tensor]) -> bool:
        """Return whether all losses of this step and their terms are finite on every worker."""
        return all(self.world.all_gather(all(math.isfinite(x.item()) for x in sums.values())))

    def _parameters_with_gradient(self) -> list[torch.nn.Parameter]:
        """Return the parameters that some worker's loss depends on; the others never change."""
        parameters = self.optimizer.parameters
        indices = [index for index, p in enumerate(parameters) if p.grad is not None]
        gathered = sorted({index for worker in self.world.all_gather(indices) for index in worker})
        return [parameters[index] for index in gathered]

    def _has_diverged(self, loss: torch.Tensor) -> bool:
        if self.scaler is not None:
            return self.scaler.get_scale() < LEAST_SCALE
        return not all(self.world.all_gather(math.isfinite(loss.item())))

    def _evaluate(self) -> Report:
        """Score the dev splits; return the report, and keep the weights if they are the best."""
        job, stuck, chance = self.job, False, False
        head = HEADS[job.task.head]
        scores: dict[str, float] = {}
        predictions: dict[str, Any] = {}
        for part, splits in (("search", job.searched), ("dev", job.dev)):
            predictions = {name: self._predict(examples) for name, examples in splits.items()}
            if any(decoded is None for decoded in predictions.values()):
                return self._report({}, "diverged")
            split_scores = {
                name: head.score(predictions[name], examples, job.task, job.hyper)
                for name, examples in splits.items()
            }
            if splits:
                first, *_ = splits
                languages = bool(job.task.languages)
                scores |= dev_scores(split_scores, first, multilingual=languages, part=part)
            if part == self._selecting_part:
                stuck = self._is_stuck(predictions[first], splits[first])
                chance = self._is_at_chance(predictions[first], splits[first])
        if job.keep_predictions and (job.select == "last" or self._is_best(scores)):
            self._keep_predictions(predictions)  # those of the part that is printed
        self._stuck_evaluations = self._stuck_evaluations + 1 if stuck else 0
        report = self._report(scores, self._status(scores, stuck, chance))
        self._keep_if_best(report)
        return report

    def _predict(self, examples: EncodedDataset) -> Any:
        """Return the predictions for a split; None if an output is not finite."""
        job, head = self.job, HEADS[self.job.task.head]
        outputs = predict_outputs(
            self.forward,
            examples,
            job.task,
            job.hyper,
            world=self.world,
            autocast=self.autocast,
            on_batch=lambda _: self.on_step(self),
        )
        return head.decode(outputs, examples, job.hyper) if head.are_finite(outputs) else None

    def _status(self, scores: dict[str, float], stuck: bool, chance: bool) -> ReportStatus:
        """Return the status of the trial after an evaluation.

        It is degenerate if the evaluation that counts shows a model that has learned nothing. With
        `select: best` the best evaluation counts, whatever comes after it.

        Args:
            scores: of this evaluation.
            stuck: whether the model predicts a single class.
            chance: whether the model is at chance.
        """
        schedule = self.job.schedule
        last = self.step == schedule.steps
        late = 4 * self.step >= 3 * schedule.steps
        hopeless = chance or (self._stuck_evaluations > 2 and late)
        if self._is_best(scores):
            self._best_evaluation = (scores[self._selector], stuck or chance)
        assert self._best_evaluation is not None
        degenerate = self._best_evaluation[1] if self.job.select == "best" else stuck or chance
        if degenerate and (last or hopeless):
            return "degenerate"
        return "finished" if last else "running"

    def _is_best(self, scores: dict[str, float]) -> bool:
        """Return whether an evaluation is better than those before; of equal ones the first is."""
        return self._best_evaluation is None or scores[self._selector] > self._best_evaluation[0]

    def _is_stuck(self, predictions: np.ndarray, examples: EncodedDataset) -> bool:
        """Return whether all predictions are equal, as of a model that has learned nothing.

        If the examples have a single label, a perfect model predicts nothing else, so that the
        result is False.
        """
        if not self.job.task.facts.labels_examples:
            return False
        assert examples.labels is not None, "a dev split without labels"
        return len(np.unique(predictions)) == 1 < len(np.unique(examples.labels))

    def _is_at_chance(self, predictions: np.ndarray, examples: EncodedDataset) -> bool:
        """Return whether a model of K classes or options has learned nothing in 500 steps.

        Then its loss stays at ln K, its accuracy near 1/K. Large models on RACE end like this, and
        never recover.
        """
        classes = HEADS[self.job.task.head].guessed_classes(self.job.task, self.job.train)
        if classes is None or self.step < max(CHANCE_STEPS, 2 * self.job.schedule.warmup):
            return False
        means = self._mean_losses()
        if abs(means.get("task", means["loss"]) / math.log(classes) - 1) > 0.01:
            return False
        return float(np.mean(predictions == examples.labels)) < 1 / classes + 0.05

    def _mean_losses(self) -> dict[str, float]:
        """Return the mean training loss since the last report, over all workers, and its terms."""
        sums = {name: total.item() for name, total in self._losses.items()}
        gathered = self.world.all_gather(sums)
        names = dict.fromkeys(name for worker in ({"loss": 0.0}, *gathered) for name in worker)
        if not self._units:  # every step since then overflowed
            return dict.fromkeys(names, math.inf)
        return {
            name: sum(worker.get(name, 0.0) for worker in gathered) / self._units for name in names
        }

    def _report(self, scores: dict[str, float], status: ReportStatus) -> Report:
        means, self._losses, self._units = self._mean_losses(), {}, 0
        terms = {name: x if math.isfinite(x) else math.inf for name, x in means.items()}
        return Report(
            stage=self.job.stage.name,
            step=self.step,
            steps=self.job.schedule.steps,
            loss=terms.pop("loss"),
            terms=terms,
            scores=scores,
            status=status,
            seconds=self.seconds,
            rate=learning_rate(self.job.hyper, self.job.schedule, self.step - 1),
            tokens=self.tokens,
            micro_batches=self.gradient.micro_batches,
            switched=self.job.train.switched_share(),
        )

    def _keep_if_best(self, report: Report) -> None:
        """Copy the weights of the best evaluation so far; of equal ones the first is kept."""
        value = report.scores[self._selector]
        if self.job.keep_best and (self.best is None or value > self.best[0]):
            self.best = (value, export_weights(self.model))

    def _keep_predictions(self, predictions_by_split: dict[str, Any]) -> None:
        """Keep the predictions of an evaluation in place of those of an earlier one."""
        job, head = self.job, HEADS[self.job.task.head]
        kept = {
            name: head.kept(predictions, job.dev[name], job.task, job.hyper)
            for name, predictions in predictions_by_split.items()
        }
        self.predictions = dev_predictions.to_parquet(kept)

    def state(self) -> dict[str, Any]:
        """Return the content of a checkpoint; it can be read with `weights_only`."""
        best = None
        if self.best is not None:
            value, weights = self.best
            best = (value, {name: torch.from_numpy(x) for name, x in weights.items()})
        counts = [self.step, self.evaluated, self.tokens, self._stuck_evaluations, self._units]
        frozen = frozen_names(self.model)
        return {
            "model": {n: x for n, x in self.model.state_dict().items() if n not in frozen},
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict() if self.scaler else None,
            "counts": counts,
            "losses": self._losses,
            "seconds": self.seconds,
            "best": best,
            "top": self._best_evaluation,
            "predictions": torch.from_numpy(np.frombuffer(self.predictions, np.uint8).copy()),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint; the weights at the end are those without the interruption.

        Args:
            state: of `state`.
        """
        frozen, weights = frozen_names(self.model), self.model.state_dict()
        kept = {name: weights[name] for name in weights if name in frozen}
        self.model.load_state_dict(kept | state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scaler:
            self.scaler.load_state_dict(state["scaler"])
        self.step, self.evaluated, self.tokens, *counts = state["counts"]
        self._stuck_evaluations, self._units = counts
        self._losses = {name: x.to(self.device) for name, x in state["losses"].items()}
        self.seconds_before, self._started = state["seconds"], time.perf_counter()
        self._best_evaluation = state["top"]
        self.predictions = state["predictions"].numpy().tobytes()
        if state["best"]:
            value, weights = state["best"]
            self.best = (value, {name: x.numpy() for name, x in weights.items()})


def _compiled(model: torch.nn.Module) -> torch.nn.Module:
    """Return the compiled form of a model; torch's types hide that it is a module."""
    return cast(torch.nn.Module, torch.compile(model, dynamic=True))
