"""The worker loop of a lane: take an request, train it, say how it goes, wait for the decision.

It runs inside Ray Train's workers, all of a lane in step; only the first talks to the broker."""

import io
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch

from .. import tasks
from ..data.training_set import as_training_set
from ..models import ReusableModel
from ..models.reusable import export_weights
from ..recipes import RECIPES, Hyperparameters
from ..storage import file_inside, remove_file, replaced
from ..training import DistributedContext, Job, MicroBatchLimit, Trainer, make_schedule
from ..training.gradient_accumulation import LIMITS
from .broker import TrialRequest
from .remote_text import open_split

BEAT = 1.0  # seconds between signs of life


class Worker:
    """One process of a lane.

    Args:
        broker: handle of the broker.
        lane: name of the lane.
        recipe: name of the study's recipe.
        checkpoints: folder for checkpoints of long trials.
        every: seconds between checkpoints.
    """

    def __init__(
        self, *, broker: Any, lane: str, recipe: str, checkpoints: str, every: float
    ) -> None:
        self.broker, self.lane = broker, lane
        self.recipe = RECIPES[recipe]
        self.world = DistributedContext.current()
        self.bench = ReusableModel(_device())
        self.memory = MicroBatchLimit(LIMITS.get(self.bench.device.type, LIMITS["cuda"]))
        self.checkpoints, self.every = Path(checkpoints), every
        self._served = 0
        self._task: str | None = None
        self._material: dict[str, Any] = {}
        self._taught: tuple[str, torch.nn.Module | None] = ("", None)
        self._beaten = self._saved = time.monotonic()

    def work(self) -> None:
        """Serve orders until the lane closes."""
        if self.world.rank == 0:
            self._call_broker("worker_started")
        while (request := self._from_rank_0(self._next_request)) is not None:
            self._served = request.serial
            try:
                self._serve(request)
            except (ray.exceptions.RayError, SystemExit):
                raise
            except Exception as error:
                self._report(request, {"kind": "end", "status": "failed", "error": _reason(error)})
                if self.world.size > 1:
                    raise  # the others wait in a collective: Train starts the group anew

    def _next_request(self) -> TrialRequest | None:
        return self._call_broker("next_request", self._served)

    def _serve(self, request: TrialRequest) -> None:
        """Train one trial."""
        fit = self._begin(request)
        reports = iter(fit)
        self.reports: list[dict[str, Any]] = list(self._before)
        for report in reports:
            row = asdict(report)
            self.reports.append(row)
            decision = self._report(request, {"kind": "report", **row, "attempt": request.attempt})
            if decision == "stop":
                return
        self._end(request, fit)

    def _begin(self, request: TrialRequest) -> Trainer:
        material = self._fetch(request.task)
        task = tasks.get(request.task)
        hyper = self.recipe.hyper.model_validate(request.configuration)
        train = as_training_set(material["train"], hyper, material.get("views"))
        schedule = make_schedule(hyper, len(train), request.rungs)
        job = Job(
            task=task,
            stage=self.recipe.stage_of(hyper),
            hyper=hyper,
            plan=schedule,
            seed=request.seed,
            train=train,
            dev={name: as_training_set(split, hyper) for name, split in material["dev"].items()},
            selector=request.selector,
            select=request.select,
            keep_best=request.keep and request.select == "best" and self.world.rank == 0,
        )
        model = self.bench.model(
            material["pretrained"], hyper, request.seed, material["vocabulary"]
        )
        fit = Trainer(
            job, model, world=self.world, memory=self.memory, teacher=self._teacher(request, hyper),
            tick=lambda fit: self._on_step(request, fit),
        )  # fmt: skip
        self._before = self._restore(request, fit)
        progress = {
            "trial": request.trial,
            "attempt": request.attempt,
            "plan": asdict(schedule),
            "from_step": fit.step,
            "seconds": fit.seconds,
            "spent_before": fit.spent,
        }
        if self.world.rank == 0:
            self._call_broker("attempt_started", request.serial, progress)
        return fit

    def _fetch(self, task: str) -> dict[str, Any]:
        """The task's examples and pretrained weights: views of this node's object store, of a text
        of its files."""
        if task != self._task:
            self._material, self._task = {}, None
            found = ray.get(self.broker.get_data.remote(task))
            splits = {name: ray.get(ref) for name, ref in found["splits"].items()}
            examples = {name: open_split(*parts) for name, parts in splits.items()}
            train, *dev = examples
            self._material = {
                "train": examples[train],
                "dev": {name: examples[name] for name in dev},
                "vocabulary": None,  # views may hold any token
                **{name: ray.get(ref) for name, ref in found.items() if name != "splits"},
            }
            if "views" not in found:
                tokens = (e.vocabulary() for e in examples.values())
                self._material["vocabulary"] = reduce(np.union1d, tokens)
            self._task = task
        return self._material

    def _teacher(self, request: TrialRequest, hyper: Hyperparameters) -> torch.nn.Module | None:
        """The frozen model that teaches a trial; it stays for the trials after it that share it."""
        material = self._material
        name = request.teacher or (request.task if "teacher" in material else "")
        if name != self._taught[0]:
            self._taught = ("", None)
        if name and not self._taught[0]:
            weights = material.get("teacher")
            if request.teacher:
                weights = ray.get(ray.get(self.broker.get_teacher.remote(request.teacher))[0])
            encoder = replace(material["pretrained"], weights=weights, digest=name)
            model = ReusableModel(self.bench.device).model(encoder, hyper, request.seed)
            self._taught = (name, model.eval().requires_grad_(False))
        return self._taught[1]

    def _end(self, request: TrialRequest, fit: Trainer) -> None:
        """Say how the trial ended, and leave its weights where they are wanted."""
        if self.world.rank:
            return
        event: dict[str, Any] = {"kind": "end", "status": self.reports[-1]["status"]}
        event |= {"seconds": fit.seconds, "attempt": request.attempt}
        if request.keep and event["status"] != "diverged":
            weights = fit.best[1] if request.select == "best" else export_weights(fit.model)
            ray.get(self.broker.put_weights.remote(request.trial, [ray.put(weights)]))
        self._call_broker("report", request.serial, event)
        with suppress(OSError):  # it is found and passed over, or taken away at the run's end
            remove_file(self._checkpoint(request))

    def _on_step(self, request: TrialRequest, fit: Trainer) -> None:
        """After every step: a sign of life, and a checkpoint when one is due."""
        now = time.monotonic()
        if self.world.rank or now - self._beaten < BEAT:
            return
        self._beaten = now
        self.broker.heartbeat.remote(self.lane, request.serial, fit.seconds, fit.step)
        if now - self._saved > self.every and fit.seconds > self.every:
            self._saved = now
            self._save(request, fit)

    def _checkpoint(self, request: TrialRequest) -> Path:
        parent = self.checkpoints.parent
        return file_inside(parent, self.checkpoints.name, f"{request.trial}.pt")

    def _save(self, request: TrialRequest, fit: Trainer) -> None:
        """Write a checkpoint by rename; without room the trial goes on without one."""
        with suppress(OSError), replaced(self._checkpoint(request)) as staged:
            torch.save({"fit": fit.state(), "reports": self.reports}, staged)

    def _restore(self, request: TrialRequest, fit: Trainer) -> list[dict[str, Any]]:
        """Go on from the trial's checkpoint where there is a whole one; the reports before it."""
        path = self._checkpoint(request)
        content = self._from_rank_0(lambda: path.read_bytes() if path.is_file() else None)
        if content is None:
            return []
        try:
            state = torch.load(io.BytesIO(content), weights_only=True)
        except Exception:  # a torn file: the trial begins anew
            return []
        fit.load(state["fit"])
        return state["reports"]

    def _from_rank_0(self, ask: Any) -> Any:
        """What the first worker finds out, on every worker."""
        return self.world.share(ask() if self.world.rank == 0 else None)

    def _call_broker(self, method: str, *values: Any) -> Any:
        return ray.get(getattr(self.broker, method).remote(self.lane, *values))

    def _report(self, request: TrialRequest, event: dict[str, Any]) -> str:
        return self._from_rank_0(lambda: self._call_broker("report", request.serial, event))


def _device() -> torch.device:
    import ray.train.torch

    return ray.train.torch.get_device()


def _reason(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).strip()
