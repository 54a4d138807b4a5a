"""The two loops that step.py and gpu.py compare, and the stopwatch that times the steps of both.

It is apart from them so that raysearch and transformers' Trainer are measured in one way: each loop
calls `Stopwatch.tick` after every optimizer step.
"""

import importlib.util
import math
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig

from raysearch.data.dataset import EncodedDataset
from raysearch.data.sampling import step_batches
from raysearch.models import ReusableModel
from raysearch.models.auto_models import ARCHITECTURES
from raysearch.models.pretrained import Pretrained
from raysearch.recipes import RECIPES
from raysearch.tasks import Task
from raysearch.training import Job, MicroBatchLimit, Trainer, make_schedule

SEED = 1
GIB = 2**30


class Unavailable(Exception):
    """A loop cannot run here; the text says why and stands in the table."""


@dataclass(frozen=True, kw_only=True)
class Phases:
    """The steps of a measured run.

    Attributes:
        warm: steps before the first timed one.
        timed: steps that run without a pause, for the time of a step.
        host: steps that begin with an idle device, for the host's time alone.
        profiled: steps whose kernels are summed.
    """

    warm: int
    timed: int
    host: int = 0
    profiled: int = 0

    @property
    def total(self) -> int:
        """Return the number of steps of a run."""
        return self.warm + self.timed + self.host + self.profiled


@dataclass(kw_only=True)
class StepTimes:
    """What a run's steps took. None: the device does not tell it.

    Attributes:
        step_ms: milliseconds of a timed step: CPU time, or on a GPU the time between CUDA events.
        tokens: tokens of a timed step, without padding.
        host_ms: milliseconds until the host has queued a step on an idle device, median.
        kernel_ms: milliseconds of a step's kernels and copies, summed.
        peak_gib: the largest memory of tensors that the run added.
        process_gib: the largest memory that the process held, its CUDA context included; all that
            is used on the device counts, so that nothing else may run on it.
    """

    step_ms: float = math.nan
    tokens: float = math.nan
    host_ms: float | None = None
    kernel_ms: float | None = None
    peak_gib: float | None = None
    process_gib: float | None = None


class Stopwatch:
    """Times the steps of a loop.

    Args:
        device: what the loop runs on.
        phases: of the run.
        held: bytes of tensors on a GPU that are not the run's.
    """

    def __init__(self, device: torch.device, phases: Phases, held: int = 0) -> None:
        self.cuda, self.phases, self.times = device.type == "cuda", phases, StepTimes()
        self._steps, self._tokens, self._began = 0, 0, 0.0
        self._host: list[float] = []
        self._events: list[Any] = []
        self._profiler: Any = None
        self._held = held

    def tick(self, tokens: int) -> None:
        """Note the end of a step.

        Args:
            tokens: of the step, without padding.
        """
        step, phases = self._steps, self.phases
        self._steps += 1
        if phases.warm <= step < phases.warm + phases.timed:
            self._tokens += tokens
        if self.cuda:
            self._tick_cuda(self._steps)
        elif self._steps == phases.warm:
            self._began = time.process_time()
        elif self._steps == phases.warm + phases.timed:
            self.times.step_ms = 1e3 * (time.process_time() - self._began) / phases.timed
            self.times.tokens = self._tokens / phases.timed

    def _tick_cuda(self, done: int) -> None:
        """Begin and end the phases on a GPU; `done` is the number of steps so far."""
        phases = self.phases
        timed = phases.warm + phases.timed
        if timed < done <= timed + phases.host:
            self._host.append(1e3 * (time.perf_counter() - self._began))
        if done == phases.warm:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            self._events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
            self._events[0].record()
        elif done == timed:
            self._events[1].record()
            torch.cuda.synchronize()
            self.times.step_ms = self._events[0].elapsed_time(self._events[1]) / phases.timed
            self.times.tokens = self._tokens / phases.timed
            self.times.peak_gib = (torch.cuda.max_memory_allocated() - self._held) / GIB
            self.times.process_gib = _process_bytes() / GIB
        if timed < done <= timed + phases.host:
            torch.cuda.synchronize()
        if done == timed + phases.host and phases.host:
            self.times.host_ms = statistics.median(self._host)
        if done == timed + phases.host and phases.profiled:
            self._profiler = _kernel_profile()
            self._profiler.start()
        elif done == phases.total and self._profiler is not None:
            torch.cuda.synchronize()
            self._profiler.stop()
            self.times.kernel_ms = _kernel_ms(self._profiler.key_averages()) / phases.profiled
        self._began = time.perf_counter()


