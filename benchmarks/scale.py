"""CPU milliseconds of the driver per trial, of studies with thousands of trials of no work.

    python benchmarks/scale.py [--sampler random] [--trials 5000] [--lanes 16] [--weights]
    python benchmarks/scale.py --ray --trials 600

Nothing is trained and Ray is not started: simulated lanes give reports to what Session gives them
to, the adapter with queue, journal, samplers, progress display and TensorBoard files. Their trials
do not end at the same time, as those of real lanes. With `--ray` the lanes are actors of a Ray that
Tune drives, and each trial sleeps for a second. `--profile FILE` keeps cProfile's statistics, and
`--journal` prints a hash of the journal without its times, to compare two versions.
"""

import argparse
import cProfile
import hashlib
import json
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from driver_costs import Costs, Meter, print_seconds, print_windows
from ray import tune

from raysearch import __version__, results, storage
from raysearch import study as studies
from raysearch.cli.progress import ProgressDisplay
from raysearch.results import TensorBoardWriter
from raysearch.run_folder import Journal, Record
from raysearch.run_folder.events import Plan
from raysearch.run_folder.report import Report
from raysearch.search import ray_cluster, tune_adapter
from raysearch.search import session as sessions
from raysearch.search.trial_queue import TrialQueue
from raysearch.workers.messages import (
    AttemptProgress,
    LaneIdle,
    TrainedModel,
    TrialEnd,
    TrialReport,
    TrialRequest,
)

TASK = "toy/grammar"
SPACE = {
    "LR": {"log": [1e-6, 1e-3]},
    "BSZ": {"choice": [8, 16, 32, 64]},
    "EPOCH": {"int": [1, 20]},
    "weight_decay": {"uniform": [0.0, 0.1]},
}
GRID = {
    "LR": {"choice": [n * 1e-5 for n in range(1, 21)]},
    "BSZ": {"choice": [8, 16, 32, 64]},
    "EPOCH": {"choice": list(range(1, 11))},
    "weight_decay": {"choice": [n / 100 for n in range(10)]},
}
SECONDS = 1.0  # that a trial sleeps with --ray
STEPS, EVALUATIONS = 100, (25, 50, 100)


class SimulatedSession(sessions.Session):
    """A session over a run folder whose trials are simulated; it needs no cluster."""

    def __init__(self, folder: Path, study: studies.Study, journal: Journal, lanes: int) -> None:
        self.folder, self.study, self.journal = folder, study, journal
        self.queue = TrialQueue(study, journal, {TASK: "x"})
        self.preparation = SimpleNamespace(pretrained=lambda *_: None, facts={}, error=None)
        self.view = ProgressDisplay(self.queue, lambda: lanes)
        self.curves = TensorBoardWriter(folder, study)
        self._broker = SimulatedBroker()
        self._recorded, self._recorded_lanes = {}, set()

    def _workers(self, scratch: str) -> dict:
        """Return nothing: a sleeping lane has no workers."""
        return {}


class SimulatedBroker:
    """What the adapter and the session ask of a link to a broker."""

    def __getattr__(self, name: str) -> Callable[..., object]:
        """Return a method of the link."""
        answers = {
            "pop_model": TrainedModel(weights={}, predictions=b""),
            "running_attempts": (),
            "forget_dead_lanes": (),
            "recorded_facts": {},
        }
        return lambda *_: answers.get(name)


class SleepingLane(tune.Trainable):
    """A lane whose trials sleep for SECONDS and report once; nothing is trained."""

    def setup(self, config: dict, broker: object = None, workers: object = None) -> None:
        """Take the first trial."""
        self.reset_config(config)

    def reset_config(self, new_config: dict) -> bool:
        """Take the next trial."""
        request = new_config["request"]
        self.events = None if request is None else lane_events(request, (STEPS,), os.getpid())
        return True

    def step(self) -> dict:
        """Return the next event of the trial."""
        if self.events is None:
            time.sleep(0.2)
            return {"event": LaneIdle()}
        event = next(self.events)
        if isinstance(event, TrialReport):
            time.sleep(SECONDS)
        return {"event": event, "done": isinstance(event, TrialEnd)}


