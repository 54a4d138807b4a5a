"""Run folders made by hand: a study and the journal of trials whose results are known."""

import yaml

from raysearch.run_folder import Journal
from raysearch.run_folder.events import (
    AttemptEvent,
    EndEvent,
    Plan,
    RepeatEvent,
    ReportEvent,
    SessionEvent,
    SpentEvent,
    TrialEvent,
)

START = 1_700_000_000.0


def _named(scores):
    """Scores as reports have them: those of dev, unless they name the part that is searched on."""
    return {n if n.startswith("search.") else f"dev.{n}": x for n, x in (scores or {}).items()}


def write_study(folder, **raw):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))


class Script:
    """Writes the events of made-up trials, a second apart."""

    def __init__(self, folder, devices=1):
        self.journal, self.devices, self.now = Journal(folder), devices, START
        self.parts = {}  # of every plan: the sizes of the parts of a divided dev split
        self.count = len(self.journal.trials)
        self.write(SessionEvent(at=self.tick(), version="0.1.0"))

    def write(self, event):
        self.journal.write(event)

    def tick(self):
        self.now += 1
        return self.now

    def begin(self, task, configuration, seed=1, phase="search", name=None):
        name = name or f"t{self.count}"
        number = len(self.journal.of(task))
        self.count += 1
        self.write(TrialEvent(trial=name, number=number, task=task, phase=phase, seed=seed,
                              configuration=configuration, devices=self.devices))  # fmt: skip
        return name

    def attempt(self, name, attempt=1, steps=100, from_step=0, rungs=None, **more):
        plan = Plan(steps=steps, warmup=6, per_epoch=50, evaluations=(50, 100),
                    rungs=rungs or {"0.5": 50}, **self.parts)  # fmt: skip
        self.write(AttemptEvent(trial=name, attempt=attempt, at=self.tick(), plan=plan,
                                from_step=from_step, **more))  # fmt: skip

    def report(self, name, step, scores, loss=0.5, steps=100, attempt=1, seconds=None, **more):
        values = {"stage": "finetune", "step": step, "steps": steps, "loss": loss,
                  "scores": _named(scores), "status": "running",
                  "seconds": seconds or step / 10, "rate": 1e-5, "tokens": 32 * step,
                  "micro_batches": 1, **more}  # fmt: skip
        self.write(ReportEvent(trial=name, attempt=attempt, at=self.tick(), **values))

    def spent(self, name, seconds, attempt=1):
        self.write(SpentEvent(trial=name, attempt=attempt, seconds=seconds))

    def repeat(self, name):
        self.write(RepeatEvent(trial=name, at=self.tick()))

    def end(self, name, status, score, best=None, last=None, error=None, sampler=None):
        best = _named(best)
        last = _named(last) or best
        self.write(EndEvent(trial=name, at=self.tick(), status=status, score=score, best=best,
                            last=last, error=error, sampler=sampler))  # fmt: skip

    def trial(self, task, configuration, scores, seed=1, phase="search", seconds=36.0,
              status="finished", **more):  # fmt: skip
        """A trial, whole: two reports, the second one counts."""
        name = self.begin(task, configuration, seed, phase, **more)
        self.attempt(name)
        self.report(name, 50, {metric: x / 2 for metric, x in scores.items()})
        self.report(name, 100, scores, status=status)
        self.spent(name, seconds)
        told = 0.0 if status == "degenerate" else next(iter(scores.values()))
        self.end(name, status, told, scores)
        return name

    def stopped(self, task, configuration, scores, seconds=18.0):
        """A trial that was stopped half way."""
        name = self.begin(task, configuration)
        self.attempt(name)
        self.report(name, 50, scores, seconds=seconds)
        self.spent(name, seconds)
        self.end(name, "stopped", next(iter(scores.values())), scores)
        return name

    def diverged(self, task, configuration, seed=1, phase="search", before=None):
        name = self.begin(task, configuration, seed, phase)
        self.attempt(name)
        if before:
            self.report(name, 50, before)
        self.report(name, 64, {}, loss=float("nan"), status="diverged")
        self.spent(name, 9.0)
        self.end(name, "diverged", 0.0, before)
        return name

    def close(self):
        self.journal.close()
