"""One sitting of a run: from a cluster that is up to the last trial, or to Ctrl-C."""

import logging
import signal
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray import tune

from .. import tasks
from ..errors import InputError, RaysearchError
from ..models import save_model
from ..preflight import Lanes
from ..results import TensorBoardWriter
from ..results.leaderboard import counted_score, is_complete
from ..run_folder import Journal, Record
from ..storage import file_inside, folder_inside, mark, remove_owned, write_atomically
from ..study import Study
from ..workers.broker import TrialBroker
from ..workers.lane import Lane
from . import kept_weights
from .data_preparation import BackgroundPreparation
from .ray_cluster import HEAD, as_ctrl_c
from .trial_queue import TrialQueue
from .tune_adapter import AdapterCallback, AdapterScheduler, AdapterSearcher, TuneAdapter

HANG = 1800.0  # seconds without a sign of life: longer than any step
CHECKPOINT = 600.0  # seconds between checkpoints of a trial
RECOUNT = 5.0  # seconds between looks at the cluster's size


class NullProgress:
    """Shows nothing: what `watch` has to offer."""

    def __init__(self, queue: TrialQueue, lanes: Callable[[], int]) -> None: ...

    def note(self, line: str) -> None:
        """A line worth a log."""

    def change(self, record: Record) -> None:
        """A record has changed."""

    def refresh(self) -> None:
        """Time has passed."""

    def close(self) -> None:
        """No more comes."""