def main() -> None:
    """Run one study and print its costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sampler", choices=("random", "tpe", "grid", "cmaes"), default="random")
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--weights", action="store_true", help="trials leave weights")
    parser.add_argument("--stop-early", action="store_true", help="with successive halving")
    parser.add_argument("--ray", action="store_true", help="trials of a second over a real Ray")
    parser.add_argument("--journal", action="store_true", help="print a hash of the journal")
    parser.add_argument("--profile", help="file for cProfile's statistics of the trials")
    parser.add_argument("--profile-export", help="the same of what follows the last trial")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as parent:
        simulate(Path(parent) / "run", options)


def simulate(folder: Path, options: argparse.Namespace) -> None:
    """Drive a study to its end in a new run folder and print what it cost."""
    session = make_session(folder, options)
    print_costs(session, run_trials(session, options), options)


def run_trials(session: SimulatedSession, options: argparse.Namespace) -> list[Costs]:
    """Run all trials of a session and return the costs at the end of each one."""
    work = drive_ray if options.ray else drive
    replaced = {"cluster_nodes": list, "Lane": SleepingLane}
    replaced["add_facts"] = lambda folder, facts: None
    unsaved = mock.patch("raysearch.models.save_model", save_nothing)
    with mock.patch.multiple(sessions, **replaced), unsaved, Meter() as meter:
        measured(options.profile, lambda: work(session, options.lanes, meter))
    return meter.ends


def make_session(folder: Path, options: argparse.Namespace) -> SimulatedSession:
    """Return the session of a study in a new run folder."""
    folder.mkdir()
    study = make_study(options)
    storage.write_atomically(folder / "study.yaml", studies.dump(study))
    facts = {"data": "data", "content": {TASK: "x"}, "raysearch": __version__}
    facts["study"] = studies.as_mapping(study)
    storage.write_atomically(folder / "provenance.json", json.dumps(facts))
    return SimulatedSession(folder, study, Journal(folder), options.lanes)


def print_costs(session: SimulatedSession, ends: list[Costs], options: argparse.Namespace) -> None:
    """Print what the trials cost, and what follows the last of them."""
    folder = session.folder
    searched = ends[: options.trials]
    print_windows(searched, options.lanes)
    if options.ray:
        print_seconds(session.journal.of(TASK, "search"), searched, options.lanes, SECONDS)
    weights = folder / "toy-grammar" / "weights"
    kept = [path.name for path in weights.iterdir()] if weights.is_dir() else []
    print(f"weights kept before the end: {len(kept)}")
    started, cpu = time.perf_counter(), time.process_time()
    session.view.close()
    measured(options.profile_export, lambda: finish(session))
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"after the last trial: {wall:.1f} s, {cpu:.1f} s of CPU")
    print(f"report.html {(folder / 'report.html').stat().st_size / 1e6:.1f} MB")
    if options.journal:
        print(f"journal {journal_hash(folder)}")
        print(f"tables {hashlib.sha256((folder / 'table.csv').read_bytes()).hexdigest()[:16]}")
    print(f"largest memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


def make_study(options: argparse.Namespace) -> studies.Study:
    """Return the study whose trials are simulated."""
    search = {"sampler": options.sampler, "trials": options.trials, "keep_predictions": "none"}
    if options.stop_early:
        search["stop_early"] = {"at": [0.25, 0.5], "keep": 0.5}
    raw = {
        "name": "scale",
        "tasks": [TASK],
        "model": "scratch:1x64",
        "space": GRID if options.sampler == "grid" else SPACE,
        "search": search,
    }
    if not options.weights:
        raw["confirm"] = {"top": 3, "seeds": [11, 12]}
    return studies.parse(raw)


def save_nothing(place: Path, *_: object, run: str) -> None:
    """Write small files in the place of a model."""
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(b"weights")
    (place / "config.json").write_text("{}")
    storage.mark(place, run)


def make_adapter(session: SimulatedSession, lanes: int) -> tune_adapter.TuneAdapter:
    """Return what connects the session's trials and Tune's."""
    return tune_adapter.TuneAdapter(
        session.queue,
        session._broker,
        session.preparation,
        lambda: lanes,
        session._on_change,
        session._keep_model,
        session.view.refresh,
    )


def drive_ray(session: SimulatedSession, lanes: int, meter: Meter) -> None:
    """Run all trials over a real Ray."""

    def on_change(record: Record) -> None:
        change(record)
        if record.is_over:
            meter.end()

    change, session._on_change = session._on_change, on_change
    with ray_cluster.connect(ray_cluster.LOCAL, lanes), tempfile.TemporaryDirectory() as scratch:
        session._tune(make_adapter(session, lanes), None, scratch)


def drive(session: SimulatedSession, lanes: int, meter: Meter) -> None:
    """Run all trials on simulated lanes, of which a random one sends the next event."""
    adapter, drawn = make_adapter(session, lanes), random.Random(0)
    active: list[tuple[str, Iterator[TrialReport | TrialEnd] | None]] = []
    serial = 0
    while True:
        while len(active) < lanes:
            serial += 1
            suggested = adapter.suggest(f"tune{serial}")
            if not isinstance(suggested, dict):
                break
            request = suggested["request"]
            active.append((f"tune{serial}", None if request is None else lane_events(request)))
        if not active:
            return
        index = drawn.randrange(len(active))
        tune_id, events = active[index]
        event = LaneIdle() if events is None else next(events)
        if not adapter.on_event(tune_id, event):
            adapter.on_end(tune_id, event)
            active[index] = active[-1]
            active.pop()
            if events is not None:
                meter.end()
        adapter.poll()
        adapter.on_time()


def lane_events(
    request: TrialRequest, evaluations: tuple[int, ...] = EVALUATIONS, lane: int = 1
) -> Iterator[TrialReport | TrialEnd]:
    """Yield what a lane would send of a trial; its scores follow from its id."""
    drawn = random.Random(request.trial)
    quality = drawn.random()
    rungs = {str(fraction): round(STEPS * fraction) for fraction in request.rungs}
    plan = Plan(steps=STEPS, evaluations=evaluations, rungs=rungs)
    spent = 0.0
    for step in evaluations:
        spent += 0.5
        status = "finished" if step == STEPS else "running"
        score = round(quality * (0.5 + step / (2 * STEPS)), 2)
        report = Report(
            stage="finetune",
            step=step,
            steps=STEPS,
            loss=1.0 - score,
            scores={"dev.accuracy": score},
            seconds=spent,
            status=status,
        )
        progress = AttemptProgress(
            trial=request.trial, attempt=1, plan=plan, seconds=spent, step=step, lane=lane
        )
        yield TrialReport(report=report, attempt=1, progress=progress)
    yield TrialEnd(status="finished", seconds=spent, progress=progress)


def finish(session: SimulatedSession) -> None:
    """Do what follows the last trial."""
    session.tidy()
    results.write_exports(session.folder, note=print, report=True)


def measured(profile: str | None, work):
    """Do work and return what it returns, with cProfile if a file is named."""
    if profile is None:
        return work()
    profiler = cProfile.Profile()
    result = profiler.runcall(work)
    profiler.dump_stats(profile)
    return result


def journal_hash(folder: Path) -> str:
    """Return a hash of a journal's events without their times."""
    digest = hashlib.sha256()
    for line in (folder / "journal.jsonl").read_text().splitlines():
        event = json.loads(line)
        timeless = {k: v for k, v in event.items() if k not in ("at", "elapsed")}
        digest.update(json.dumps(timeless, sort_keys=True).encode())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    main()