def _kernel_profile() -> Any:
    """Return a profiler of kernels and copies."""
    return torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])


def profile_once() -> None:
    """Profile a kernel, so that what the profiler loads and leaves behind is there in every run."""
    with _kernel_profile():
        torch.ones(8, device="cuda").sum()
        torch.cuda.synchronize()


def _process_bytes() -> int:
    """Return the largest memory of the process so far, its context and its libraries' included."""
    free, total = torch.cuda.mem_get_info()
    return total - free - torch.cuda.memory_reserved() + torch.cuda.max_memory_reserved()


def _kernel_ms(events: Any) -> float:
    """Return the milliseconds of a profile's kernels and copies; NaN if it has none (no CUPTI)."""
    cuda = torch.autograd.DeviceType.CUDA
    micros: float = sum(e.self_device_time_total for e in events if e.device_type == cuda)
    return micros / 1e3 if micros else math.nan


@dataclass(kw_only=True)
class StepCase:
    """A model, its training examples and a configuration, for either loop.

    Attributes:
        task: its head and labels are used.
        pretrained: the model's configuration and weights.
        train: the examples.
        device: what the loops run on.
        hyper: settings of fine-tuning besides the number of steps.
        phases: the steps of a measured run.
        model: keeps raysearch's model between runs.
    """

    task: Task
    pretrained: Pretrained
    train: EncodedDataset
    device: torch.device
    hyper: dict[str, Any]
    phases: Phases
    model: ReusableModel = field(init=False)

    def __post_init__(self) -> None:
        self.model = ReusableModel(self.device)

    def trainer(self, *, memory: MicroBatchLimit | None = None, **changes: Any) -> Trainer:
        """Return raysearch's trainer at the start of a trial.

        Args:
            memory: the micro-batch limit; None: a new one.
            changes: settings that replace those of `hyper`.
        """
        recipe = RECIPES["finetune"]
        steps = {"steps": self.phases.total}
        settings = {"EPOCH": steps, "WARMUP": 0, "evaluations": 1, **self.hyper, **changes}
        hyper = recipe.hyper(**settings)
        job = Job(
            task=self.task,
            stage=recipe.stages[0],
            hyper=hyper,
            schedule=make_schedule(hyper, len(self.train), ()),
            seed=SEED,
            train=self.train,
            dev={},
        )
        model = self.model.model(self.pretrained, hyper, SEED, self.train.vocabulary())
        model.train()
        return Trainer(job, model, memory=memory)

    def rows(self) -> Any:
        """Return the rows of raysearch's steps."""
        return step_batches(len(self.train), self.hyper["BSZ"], SEED)


def time_ours(case: StepCase) -> StepTimes:
    """Return the times of raysearch's steps."""
    trainer, rows = case.trainer(), case.rows()
    watch = Stopwatch(case.device, case.phases)
    for _ in range(case.phases.total):
        chosen = next(rows)
        trainer._train(chosen, case.train)
        trainer.step += 1
        watch.tick(int(case.train.tokens[chosen].sum()))
    return watch.times


