"""The worker loop of a lane: take an order, train it, say how it goes, wait for the verdict.

It runs inside Ray Train's workers, all of a lane in step; only the first talks to the desk."""

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
from ..data.training_set import shaped
from ..models import Bench
from ..models.reusable import snapshot
from ..recipes import RECIPES, Hyper
from ..storage import file_inside, remove_file, replaced
from ..training import Fit, Job, Memory, World, plan
from ..training.gradient_accumulation import LIMITS
from .broker import Order
from .remote_text import opened

BEAT = 1.0  # seconds between signs of life


class Worker:
    """One process of a lane.

    Args:
        desk: handle of the desk.
        lane: name of the lane.
        recipe: name of the study's recipe.
        checkpoints: folder for checkpoints of long trials.
        every: seconds between checkpoints.
    """

    def __init__(
        self, *, desk: Any, lane: str, recipe: str, checkpoints: str, every: float
    ) -> None:
        self.desk, self.lane = desk, lane
        self.recipe = RECIPES[recipe]
        self.world = World.current()
        self.bench = Bench(_device())
        self.memory = Memory(LIMITS.get(self.bench.device.type, LIMITS["cuda"]))
        self.checkpoints, self.every = Path(checkpoints), every
        self._served = 0
        self._task: str | None = None
        self._material: dict[str, Any] = {}
        self._taught: tuple[str, torch.nn.Module | None] = ("", None)
        self._beaten = self._saved = time.monotonic()

    def work(self) -> None:
        """Serve orders until the lane closes."""
        if self.world.rank == 0:
            self._ask("arrive")
        while (order := self._first(self._take)) is not None:
            self._served = order.serial
            try:
                self._serve(order)
            except (ray.exceptions.RayError, SystemExit):
                raise
            except Exception as error:
                self._say(order, {"kind": "end", "status": "failed", "error": _reason(error)})
                if self.world.size > 1:
                    raise  # the others wait in a collective: Train starts the group anew

    def _take(self) -> Order | None:
        return self._ask("take", self._served)

    def _serve(self, order: Order) -> None:
        """Train one trial."""
        fit = self._begin(order)
        reports = iter(fit)
        self.reports: list[dict[str, Any]] = list(self._before)
        for report in reports:
            row = asdict(report)
            self.reports.append(row)
            verdict = self._say(order, {"kind": "report", **row, "attempt": order.attempt})
            if verdict == "stop":
                return
        self._end(order, fit)

    def _begin(self, order: Order) -> Fit:
        material = self._fetch(order.task)
        task = tasks.get(order.task)
        hyper = self.recipe.hyper.model_validate(order.configuration)
        train = shaped(material["train"], hyper, material.get("views"))
        schedule = plan(hyper, len(train), order.rungs)
        job = Job(
            task=task,
            stage=self.recipe.stage(hyper),
            hyper=hyper,
            plan=schedule,
            seed=order.seed,
            train=train,
            dev={name: shaped(split, hyper) for name, split in material["dev"].items()},
            selector=order.selector,
            select=order.select,
            keep_best=order.keep and order.select == "best" and self.world.rank == 0,
        )
        model = self.bench.model(material["pretrained"], hyper, order.seed, material["vocabulary"])
        fit = Fit(
            job, model, world=self.world, memory=self.memory, teacher=self._teacher(order, hyper),
            tick=lambda fit: self._tick(order, fit),
        )  # fmt: skip
        self._before = self._restore(order, fit)
        pulse = {
            "trial": order.trial,
            "attempt": order.attempt,
            "plan": asdict(schedule),
            "from_step": fit.step,
            "seconds": fit.seconds,
            "spent_before": fit.spent,
        }
        if self.world.rank == 0:
            self._ask("begin", order.serial, pulse)
        return fit

    def _fetch(self, task: str) -> dict[str, Any]:
        """The task's examples and pretrained weights: views of this node's object store, of a text
        of its files."""
        if task != self._task:
            self._material, self._task = {}, None
            found = ray.get(self.desk.material.remote(task))
            splits = {name: ray.get(ref) for name, ref in found["splits"].items()}
            examples = {name: opened(*parts) for name, parts in splits.items()}
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

    def _teacher(self, order: Order, hyper: Hyper) -> torch.nn.Module | None:
        """The frozen model that teaches a trial; it stays for the trials after it that share it."""
        material = self._material
        name = order.teacher or (order.task if "teacher" in material else "")
        if name != self._taught[0]:
            self._taught = ("", None)
        if name and not self._taught[0]:
            weights = material.get("teacher")
            if order.teacher:
                weights = ray.get(ray.get(self.desk.teacher.remote(order.teacher))[0])
            encoder = replace(material["pretrained"], weights=weights, digest=name)
            model = Bench(self.bench.device).model(encoder, hyper, order.seed)
            self._taught = (name, model.eval().requires_grad_(False))
        return self._taught[1]

    def _end(self, order: Order, fit: Fit) -> None:
        """Say how the trial ended, and leave its weights where they are wanted."""
        if self.world.rank:
            return
        news: dict[str, Any] = {"kind": "end", "status": self.reports[-1]["status"]}
        news |= {"seconds": fit.seconds, "attempt": order.attempt}
        if order.keep and news["status"] != "diverged":
            weights = fit.best[1] if order.select == "best" else snapshot(fit.model)
            ray.get(self.desk.leave.remote(order.trial, [ray.put(weights)]))
        self._ask("say", order.serial, news)
        with suppress(OSError):  # it is found and passed over, or taken away at the run's end
            remove_file(self._checkpoint(order))

    def _tick(self, order: Order, fit: Fit) -> None:
        """After every step: a sign of life, and a checkpoint when one is due."""
        now = time.monotonic()
        if self.world.rank or now - self._beaten < BEAT:
            return
        self._beaten = now
        self.desk.beat.remote(self.lane, order.serial, fit.seconds, fit.step)
        if now - self._saved > self.every and fit.seconds > self.every:
            self._saved = now
            self._save(order, fit)

    def _checkpoint(self, order: Order) -> Path:
        parent = self.checkpoints.parent
        return file_inside(parent, self.checkpoints.name, f"{order.trial}.pt")

    def _save(self, order: Order, fit: Fit) -> None:
        """Write a checkpoint by rename; without room the trial goes on without one."""
        with suppress(OSError), replaced(self._checkpoint(order)) as staged:
            torch.save({"fit": fit.state(), "reports": self.reports}, staged)

    def _restore(self, order: Order, fit: Fit) -> list[dict[str, Any]]:
        """Go on from the trial's checkpoint where there is a whole one; the reports before it."""
        path = self._checkpoint(order)
        content = self._first(lambda: path.read_bytes() if path.is_file() else None)
        if content is None:
            return []
        try:
            state = torch.load(io.BytesIO(content), weights_only=True)
        except Exception:  # a torn file: the trial begins anew
            return []
        fit.load(state["fit"])
        return state["reports"]

    def _first(self, ask: Any) -> Any:
        """What the first worker finds out, on every worker."""
        return self.world.share(ask() if self.world.rank == 0 else None)

    def _ask(self, method: str, *values: Any) -> Any:
        return ray.get(getattr(self.desk, method).remote(self.lane, *values))

    def _say(self, order: Order, news: dict[str, Any]) -> str:
        return self._first(lambda: self._ask("say", order.serial, news))


def _device() -> torch.device:
    import ray.train.torch

    return ray.train.torch.get_device()


def _reason(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).strip()
