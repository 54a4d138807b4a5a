"""Run folders of strangers: their journal, their study, their provenance. No Ray is started."""

import io
import json
import shutil
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import yaml
from pyarrow import parquet

import raysearch
from raysearch import RaysearchError, __version__, results, run_folder, study
from raysearch.results.paper_table import paper_table
from raysearch.run_folder import opening
from raysearch.run_folder.events import ReportEvent
from raysearch.run_folder.trial_identity import TrialOrigin, trial_id
from raysearch.search import run_start
from raysearch.search.trial_queue import TrialQueue
from raysearch.tracking import exporter
from raysearch.tracking.exporter import Exporter

from . import mutations
from .harness import Input, marker

STUDY = {
    "name": "toy", "tasks": ["toy/grammar"], "model": "scratch:1x64",
    "space": {"LR": {"log": [1e-4, 1e-3]}, "weight_decay": {"uniform": [0.0, 0.1]}},
    "fixed": {"BSZ": 8, "EPOCH": {"steps": 4}, "WARMUP": 0, "evaluations": 1},
    "search": {"sampler": "tpe", "trials": 4}, "confirm": {"top": 1, "seeds": [11, 12]},
}  # fmt: skip
KEYS = ("x", "id", "trial", "event", "at", "status", "scores", "step", "task", "phase", "sampler")
NAMES = ("../../x", "/tmp/x", "..", "a/b", "\0", "x" * 300, "\x1b[2J", "toy/grammar", "")

COLUMNS = (  # in place of a column of kept predictions
    [None] * 40, [float("nan")] * 40, [float("inf")] * 40, [1e308] * 40, [-1.0] * 40, [7] * 40,
    ["x"] * 40, [[1, 2]] * 40, [True] * 40, ["dev", "x"] * 20, [0.5] * 40, [None, *[1.0] * 39],
)  # fmt: skip


def events(parsed: study.Study, content: dict[str, str]) -> list[dict[str, Any]]:
    """Return what a run writes down: four trials of a search and two of a confirmation."""
    lines: list[dict[str, Any]] = [{"event": "session", "at": 1.0, "version": __version__}]
    trials = [("search", 1, 1e-4 * (1 + n), 0.5 + n / 10) for n in range(4)]
    trials += [("confirm", seed, 4e-4, 0.75) for seed in (11, 12)]
    for number, (phase, seed, rate, score) in enumerate(trials):
        at = 1000.0 + 10 * number
        scores = {"dev.accuracy": score}
        plan = {"steps": 4, "warmup": 0, "per_epoch": 10, "evaluations": [4], "rungs": {}}
        configuration = {"LR": rate, "weight_decay": 0.01 * (1 + min(number, 3))}
        trial = trial_id(
            parsed, "toy/grammar", phase, configuration, seed, TrialOrigin(content=content)
        )
        lines += [
            {"event": "trial", "trial": trial, "number": number, "task": "toy/grammar",
             "phase": phase, "configuration": configuration, "seed": seed, "devices": 1},
            {"event": "attempt", "trial": trial, "attempt": 1, "at": at, "plan": plan,
             "from_step": 0, "devices": 1},
            {"event": "report", "trial": trial, "at": at + 1, "stage": "finetune", "step": 4,
             "steps": 4, "loss": 0.5, "terms": {}, "scores": scores, "status": "finished",
             "seconds": 1.0, "rate": 1e-4, "tokens": 10, "micro_batches": 1, "switched": None,
             "attempt": 1},
            {"event": "spent", "trial": trial, "attempt": 1, "seconds": 1.0, "step": 4},
            {"event": "end", "trial": trial, "at": at + 2, "status": "finished", "score": score,
             "best": scores, "last": scores, "error": None},
        ]  # fmt: skip
    return lines


def predictions(**changed: Any) -> bytes:
    """Return kept dev predictions of which three in four are right; some columns may be others."""
    gold = [number % 2 for number in range(40)]
    columns = {
        "split": ["dev"] * 40,
        "id": [str(number) for number in range(40)],
        "prediction": [float(g if n % 4 else 1 - g) for n, g in enumerate(gold)],
        "gold": [float(g) for g in gold],
        **changed,
    }
    stream = io.BytesIO()
    parquet.write_table(pa.table(columns), stream)
    return stream.getvalue()


def lines(those: list[Any]) -> bytes:
    """Return a journal."""
    return b"".join(mutations.as_json(event) + b"\n" for event in those)


class _Folders:
    """A run folder that its inputs are written into, made anew now and then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "runs" / "toy"
        self.parsed = study.parse(STUDY)
        content = run_start.content_of(self.parsed, folder)
        self.events = events(self.parsed, content)
        self.content = content
        self.confirmed = [e["trial"] for e in self.events if e.get("phase") == "confirm"]
        lanes_of = {"count": 1, "workers": 1, "cpus": 1, "gpus": None}
        facts = {"raysearch": __version__, "data": str(folder / "data"), "content": content,
                 "model": "scratch:1x64", "lanes": lanes_of}  # fmt: skip
        self.facts = json.dumps(facts).encode()
        self.text = study.dump(self.parsed).encode()
        self.fresh()
        results.write_exports(self.folder)
        self.best = (self.folder / "toy-grammar" / "best.yaml").read_bytes()
        with suppress(RaysearchError):  # what is imported is no part of an input's time
            self._predicted()
        self._in_python()
        self.fresh()

    def fresh(self) -> None:
        """Write the folder as a run leaves it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        (self.folder / "study.yaml").write_bytes(self.text)
        (self.folder / "provenance.json").write_bytes(self.facts)
        (self.folder / run_folder.JOURNAL_NAME).write_bytes(lines(self.events))
        self.predictions = self.folder / "toy-grammar" / "predictions"
        self.predictions.mkdir(parents=True)
        for trial in self.confirmed:
            (self.predictions / f"{trial}.parquet").write_bytes(predictions())

    def _in_python(self) -> None:
        run = raysearch.open_run(self.folder)
        run.trials(), run.reports(), run.figures(), run.optuna_study(), run._repr_html_()
        _Exporter().export(self.folder)

    def _predicted(self) -> None:
        predict = getattr(raysearch.predict, "predict", raysearch.predict)
        predict(self.folder, to=self.folder / "out")