class Session:
    """Runs what is left of a study on the cluster that is up.

    Args:
        folder: the run folder.
        study, data: what is searched, on what.
        journal: open for writing.
        lanes: how many, and how large.
        content: task -> identity of its data and model.
        watch: shows progress, see Silent.
    """

    def __init__(
        self,
        folder: Path,
        study: Study,
        data: Path,
        journal: Journal,
        lanes: Lanes,
        content: dict[str, str],
        watch: Callable[..., Any] | None,
    ) -> None:
        self.folder, self.study, self.data = folder, study, data
        self.journal, self.lanes = journal, lanes
        self.needs = lanes.needs(ray.cluster_resources())
        devices = lanes.workers
        self.queue = TrialQueue(study, journal, content, devices)
        self._counted, self._count = -RECOUNT, 0
        self.view = (watch or NullProgress)(self.queue, self._room)
        self.curves = TensorBoardWriter(folder, study)
        for text in journal.notes:
            self.view.note(text)

    def run(self) -> bool:
        """Run to the end; whether it was interrupted."""
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        broker = ray.remote(TrialBroker).options(num_cpus=0, max_concurrency=1000).remote(HANG)
        self.preparation = BackgroundPreparation(self.study, self.data, broker, self.view.note)
        left = [t for t in self.study.tasks if not is_complete(self.study, self.journal, t)]
        self.preparation.start(left)
        lanes = self._room()
        text = f"starting {lanes} lane{'' if lanes == 1 else 's'}"
        self.view.note(f"{text}; the first trials begin when they are up")
        adapter = TuneAdapter(
            self.queue,
            broker,
            self.preparation,
            self._room,
            self._changed,
            self._keep_weights,
            self.view.refresh,
        )
        with tempfile.TemporaryDirectory(prefix="raysearch-") as scratch:
            try:
                with as_ctrl_c(signal.SIGTERM):
                    self._tune(adapter, broker, scratch)
            except (tune.TuneError, ray.exceptions.RayError) as error:
                if self.journal.failure is not None:  # Tune would hide what it is
                    raise self.journal.failure from error
                raise self._lost(error) from error
            finally:
                self.view.close()
        return bool(self.queue.live) or self.queue.next() != "done"

    def _lost(self, error: Exception) -> RaysearchError:
        """Ray itself failed: say how to go on, and keep what it said in a file."""
        text = "".join(traceback.format_exception(error))
        try:
            path = file_inside(self.folder, "ray-error.txt")
            write_atomically(path, text)
            where = f"see {path}"
        except (OSError, RaysearchError):  # no room, or no folder: what Ray said is told itself
            where = text.strip().splitlines()[-1]
        return RaysearchError(
            f"{self.folder}: Ray failed, {where}\n"
            f"what has ended is kept; go on with: raysearch resume {self.folder}"
        )

    def _tune(self, adapter: TuneAdapter, broker: Any, scratch: str) -> None:
        trainable = tune.with_resources(
            tune.with_parameters(Lane, broker=broker, workers=self._workers(scratch)),
            tune.PlacementGroupFactory([{HEAD: 0.001}]),
        )
        tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=AdapterSearcher(adapter),
                scheduler=AdapterScheduler(adapter),
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=scratch,
                verbose=0,
                callbacks=[AdapterCallback(adapter)],
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()

    def _workers(self, scratch: str) -> dict[str, Any]:
        """How lanes set up their workers."""
        threads = max(1, int(self.lanes.cpus))
        return {
            "count": self.lanes.workers,
            "resources": self.needs,
            "storage": scratch,
            "environment": {
                "OMP_NUM_THREADS": str(threads),
                "OMP_WAIT_POLICY": "passive",
                "TOKENIZERS_PARALLELISM": "false",
                "HF_HUB_OFFLINE": "1",
            },
            "loop": {
                "recipe": self.study.recipe,
                "checkpoints": str((self.folder / "checkpoints").resolve()),
                "every": CHECKPOINT,
                "threads": threads,
            },
        }

    def _room(self) -> int:
        """How many lanes there may be now: more as nodes join."""
        if self.lanes.count is not None:
            return self.lanes.count
        if time.monotonic() - self._counted > RECOUNT:
            self._counted = time.monotonic()
            self._count = self.lanes.fit(ray.cluster_resources())
        return max(1, self._count)

    def _changed(self, record: Record) -> None:
        if record.is_over:
            self.curves.end(record)
            self._note_error(record)
        elif record.reports:
            self.curves.report(record)
        self.view.change(record)

    def _note_error(self, record: Record) -> None:
        """A failed trial leaves what it said last in a file of its own."""
        if record.error:
            with suppress(OSError, InputError):  # the journal has it
                place = (tasks.get(record.task).slug, "errors")
                folder_inside(self.folder, *place)
                path = file_inside(self.folder, *place, f"{record.id}.txt")
                text = record.error.encode("utf-8", "backslashreplace")
                write_atomically(path, text + b"\n")

    def _keep_weights(self, record: Record, weights: dict[str, Any]) -> None:
        """Write a trial's weights where none of the same configuration did better on dev; put a
        teacher's on the store."""
        if record.phase == "teach":
            self.queue.store_teacher(record, weights)
            return
        kept = (r for r in self._kept(record.task) if r.status != "failed")
        rivals = [r for r in kept if r.configuration == record.configuration]
        metric = self.study.selection_metric(record.task)
        best = max(r["scores"][metric] for r in record.reports if r["scores"])
        if self.study.search.select == "last":
            best = record.reports[-1]["scores"][metric]
        # Of equals the one that was begun first, whichever ends first: a rerun keeps the same.
        if any((counted_score(self.study, r), -r.number) > (best, -record.number) for r in rivals):
            return
        hyper = self.study.hyperparameters(record.task, record.configuration)
        place = tasks.get(record.task).slug, kept_weights.FOLDER
        folder_inside(self.folder, *place)
        pretrained, trial = self.preparation.pretrained(record.task), self._trial(record, best)
        save_model(self._weights(record), pretrained, weights, hyper, trial)
        run = kept_weights.run_of(self.folder)
        mark(self._weights(record), run)
        for rival in rivals:
            remove_owned(self._weights(rival), run)

    def _trial(self, record: Record, score: float) -> dict[str, Any]:
        """What a trial's weights say of it, see models' TrainingRecord."""
        confirm = self.study.confirm
        return {
            "id": record.id, "phase": record.phase, "seed": record.seed, "score": score,
            "metric": self.study.selection_metric(record.task), "report": confirm.report,
            "seeds": list(confirm.seeds), "status": record.reports[-1]["status"],
        }  # fmt: skip

    def _kept(self, task: str) -> list[Record]:
        return kept_weights.kept(self.folder, self.journal, task)

    def _weights(self, record: Record) -> Path:
        return kept_weights.weights_folder(self.folder, record)

    def tidy(self) -> None:
        """The winner's weights become best/, the others go; Optuna's study is written."""
        kept_weights.remove_unneeded_weights(
            self.folder, self.study, self.journal, self.queue.optuna_study, self.view.note
        )