def time_theirs(
    case: StepCase,
    *,
    examples: Sequence[dict[str, Any]] | None = None,
    collator: Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]] | None = None,
) -> StepTimes:
    """Return the times of the steps of transformers' Trainer, in its own loop with its best flags.

    Args:
        case: the same for both loops.
        examples: a dict with `row`, and `input_ids` of the example's length, for each example.
        collator: makes a batch of some examples; None: raysearch's, which spends less than those
            of transformers, in favour of the Trainer.

    Raises:
        Unavailable: accelerate, or the device's precision, or the class is missing.
    """
    if importlib.util.find_spec("accelerate") is None:
        raise Unavailable("needs accelerate")
    import transformers

    held = torch.cuda.memory_allocated() if case.device.type == "cuda" else 0  # raysearch's model
    train, watch = case.train, Stopwatch(case.device, case.phases, held)
    tokens: deque[int] = deque()  # of the batches that were made and not trained yet
    if examples is None:
        lengths = train.lengths // train.group
        examples = [{"row": i, "input_ids": range(n)} for i, n in enumerate(lengths)]
    make_batch = collator or (lambda items: trainer_batch(case, [x["row"] for x in items]))

    def collate(items: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        tokens.append(int(train.tokens[[x["row"] for x in items]].sum()))
        return make_batch(items)

    class Ticks(transformers.TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            watch.tick(tokens.popleft())

    model = _trainer_model(case)
    with tempfile.TemporaryDirectory() as folder:
        trainer = transformers.Trainer(
            model=model,
            args=_training_arguments(case, folder),
            train_dataset=examples,
            callbacks=[Ticks()],
            data_collator=collate,
        )
        trainer.remove_callback(transformers.PrinterCallback)  # its lines would cut the table
        trainer.train()
    return watch.times


def trainer_batch(case: StepCase, rows: list[int]) -> dict[str, torch.Tensor]:
    """Return a padded batch under the names of transformers' models."""
    batch = case.train.collate(rows, multiple=1 if case.device.type == "cpu" else 8)
    if "start" in batch:
        renamed = {"start_positions": batch["start"], "end_positions": batch["end"]}
        inputs = {n: x for n, x in batch.items() if n in (*case.train.padding, "attention_mask")}
        return inputs | renamed
    return batch


def _trainer_model(case: StepCase) -> Any:
    """Return transformers' own model of a case, with the pretrained weights.

    Raises:
        Unavailable: transformers has no class with this head.
    """
    architecture = ARCHITECTURES[case.task.head]
    config = AutoConfig.for_model(**case.pretrained.config)
    if type(config) not in architecture.auto._model_mapping:
        raise Unavailable("no such class")
    torch.manual_seed(SEED)
    with torch.device(case.device):  # drawn there, which for 300 million weights saves seconds
        model = architecture.from_config(config, dtype=torch.float32)
    weights = {name: torch.from_numpy(array) for name, array in case.pretrained.weights.items()}
    lost = model.load_state_dict(weights, strict=False).unexpected_keys
    assert all("pooler" in name for name in lost), f"weights of no module: {lost}"
    return model


def _training_arguments(case: StepCase, folder: str) -> Any:
    """Return the Trainer's arguments: raysearch's settings, and every flag that saves it time.

    Raises:
        Unavailable: the Trainer has no fp16 on a CPU.
    """
    import transformers

    cpu, precision = case.device.type == "cpu", case.hyper.get("precision", "fp32")
    if cpu and precision == "fp16":
        raise Unavailable("needs a GPU")
    return transformers.TrainingArguments(
        output_dir=folder, per_device_train_batch_size=case.hyper["BSZ"],
        max_steps=case.phases.total, learning_rate=case.hyper["LR"], warmup_steps=0,
        weight_decay=0.01, save_strategy="no", logging_strategy="no", disable_tqdm=True,
        report_to="none", use_cpu=cpu, seed=SEED, remove_unused_columns=False,
        bf16=precision == "bf16", fp16=precision == "fp16",
        train_sampling_strategy="group_by_length", optim="adamw_torch_fused",
        logging_nan_inf_filter=False, dataloader_pin_memory=not cpu,
        accelerator_config={"non_blocking": not cpu},
    )  # fmt: skip


def gradient(trainer: Trainer, examples: EncodedDataset, rows: np.ndarray) -> list[torch.Tensor]:
    """Return the gradients of a step, on the CPU, as raysearch computes them in micro-batches."""
    trainer.gradient(examples, rows, 0)
    return gradients(trainer)


def gradients(trainer: Trainer) -> list[torch.Tensor]:
    """Return copies of the gradients that the parameters hold, on the CPU."""
    return [p.grad.cpu().clone() for p in trainer.optimizer.parameters if p.grad is not None]


def largest_difference(ours: list[torch.Tensor], others: list[torch.Tensor]) -> float:
    """Return the largest difference of two gradients, as a share of the second one's norm."""
    norm = math.sqrt(sum(float(x.square().sum()) for x in others))
    return max(float((a - b).abs().max()) for a, b in zip(ours, others, strict=True)) / norm