class _Exporter(Exporter):
    """Makes what exporters send."""

    def begin_run(self, run: raysearch.Run, key: str) -> None:
        exporter.run_settings(run)

    def begin_trial(self, run: raysearch.Run, record: run_folder.Record) -> int:
        json.dumps([exporter.settings(run, record), exporter.tags(run, record, "key")])
        return -1

    def log(self, record: run_folder.Record, reports: list[ReportEvent]) -> None:
        json.dumps([exporter.report_values(report) for report in reports], allow_nan=False)

    def end_trial(self, run: raysearch.Run, record: run_folder.Record) -> None:
        json.dumps(exporter.result_values(run, record), allow_nan=False)

    def end_run(self, run: raysearch.Run) -> None:
        json.dumps(exporter.run_values(run), allow_nan=False)
        exporter.result_files(run)


class Journals(_Folders):
    """Journals of other events and bytes: tables are made of them, and runs go on."""

    def draw(self, random: Random) -> Input:
        """Return a broken journal."""
        content = self._broken(random)
        (self.folder / run_folder.JOURNAL_NAME).write_bytes(content)
        ways = (self._table, self._table, self._queue, self._write, self._in_python)
        read = random.choice(ways)
        whole = set(lines(self.events).split(b"\n"))
        changed = [line for line in content.split(b"\n") if line not in whole]
        return Input(shown=f"{read.__name__} {len(content)} bytes {changed}", read=read)

    def _broken(self, random: Random) -> bytes:
        way = random.random()
        if way < 0.6:
            return lines(mutations.of_tree(self.events, random, KEYS))
        if way < 0.7:  # one name instead of another, wherever it stands
            name, other = random.choice(NAMES), self.events[1 + 5 * random.randrange(6)]["trial"]
            return lines(self.events).replace(other.encode(), json.dumps(name)[1:-1].encode())
        if way < 0.8:
            chosen = list(self.events)
            for _ in range(random.randrange(1, 4)):
                event = chosen.pop(random.randrange(len(chosen)))
                chosen[random.randrange(len(chosen)) : 0] = [event] * random.choice((0, 1, 1, 2))
            return lines(chosen)
        return mutations.of_bytes(lines(self.events), random)

    def _table(self) -> None:
        searched = study.load(self.folder / "study.yaml")
        paper_table(searched, opening.read_records(self.folder, searched))

    def _write(self) -> None:
        try:
            results.write_exports(self.folder)
        finally:
            shutil.rmtree(self.folder / "toy-grammar", ignore_errors=True)

    def _queue(self) -> None:
        opened = run_folder.Journal(self.folder)
        try:
            TrialQueue(self.parsed, opened, self.content).next()
        finally:
            opened.close()


class RunFolders(_Folders):
    """Run folders of another study, provenance or best.yaml, with links where files should be."""

    def draw(self, random: Random) -> Input:
        """Return a broken run folder."""
        self.fresh()
        name = random.choice(
            ("study.yaml", "provenance.json", "provenance.json", "link", "best.yaml", "predictions")
        )
        if name == "predictions":
            return Input(shown=f"predictions {self._predictions(random)}", read=self._exported)
        shown = self._link(random) if name == "link" else self._file(name, random)
        read = random.choice((self._table, self._opened, self._predicted))
        return Input(shown=f"{read.__name__} {name} {shown}", read=read)

    def _file(self, name: str, random: Random) -> str:
        if name == "provenance.json":
            content, path = mutations.of_json(self.facts, random, ("data", "content")), self.folder
        elif name == "best.yaml":
            content, path = mutations.of_bytes(self.best, random), self.folder / "toy-grammar"
            (path / "best").mkdir(parents=True, exist_ok=True)
            (path / "best" / "config.json").write_bytes(b"{}")
        else:
            raw, path = mutations.of_tree(yaml.safe_load(self.text), random), self.folder
            try:
                content = yaml.safe_dump(raw).encode()
            except (yaml.YAMLError, RecursionError, UnicodeEncodeError, ValueError):
                content = mutations.of_bytes(self.text, random)
        (path / name).write_bytes(content)
        return repr(content)

    def _exported(self) -> None:
        results.write_exports(self.folder)

    def _predictions(self, random: Random) -> str:
        """Break the dev predictions of a seed, in their bytes or in a column."""
        if random.random() < 0.4:
            shown, content = "bytes", mutations.of_bytes(predictions(), random)
        else:
            name, values = (
                random.choice(("split", "id", "prediction", "gold", "x")),
                random.choice(COLUMNS),
            )
            shown, content = f"{name} {values[:2]}", predictions(**{name: values})
        (self.predictions / f"{random.choice(self.confirmed)}.parquet").write_bytes(content)
        return f"{shown} {content!r}"

    def _link(self, random: Random) -> str:
        """Put a link to a file of somebody else where the run would write."""
        name = random.choice(
            ("table.md", "table.json", "journal.jsonl", "toy-grammar", "study.yaml")
        )
        outside = marker(self.folder.parents[1])  # written through the link, it would be there
        path = self.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.symlink_to(outside)
        return name

    def _table(self) -> None:
        results.write_exports(self.folder)

    def _opened(self) -> None:
        run_start.read_start(self.folder)
