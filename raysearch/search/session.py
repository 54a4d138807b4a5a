"""One session of a run: from a cluster that is up to the last trial, or to Ctrl-C.

It is apart from `run_study` because it imports Tune, which takes long.
"""

import copy
import logging
import math
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
from ..preflight import Lanes
from ..preflight.resources import AUTO, count_lanes, total
from ..results.tensorboard import TensorBoardWriter
from ..run_folder import Journal, Record, dev_predictions
from ..run_folder.checkpoint_folder import CheckpointFolder
from ..run_folder.opening import PROVENANCE
from ..storage import file_inside, folder_inside, write_atomically
from ..workers.broker_link import BrokerLink
from ..workers.checkpoint_files import start_server
from ..workers.device_memory import MemoryReader, TorchMemory
from ..workers.lane import Lane
from ..workers.messages import TrainedModel
from ..workers.mps import mps_daemon
from ..workers.ray_internals import HEAD_NODE_RESOURCE, waiting_lanes
from ..workers.ray_processes import have_environment, inherited_environment, worker_environment
from . import kept_weights, winner_folders
from .background_import import import_models
from .chain_starts import ChainStarts
from .data_preparation import BackgroundPreparation
from .lane_demand import RECOUNT, LaneDemand
from .lane_growth import LaneGrowth
from .leaving_nodes import LeavingNodes
from .new_run import RAY_ERROR, has_begun
from .null_progress import NullProgress
from .provenance import add_facts
from .ray_cluster import RayCluster, as_ctrl_c, cluster_nodes, on_first_ctrl_c
from .ray_watch import RayWatch, ray_failure
from .reuse import Reuse
from .sampler_choice import SamplerChoice
from .trial_queue import QueueState, TrialQueue
from .tune_adapter import TuneAdapter
from .tune_hooks import (
    AdapterCallback,
    AdapterScheduler,
    AdapterSearcher,
    AdapterStopper,
    NothingBegun,
)


