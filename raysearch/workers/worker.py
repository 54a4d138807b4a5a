"""The worker of a lane: it takes a request, trains it, reports, and waits for the decision.

It is apart from the lane because it runs inside Ray Train's processes and needs torch. All workers
of a lane do the same steps together; only the one of rank 0 talks to the broker.
"""

import math
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import reduce
from typing import Any

import numpy as np
import ray
import torch

from ..data.training_set import as_training_set
from ..errors import InputError
from ..models import ReusableModel
from ..models.adapter_weights import merge_adapters
from ..models.pretrained import Pretrained
from ..models.pruned_embedding import count_parameters
from ..models.reusable import export_weights
from ..recipes import RECIPES, Hyperparameters
from ..run_folder.outcomes import has_model
from ..run_folder.report import Report
from ..training import DistributedContext, Job, MicroBatchLimit, Trainer, make_schedule
from ..training.gradient_accumulation import LIMITS
from .checkpoint_files import CheckpointFiles, read_checkpoint, reason
from .device_memory import MemoryReader, UsageMeter
from .machine import device_name, worker_device, worker_facts
from .memory_kills import memory_kills
from .messages import (
    AttemptProgress,
    Decision,
    Phase,
    TrialEnd,
    TrialReport,
    TrialRequest,
    WorkerMessage,
)
from .remote_text import open_split
from .trial_setup import plan_of, scored_splits, traceback_text

HEARTBEAT = 1.0  # seconds between signs of life
HURRY = 4  # a worker that is to leave trains so many times as long as a checkpoint takes


class LaneGone(Exception):
    """The broker does not know the lane's request any more, or has died: its workers leave."""


