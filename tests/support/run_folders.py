"""Run folders made by hand: a study and the journal of trials whose results are known."""

import yaml

from raysearch.run_folder import Journal

START = 1_700_000_000.0


def write_study(folder, **raw):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))


class Script:
    """Writes the events of made-up trials, a second apart."""

    def __init__(self, folder, devices=1):
        self.journal, self.devices, self.now = Journal(folder), devices, START
        self.count = len(self.journal.trials)
        self.write("session", at=self.tick(), version="0.1.0", host="here", lanes=1, workers=1)

    def write(self, event, **values):
        self.journal.write(event, **values)

    def tick(self):
        self.now += 1
        return self.now

    def begin(self, task, configuration, seed=1, phase="search", name=None):
        name = name or f"t{self.count}"
        number = len(self.journal.of(task))
        self.count += 1
        self.write("trial", trial=name, number=number, task=task, phase=phase, seed=seed,
                   configuration=configuration, devices=self.devices)  # fmt: skip
        return name

    def attempt(self, name, attempt=1, steps=100, from_step=0, **more):
        plan = {"steps": steps, "warmup": 6, "per_epoch": 50, "evaluations": [50, 100]}
        plan["rungs"] = {0.5: 50}
        self.write("attempt", trial=name, attempt=attempt, at=self.tick(), plan=plan,
                   from_step=from_step, **more)  # fmt: skip

    def report(self, name, step, scores, loss=0.5, steps=100, attempt=1, seconds=None, **more):
        values = {"stage": "finetune", "step": step, "steps": steps, "loss": loss,
                  "scores": {f"dev.{n}": x for n, x in scores.items()}, "status": "running",
                  "seconds": seconds or step / 10, "rate": 1e-5, "tokens": 32 * step,
                  "micro_batches": 1, **more}  # fmt: skip
        self.write("report", trial=name, attempt=attempt, at=self.tick(), **values)

    def end(self, name, status, score, best=None, last=None, error=None):
        best = {f"dev.{n}": x for n, x in (best or {}).items()}
        last = {f"dev.{n}": x for n, x in (last or {}).items()} or best
        self.write("end", trial=name, at=self.tick(), status=status, score=score, best=best,
                   last=last, error=error)  # fmt: skip

    def trial(self, task, configuration, scores, seed=1, phase="search", seconds=36.0, **more):
        """A trial, whole: two reports, the second one counts."""
        name = self.begin(task, configuration, seed, phase, **more)
        self.attempt(name)
        self.report(name, 50, {metric: x / 2 for metric, x in scores.items()})
        self.report(name, 100, scores, status="finished")
        self.write("spent", trial=name, attempt=1, seconds=seconds)
        self.end(name, "finished", next(iter(scores.values())), scores)
        return name

    def stopped(self, task, configuration, scores, seconds=18.0):
        """A trial that was stopped half way."""
        name = self.begin(task, configuration)
        self.attempt(name)
        self.report(name, 50, scores, seconds=seconds)
        self.write("spent", trial=name, attempt=1, seconds=seconds)
        self.end(name, "stopped", next(iter(scores.values())), scores)
        return name

    def diverged(self, task, configuration, seed=1, phase="search", before=None):
        name = self.begin(task, configuration, seed, phase)
        self.attempt(name)
        if before:
            self.report(name, 50, before)
        self.report(name, 64, {}, loss=float("nan"), status="diverged")
        self.write("spent", trial=name, attempt=1, seconds=9.0)
        self.end(name, "diverged", 0.0, before)
        return name

    def close(self):
        self.journal.close()