class Session:
    """One session of a run, on a cluster that is up.

    Args:
        folder: the run folder.
        choice: what is searched, and the sampler that was given.
        data: the data folder.
        journal: open for writing.
        lanes: how many, and how large.
        content: task -> identity of its data and model.
        watch: shows progress, see NullProgress.
        ray_watch: notices the death of Ray's processes on this node.
        wait: seconds to wait for the nodes of a first lane; None on a cluster of this machine.
        reuse: the trials that other runs can answer; None for none.

    Attributes:
        device_memory: reads the memory of a worker's device, where lanes share devices.
        growth: how many lanes share each device, where that is measured.
        chain: the tasks that wait for the winner of another; None before the session runs.
    """

    device_memory: MemoryReader = TorchMemory()
    growth: LaneGrowth | None = None
    chain: ChainStarts | None = None

    def __init__(
        self,
        folder: Path,
        choice: SamplerChoice,
        data: Path,
        journal: Journal,
        lanes: Lanes,
        content: dict[str, str],
        watch: Callable[..., Any] | None,
        ray_watch: RayWatch,
        wait: float | None = None,
        reuse: Reuse | None = None,
    ) -> None:
        self.ray_watch = ray_watch
        study = choice.study
        self.folder, self.study, self.data = folder, study, data
        self.journal, self.lanes = journal, lanes
        self.queue = TrialQueue(
            study,
            journal,
            content,
            devices=lanes.workers,
            own_sampler=choice.make,
            reuse=reuse,
        )
        self.demand = LaneDemand(lanes, RayCluster(), wait, self._note)
        self._announced_at, self._leaving = -math.inf, LeavingNodes(self._note)
        if lanes.per_gpu == AUTO:
            cluster = total(self.demand.cluster.nodes())
            self.growth = LaneGrowth(lanes, cluster, journal, self.queue.clock, self._note)
        self.view = (watch or NullProgress)(self.queue, self.limit)
        self.curves = TensorBoardWriter(folder, study)
        for text in journal.notes:
            self.view.note(text)
        if reuse is not None:
            reuse.note = self.view.note
            for text in reuse.notes:
                self.view.note(text)
        self._remove_leftovers()

    def limit(self) -> int:
        """Return how many lanes there may be now."""
        return self.growth.limit() if self.growth else self.demand.limit()

    def _note(self, line: str) -> None:
        self.view.note(line)

    def _remove_leftovers(self) -> None:
        """Remove the weights that an earlier session has left and that are not needed."""
        try:
            if count := self.queue.weights.tidy():
                folders = "a folder" if count == 1 else f"{count:,} folders"
                self.view.note(f"removed {folders} of weights that cannot become the best")
        except OSError as error:  # the run goes on; they are removed at its end
            self.view.note(f"weights of an earlier session not removed: {error}")

    def run(self) -> bool:
        """Run the trials that are left, and return whether the session was interrupted.

        Raises:
            InputError: what stands in the way of some trial.
            RaysearchError: Ray failed.
        """
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        broker = BrokerLink(self.study.search.hang_after, self._note_restart)
        self.preparation = BackgroundPreparation(self.study, self.data, broker, self.view.note)
        self.chain = ChainStarts(self.folder, self.study, self.journal, self._note)
        self.preparation.start(self.chain.ready, self.chain.waiting)
        self.chain.prepare(self.preparation)
        adapter = TuneAdapter(
            self.queue,
            broker,
            self.preparation,
            self.limit,
            self._on_change,
            self._keep_model,
            lambda: self._on_time(adapter),
            self.view.note,
            *([self.growth.observe] if self.growth else []),
        )
        self._broker = broker
        if self.growth:
            self.growth.place(broker)
        self._recorded: dict[str, dict[str, Any]] = {}
        self._recorded_lanes: set[tuple[str, int | None]] = set()
        with tempfile.TemporaryDirectory(prefix="raysearch-") as scratch:
            try:
                self.ray_watch.start()
                with as_ctrl_c(signal.SIGTERM):
                    self._wait_for_lane()
                    with on_first_ctrl_c(adapter.interrupted.set):
                        self._tune(adapter, broker.actor, scratch)
            except NothingBegun as end:
                raise end.reason from None
            except (tune.TuneError, ray.exceptions.RayError) as error:
                for cause in (self.journal.failure, self.ray_watch.error, adapter.error):
                    if cause is not None:  # Tune's error hides it
                        raise cause from error
                raise self._ray_failure(error) from error
            finally:
                self.preparation.close()
                self.ray_watch.stop()
                self.view.close()
                self.demand.clear()
                broker.close()
        return bool(self.queue.live) or self.queue.next() is not QueueState.DONE

    def _note_restart(self) -> None:
        self.view.note("the broker died and has started again; running trials begin anew")

    def _wait_for_lane(self) -> None:
        """Wait for the nodes of a first lane, while the data is prepared."""

        def check() -> None:
            self.view.refresh()
            if self.preparation.error is not None:
                raise self.preparation.error

        self.demand.wait_for_lane(self.queue.unfinished, check)
        text = f"starting {count_lanes(self.limit())}"
        self.view.note(f"{text}; the first trials begin when they are up")

    def _on_time(self, adapter: TuneAdapter) -> None:
        """Show that time has passed, and let lanes and nodes follow each other."""
        if self.ray_watch.error:
            raise self.ray_watch.error
        error = self.preparation.error
        if error and self.ray_watch.ends_ray and not has_begun(self.journal):
            raise NothingBegun(error)
        self.view.refresh()
        if self.growth:
            self.growth.look(self._broker)
        is_cluster = self.demand.wait is not None
        if is_cluster:
            self._leaving.look(self._broker)
        if time.monotonic() - self._announced_at < RECOUNT:
            return
        self._announced_at = time.monotonic()
        waiting = waiting_lanes()
        self.demand.note_waiting(len(waiting))
        if is_cluster:
            self.demand.announce(self._wanted_lanes())
        if is_cluster or self.growth:
            adapter.fit_lanes(waiting)

    def _wanted_lanes(self) -> int:
        """Return for how many trials nodes are asked for: none once all that are left train.

        Their nodes stay as they are busy. While anything is asked for, Ray may count an idle node
        as its place, and keeps it.
        """
        training = {attempt.trial for attempt in self._broker.running_attempts()}
        all_train = not self.queue.remaining and self.queue.live <= training
        return 0 if all_train else self.queue.unfinished

    def _ray_failure(self, error: Exception) -> RaysearchError:
        """Return the error to raise when Ray itself failed; its traceback is kept in a file."""
        text = "".join(traceback.format_exception(error))
        try:
            path = file_inside(self.folder, RAY_ERROR)
            write_atomically(path, text)
            details = f"see {path}"
        except (OSError, RaysearchError):  # a full disk, or no folder: say it in the message
            details = text.strip().splitlines()[-1]
        return ray_failure(self.folder, f"Ray failed, {details}")

    def _tune(self, adapter: TuneAdapter, broker: Any, scratch: str) -> None:
        """Run Tune to its end, with NVIDIA's MPS if it is asked for."""
        with mps_daemon(Path(scratch), self._note, self.lanes.mps) as environment:
            workers = self._workers(scratch)
            inherited = have_environment(workers["environment"])
            workers["environment"] = environment | ({} if inherited else workers["environment"])
            with inherited_environment(inherited):
                self._tuner(adapter, broker, scratch, workers).fit()

    def _tuner(
        self, adapter: TuneAdapter, broker: Any, scratch: str, workers: dict[str, Any]
    ) -> tune.Tuner:
        trainable = tune.with_resources(
            tune.with_parameters(Lane, broker=broker, workers=workers),
            tune.PlacementGroupFactory([{HEAD_NODE_RESOURCE: 0.001}]),
        )
        return tune.Tuner(
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
                stop=AdapterStopper(adapter),
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )

    def _workers(self, scratch: str) -> dict[str, Any]:
        """Return how lanes set up their workers, see `Lane.setup`."""
        threads = max(1, int(self.lanes.cpus))
        return {
            "count": self.lanes.workers,
            "resources": self.demand.needs,
            "storage": scratch,
            "environment": worker_environment(threads),
            "loop": {
                "recipe": self.study.recipe,
                "checkpoints": self._checkpoints(),
                "checkpoint_interval": self.study.search.checkpoint_every,
                "threads": threads,
                "device_memory": self.device_memory if self.growth else None,
            },
        }

    def _checkpoints(self) -> dict[str, Any]:
        """Return where workers write checkpoints, see `checkpoint_files`."""
        folder, server = self.folder.resolve(), None
        if self.demand.wait is not None:  # on a cluster: its nodes may not see the run folder
            node = ray.get_runtime_context().get_node_id()
            server = start_server(node, folder)
        return {"run_folder": folder, "run": kept_weights.run_of(folder), "server": server}

    def _on_change(self, record: Record) -> None:
        if self.chain and (record.is_over or record.start):
            self.chain.prepare(self.preparation)
        if record.is_over:
            self.curves.end(record)
            self._note_error(record)
            self._record_facts(record)
            self._remove_unneeded(record)
        elif record.reports:
            self.curves.report(record)
        self.view.change(record)

    def _remove_unneeded(self, record: Record) -> None:
        """Remove what the end of a trial has made useless: its checkpoint, weights of losers."""
        try:
            self.queue.weights.remove_losers(record.task)
            CheckpointFolder(self.folder).remove(record.id)
        except (OSError, InputError) as error:  # the run goes on; they are removed at its end
            self.view.note(f"{record.task}: weights or a checkpoint not removed: {error}")

    def _record_facts(self, record: Record) -> None:
        """Add what preparation and workers have found out to the provenance, if it is new.

        The broker is asked after the first trial of a task in a lane, and after each trial that was
        tried again, as its workers may be on another node then.

        Args:
            record: a trial that has ended.
        """
        lane = record.task, record.starts[-1].lane if record.starts else None
        if lane in self._recorded_lanes and record.attempts <= 1:
            return
        self._recorded_lanes.add(lane)
        recorded = self._broker.recorded_facts()
        facts = {"splits": self.preparation.facts, "nodes": cluster_nodes(), **recorded}
        if facts == self._recorded:
            return
        self._recorded = copy.deepcopy(facts)
        try:
            add_facts(self.folder, facts)
        except (OSError, InputError) as error:  # the run goes on; its statement lacks the facts
            self.view.note(f"{PROVENANCE}: facts of machines and data not written: {error}")

    def _note_error(self, record: Record) -> None:
        """Write the error of a failed trial to a file of its own."""
        if record.error:
            with suppress(OSError, InputError):  # the journal has it
                names = (tasks.slug_of(record.task), "errors")
                folder_inside(self.folder, *names)
                path = file_inside(self.folder, *names, f"{record.id}.txt")
                write_atomically(path, f"{record.error}\n".encode("utf-8", "backslashreplace"))

    def _keep_model(self, record: Record, model: TrainedModel) -> None:
        """Keep what is needed of a trial that ends: dev predictions, weights that may be the best.

        A teacher's weights go to the store, others to the run folder.
        """
        weights = model.weights
        if record.phase == "teach":
            assert weights is not None, "a teacher without weights"
            self.queue.store_teacher(record, weights)
            return
        if model.predictions:  # none of a trial that goes on from a checkpoint without them
            dev_predictions.write(self.folder, record, model.predictions)
        if weights is None:
            return
        import_models()
        from ..models import save_model

        task, kept = self.study.resolve(record.task), self.queue.weights
        save_model(
            kept.place(record),
            self.preparation.pretrained(record.task, record.start),
            weights,
            task.hyperparameters(record.configuration),
            kept_weights.trial_facts(self.study, record),
            run=kept_weights.run_of(self.folder),
        )
        kept.add(record)

    def tidy(self) -> None:
        """Move the winner's weights to best/, remove the others, and write Optuna's studies."""
        winner_folders.remove_unneeded_weights(
            self.folder, self.study, self.journal, self.queue.optuna_study, self.view.note
        )