class Worker:
    """One process of a lane.

    Args:
        broker: handle of the broker.
        lane: name of the lane.
        recipe: name of the study's recipe.
        checkpoints: the checkpoints of long trials.
        checkpoint_interval: seconds between checkpoints.
        device_memory: reads the device's memory, which is sent to the broker with what the lane
            trains; None if nobody asks for it.
    """

    def __init__(
        self,
        *,
        broker: Any,
        lane: str,
        recipe: str,
        checkpoints: CheckpointFiles,
        checkpoint_interval: float,
        device_memory: MemoryReader | None = None,
    ) -> None:
        self.broker, self.lane = broker, lane
        self.recipe = RECIPES[recipe]
        self.world = DistributedContext.current()
        self.model = ReusableModel(worker_device())
        self.memory = MicroBatchLimit(LIMITS.get(self.model.device.type, LIMITS["cuda"]))
        self._meter = device_memory and UsageMeter(device_memory, self.model.device)
        self.checkpoints, self.checkpoint_interval = checkpoints, checkpoint_interval
        self.reports: list[Report] = []  # of the running trial
        self._last_serial = 0
        self._task: str | None = None
        self._data: dict[str, Any] = {}
        self._teacher_cache: tuple[str, torch.nn.Module | None] = ("", None)
        self._last_heartbeat = self._last_checkpoint = time.monotonic()
        self._phase = Phase.TRAINING
        self._heartbeat: Any = None  # the broker's answer to the last sign of life
        self._nodes: tuple[str, ...] = ()  # of the lane
        self._leaves_soon = False
        self._note = ""  # what the log is to say of the attempt that begins
        self._saving_seconds = 0.0  # that the last checkpoint took

    def work(self) -> None:
        """Run the requests of the lane until it closes, or until the broker does not know it."""
        try:
            self._work()
        except LaneGone:
            if self.world.size > 1:
                raise  # the others wait in a collective: Train ends them, see GroupRestarts

    def _work(self) -> None:
        node = ray.get_runtime_context().get_node_id()
        self.broker.record_machine.remote(node, worker_facts())
        kills = dict(self.world.all_gather((node, memory_kills())))
        self._nodes = tuple(kills)
        if not self._from_rank0(lambda: self._call_broker("worker_started", kills)):
            return
        while (request := self._next_request()) is not None:
            self._last_serial, self._heartbeat = request.serial, None
            try:
                self._run(request)
            except (LaneGone, ray.exceptions.RayError, SystemExit):
                raise
            except Exception as error:
                self._report(request, TrialEnd(status="failed", error=traceback_text(error)))
                if self.world.size > 1:
                    raise  # the others wait in a collective: Train starts the group anew

    def _next_request(self) -> TrialRequest | None:
        request: TrialRequest | None = self._from_rank0(
            lambda: self._call_broker("next_request", self._last_serial)
        )
        return request

    def _run(self, request: TrialRequest) -> None:
        """Train one trial, to its end or until a decision stops it."""
        trainer = self._prepare(request)
        for report in trainer:
            self.reports.append(report)
            if self._meter:
                self._meter.evaluated = True
            message = TrialReport(report=report, attempt=request.attempt)
            if self._report(request, message) is Decision.STOP:
                return
        self._end(request, trainer)

    def _prepare(self, request: TrialRequest) -> Trainer:
        """Return the trainer of a trial, restored from its checkpoint if there is one."""
        data = self._fetch_data(request.task)
        hyper = self.recipe.hyper.model_validate(request.configuration)
        job = self._job(request, hyper, data)
        start = data["starts"].get(request.start)
        encoder = data["pretrained"] if start is None else ray.get(start)
        model = self.model.model(encoder, hyper, request.seed, data["vocabulary"])
        if self.world.rank == 0:
            self.broker.record_parameters.remote(request.task, *count_parameters(model))
        trainer = Trainer(
            job,
            model,
            world=self.world,
            memory=self.memory,
            teacher=self._teacher(request, hyper, encoder),
            on_step=lambda trainer: self._on_step(request, trainer),
        )
        self.reports = self._restore(request, trainer)
        self._announce_attempt(request, trainer, job)
        return trainer

    def _job(self, request: TrialRequest, hyper: Hyperparameters, data: dict[str, Any]) -> Job:
        train = as_training_set(data["train"], hyper, data.get("views"))
        return Job(
            task=data["task"],
            stage=self.recipe.stage_of(hyper),
            hyper=hyper,
            schedule=make_schedule(hyper, len(train), request.rungs),
            seed=request.seed,
            train=train,
            dev=scored_splits(data["dev"], hyper),
            searched=scored_splits(data["searched"], hyper),
            selector=request.selector,
            select=request.select,
            keep_best=request.keep_weights and request.select == "best" and self.world.rank == 0,
            keep_predictions=request.keep_predictions and self.world.rank == 0,
        )

    def _announce_attempt(self, request: TrialRequest, trainer: Trainer, job: Job) -> None:
        """Tell the broker that an attempt begins."""
        progress = AttemptProgress(
            trial=request.trial,
            attempt=request.attempt,
            plan=plan_of(job),
            from_step=trainer.step,
            seconds=trainer.seconds,
            spent_before=trainer.seconds_before,
            host=socket.gethostname(),
            device=device_name(self.model.device),
            nodes=self._nodes,
            note=self._note,
        )
        if self._meter:
            self._meter.begin(trainer.tokens)
        if self.world.rank == 0:
            self._call_broker("attempt_started", request.serial, progress)

    def _fetch_data(self, task: str) -> dict[str, Any]:
        """Return the task's examples and pretrained weights, without copies.

        They are views of this node's object store, and of a text's files.

        Returns:
            `task`, its facts; `train`; `dev`, split name -> examples; `searched`, the same of the
            examples on which trials are compared if those of `dev` are held out; `vocabulary`, all
            token ids of the examples, or None where views may hold any; `pretrained`; `starts`,
            trial -> reference to what its followers start from instead; `teacher` and `views` where
            the recipe needs them.
        """
        if task == self._task:
            return self._data
        self._data, self._task = {}, None  # frees the last task's data first
        published = self._answer(self.broker.get_data.remote(task))
        parts = {
            part: {name: open_split(*ray.get(ref)) for name, ref in published.get(part, {}).items()}
            for part in ("splits", "searched")
        }
        starts = published.get("starts", {})
        lazy = (*parts, "starts")
        values = {name: ray.get(ref) for name, ref in published.items() if name not in lazy}
        examples, searched = parts["splits"], parts["searched"]
        train, *dev = examples
        vocabulary = None
        if "views" not in published:
            every = (*examples.values(), *searched.values())
            vocabulary = reduce(np.union1d, (split.vocabulary() for split in every))
        self._data = {
            "train": examples[train],
            "dev": {name: examples[name] for name in dev},
            "searched": searched,
            "vocabulary": vocabulary,
            "starts": starts,
            **values,
        }
        self._task = task
        return self._data

    def _teacher(
        self, request: TrialRequest, hyper: Hyperparameters, encoder: Pretrained
    ) -> torch.nn.Module | None:
        """Return the frozen model that teaches a trial, kept for later trials that share it.

        A teacher that was trained for the trial started from the same encoder.
        """
        data = self._data
        name = request.teacher or (request.task if "teacher" in data else "")
        if name != self._teacher_cache[0]:
            self._teacher_cache = ("", None)
        if name and not self._teacher_cache[0]:
            if request.teacher:
                trained = ray.get(self._answer(self.broker.get_teacher.remote(request.teacher))[0])
                weights = merge_adapters(encoder.weights, trained, hyper)
            else:
                weights = data["teacher"]
            encoder = replace(encoder, weights=weights, digest=name)
            teacher: torch.nn.Module = ReusableModel(self.model.device).model(
                encoder, hyper.model_copy(update={"lora_rank": None}), request.seed
            )
            self._teacher_cache = (name, teacher.eval().requires_grad_(False))
        return self._teacher_cache[1]

    def _end(self, request: TrialRequest, trainer: Trainer) -> None:
        """Report how the trial ended, after what is needed of it is stored."""
        if self.world.rank:
            return
        status = self.reports[-1].status
        assert status != "running", "the last report of a trial says how it ended"
        end = TrialEnd(status=status, seconds=trainer.seconds)
        if (request.keep_weights or request.keep_predictions) and has_model(status):
            weights = None
            if request.keep_weights and request.select == "best":
                assert trainer.best is not None
                weights = trainer.best[1]
            elif request.keep_weights:
                weights = export_weights(trainer.model)
            left = [ray.put(trainer.predictions), ray.put(weights)]  # fetched one by one
            self._answer(self.broker.put_model.remote(request.trial, left))
        self._call_broker("report", request.serial, end)

    def _on_step(self, request: TrialRequest, trainer: Trainer) -> None:
        """After a step or a dev batch, send a sign of life and write a checkpoint, if due.

        Raises:
            LaneGone: the broker did not know the request at the last sign of life.
        """
        if self.world.rank:
            return
        due = trainer.step > trainer.evaluated and trainer.step in trainer.job.schedule.evaluations
        phase = Phase.EVALUATING if due else Phase.TRAINING
        if self._meter:
            self._meter.step(trainer.tokens, trains=not due)
        silent = time.monotonic() - self._last_heartbeat
        if silent < HEARTBEAT and phase is self._phase and not self._is_checkpoint_due(trainer):
            return
        self._show_life(request, trainer, phase)
        if self._is_checkpoint_due(trainer):  # also after a notice that came with the answer
            self._show_life(request, trainer, Phase.SAVING)
            self._save(request, trainer)
            self._show_life(request, trainer, phase)

    def _is_checkpoint_due(self, trainer: Trainer) -> bool:
        """Return whether it is time for a checkpoint.

        A worker whose node is about to leave writes one at once, and others as often as they take
        a small part of its time.
        """
        since, interval = time.monotonic() - self._last_checkpoint, self.checkpoint_interval
        if self._leaves_soon:
            return since > HURRY * self._saving_seconds
        return since > interval and trainer.seconds > interval

    def _show_life(self, request: TrialRequest, trainer: Trainer, phase: Phase) -> None:
        """Send a sign of life, with what the worker does next; leave if the last was unknown."""
        if self._heartbeat is not None:
            decision = self._answer(self._heartbeat)
            if decision is Decision.STOP:
                raise LaneGone
            before, self._leaves_soon = self._leaves_soon, decision is Decision.SAVE
            if self._leaves_soon and not before:
                self._last_checkpoint = -math.inf
        self._last_heartbeat, self._phase = time.monotonic(), phase
        if self._meter:
            usage = self._meter.usage(self.memory.lowered)
            self.broker.record_usage.remote(self.lane, request.serial, usage)
        self._heartbeat = self.broker.heartbeat.remote(
            self.lane, request.serial, trainer.seconds, trainer.step, phase
        )

    def _save(self, request: TrialRequest, trainer: Trainer) -> None:
        """Write a checkpoint; where it cannot be written the trial continues, and the log says so.

        The file replaces the one before when it is complete.
        """
        begin = time.monotonic()
        reports = [asdict(report) for report in self.reports]  # weights_only reads no classes
        try:
            with self.checkpoints.writing(request.trial) as file:
                torch.save({"fit": trainer.state(), "reports": reports}, file)
        except (OSError, InputError) as error:
            note = f"checkpoint not written: {reason(error)}"
            self.broker.note_attempt.remote(self.lane, request.serial, note)
        self._last_checkpoint = time.monotonic()
        self._saving_seconds = self._last_checkpoint - begin

    def _restore(self, request: TrialRequest, trainer: Trainer) -> list[Report]:
        """Restore the trainer from the trial's checkpoint if there is a readable one.

        Returns:
            The reports before the checkpoint; none where the trial begins at its first step.
        """
        state, problem = None, ""
        try:
            state = read_checkpoint(self.checkpoints, request.trial)
        except OSError as error:
            problem = reason(error)
        step = state["fit"]["counts"][0] if state else None
        read = self.world.all_gather((step, problem))  # one worker may not have read it
        problem = next((problem for _, problem in read if problem), "")
        self._note = f"begins anew, as its checkpoint cannot be read: {problem}" if problem else ""
        if state is None or any(other != step for other, _ in read):
            return []
        trainer.load(state["fit"])
        return [Report(**row) for row in state["reports"]]

    def _from_rank0(self, function: Callable[[], Any]) -> Any:
        """Return on every worker what the function returns on rank 0, where alone it is called."""
        return self.world.broadcast(function() if self.world.rank == 0 else None)

    def _call_broker(self, method: str, *values: Any) -> Any:
        return self._answer(getattr(self.broker, method).remote(self.lane, *values))

    def _answer(self, call: Any) -> Any:
        """Return the broker's answer to a call.

        Raises:
            LaneGone: the broker has died, and with it what it knew of the lane.
        """
        try:
            return ray.get(call)
        except ray.exceptions.RayActorError as error:
            raise LaneGone from error

    def _report(self, request: TrialRequest, message: WorkerMessage) -> Decision:
        decision: Decision = self._from_rank0(
            lambda: self._call_broker("report", request.serial, message)
        )
        return decision
