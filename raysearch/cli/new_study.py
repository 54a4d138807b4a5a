"""The study that `raysearch init` writes: ranges that fit its tasks and model, with comments.

It is apart from the command because it is text and facts of tasks, without options.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import preflight, tasks
from ..errors import InputError, Problem, unknown_name
from ..study import Study, parse
from ..study.model_names import scratch_shape
from ..study.own_tasks import PREFIX
from ..tasks import HEAD_FACTS, Task
from ..tasks.head import HeadFacts
from ..tasks.own_forms import DEFAULT_HEAD, OWN_FORMS
from ..tasks.sizes import SIZES

DEFAULT_TRIALS = 16
SMALL, MEDIUM = 10_000, 100_000  # training examples
_LARGE_MODELS = ("large", "xl", "xxl", "-2b")  # parts of their names


@dataclass(frozen=True, kw_only=True)
class OwnFiles:
    """A task on the user's own files.

    Attributes:
        train: the training file.
        dev: the dev file; None: a tenth of the training file is held out.
        test: the file to predict; None for none.
        head: what is predicted; None for the default.
        text: the columns that the model reads, separated by commas; None for the head's own.
        options: the column with the list of options, or one for each; None where there are none.
        label: the column of the label; None for the head's own.
    """

    train: Path
    dev: Path | None = None
    test: Path | None = None
    head: str | None = None
    text: str | None = None
    options: str | None = None
    label: str | None = None

    @property
    def kind(self) -> str:
        """The head."""
        return self.head or DEFAULT_HEAD

    @property
    def name(self) -> str:
        """The name of the task, after that of the training file."""
        return re.sub(r"[^a-z0-9]+", "_", self.train.stem.lower()).strip("_") or "mine"

    def entry(self, data: Path | None) -> dict[str, Any]:
        """Return the entry of the study's block `own`."""
        entry: dict[str, Any] = {"head": self.kind, "train": _place(self.train, data)}
        if self.dev is None:
            entry["hold_out"] = 0.1
        else:
            entry["dev"] = _place(self.dev, data)
        if self.test is not None:
            entry["test"] = _place(self.test, data)
        for name, columns in (("text", self.text), ("options", self.options)):
            if columns is not None:
                entry[name] = [column.strip() for column in columns.split(",")]
        return entry | ({} if self.label is None else {"label": self.label})

    def absent_files(self, data: Path | None) -> Iterator[Problem]:
        """Yield a problem for each file that is neither here nor below the data folder."""
        files = {"--train": self.train, "--dev": self.dev, "--test": self.test}
        for option, path in files.items():
            if path is not None and not any(p.exists() for p in (path, (data or Path()) / path)):
                yield Problem(location=option, text=f"there is no file '{path}'")

    def missing(self) -> dict[str, str]:
        """Return the options that the head needs and that are not given, with what they say."""
        form = OWN_FORMS[head_facts(self.kind).name]
        missing = {}
        if self.text is None and not form.text:
            missing["text"] = "the columns that the model reads, separated by commas"
        if self.options is None and "options" in form.fields:
            missing["options"] = "the column with the list of options, or a column for each"
        return missing


def _place(path: Path, data: Path | None) -> str:
    """Return a file as a study names it: below the data folder, else by its whole path."""
    if data is not None and not path.exists() and (data / path).exists():
        return str(path)
    if data is not None and path.resolve().is_relative_to(data.resolve()):
        return str(path.resolve().relative_to(data.resolve()))
    return str(path.resolve())


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a new study needs.

    Attributes:
        tasks: names separated by commas, or None.
        model: a model's name, or None.
        trials: configurations for each task; None for the default.
        hours: of the search; None for no limit.
        own: a task on own files, in the place of `tasks`; None for none.
        data: the data folder; None if it is not known.
        leave_out: how many unusable training rows may be left out.
    """

    tasks: str | None
    model: str | None
    trials: int | None
    hours: float | None
    own: OwnFiles | None = None
    data: Path | None = None
    leave_out: int = 0

    def missing(self) -> dict[str, str]:
        """Return the options that are needed and not given, with what they say."""
        missing = self.own.missing() if self.own else {}
        if self.own is None and self.tasks is None:
            missing["tasks"] = "tasks, separated by commas; or --train with a file of your own"
        if self.model is None:
            missing["model"] = "a folder, a name on the Hugging Face hub, or scratch"
        return missing


def refuse_unknown_names(answers: Answers) -> None:
    """Refuse a head or tasks that do not exist, and with them what else no study could have.

    Without them a study can be composed, whose check tells of all the rest.

    Raises:
        InputError: everything that is wrong.
    """
    own = answers.own
    try:
        if own is not None:
            head_facts(own.kind)
        elif answers.tasks is not None:
            rows_of(answers.tasks)
    except InputError as error:
        problems = [*error.problems, *(own.absent_files(answers.data) if own else ())]
        if answers.model is not None:
            problems += preflight.model_problems(answers.model)
        raise InputError("init", problems) from None


def compose(answers: Answers) -> str:
    """Return the text of a study file, whose head and tasks exist."""
    own, model = answers.own, (answers.model or "").strip()
    rows = rows_of(answers.tasks or "") if own is None else []
    names, facts = [row.name for row in rows], [row.facts for row in rows]
    if own is not None:
        names, facts = [f"{PREFIX}{own.name}"], [head_facts(own.kind)]
    lines = [
        "# A study of raysearch: `raysearch check` says what it would do; docs/studies.md has",
        "# every field.",
        "",
        f"tasks: [{', '.join(names)}]",
        *_own_block(own, answers.data),
        *([f"leave_out: {answers.leave_out}  # unusable training rows"] * (answers.leave_out > 0)),
        f"model: {json.dumps(model) if set(model) & set(':#{}[],&*?|>!%@`') else model}",
        "",
        "# What is searched: {choice: [...]}, {log: [low, high]}, {uniform: ...} or {int: ...}.",
        "space:",
        *_aligned(_space(rows, model)),
        "",
        "# What all trials share.",
        "fixed:",
        *_aligned(_fixed(facts)),
        "  # precision: bf16  # on a GPU that has it, as all since NVIDIA's Ampere",
        *_per_task(rows),
        "",
        "search:",
        *_aligned(_search(answers)),
        "",
        "# The three best again with fresh seeds: three choose the winner, five are printed.",
        "confirm: {top: 3, choose: [21, 22, 23], seeds: [11, 12, 13, 14, 15], report: median}",
    ]
    return "\n".join(lines) + "\n"


def check(text: str, file: Path, data: Path | None) -> Study:
    """Check a study before it is written, and return it.

    Raises:
        InputError: it has every problem of the study, and with `data` of the data.
    """
    import yaml

    def further(study: Study) -> list[Problem]:
        return preflight.survey(study, data).problems

    source = f"{file} is not written"
    study = parse(yaml.safe_load(text), source=source, name=file.stem, further_checks=further)
    if problems := further(study):
        raise InputError(source, problems)
    return study


Line = tuple[str, str]  # a field with its value, and the comment beside it


def rows_of(names: str) -> list[Task]:
    """Return the tasks of a list of names and patterns.

    Raises:
        InputError: some name is none of a task that can be trained.
    """
    found: dict[str, Task] = {}
    problems = []
    for name in (part.strip() for part in names.split(",")):
        matches = tasks.expand(name)
        found |= {match: tasks.get(match) for match in matches}
        if not matches:
            trainable = [task.name for task in tasks.TASKS.values() if task.train]
            text = unknown_name("task", name, trainable)
            problems.append(Problem(location="--tasks", text=text))
    if problems:
        raise InputError("init", problems)
    return list(found.values())


def _space(rows: list[Task], model: str) -> list[Line]:
    """Return the dimensions: for the largest training set, as it costs most."""
    sizes = [SIZES[row.name][0] for row in rows if row.name in SIZES]
    examples = max(sizes, default=SMALL)
    rate = "{log: [1e-5, 1e-4]}"
    if scratch_shape(model):
        rate = "{log: [2e-4, 4e-3]}"
    elif any(part in model.lower() for part in _LARGE_MODELS):
        rate = "{log: [5e-6, 5e-5]}"
    epochs, why = "[3, 5, 10]", "small training sets need more of them"
    if examples > SMALL:
        epochs, why = ("[2, 3, 4]", "") if examples <= MEDIUM else ("[1, 2, 3]", "")
    batches = "[16, 32]" if examples <= MEDIUM else "[32, 64]"
    return [
        (f"BSZ: {{choice: {batches}}}", "examples per optimizer step, over all devices"),
        (f"LR: {rate}", "peak learning rate, drawn on a logarithmic scale"),
        (f"EPOCH: {{choice: {epochs}}}", f"passes over the training set{'; ' * bool(why)}{why}"),
    ]


def head_facts(name: str) -> HeadFacts:
    """Return the facts of a head.

    Raises:
        InputError: own tasks have no such head.
    """
    known: dict[str, HeadFacts] = {form: HEAD_FACTS[form] for form in OWN_FORMS}
    if name not in known:
        text = unknown_name("head", name, known)
        raise InputError("init", [Problem(location="--head", text=text)])
    return known[name]


def _own_block(own: OwnFiles | None, data: Path | None) -> Iterator[str]:
    """Yield the lines that define a task on own files."""
    if own is None:
        return
    yield "own:"
    yield f"  {own.name}:  # docs/own_data.md has all fields"
    for name, value in own.entry(data).items():
        comment = "  # of the training rows, by label" if name == "hold_out" else ""
        yield f"    {name}: {json.dumps(value, ensure_ascii=False)}{comment}"


def _fixed(facts: list[HeadFacts]) -> list[Line]:
    """Return what all trials share."""
    lines = [("WARMUP: 0.1", "share of the steps in which the learning rate rises")]
    lengths = {each.usual_length for each in facts}
    if len(lengths) == 1:
        split = facts[0].splits_examples
        why = "longer texts become several rows" if split else "longer texts are cut"
        lines.append((f"max_length: {lengths.pop()}", f"tokens; {why}"))
    return lines


def _per_task(rows: list[Task]) -> Iterator[str]:
    """Yield what differs between the tasks."""
    if len({row.facts.usual_length for row in rows}) > 1:
        yield "per_task:"
        for row in rows:
            yield f"  {row.name}: {{fixed: {{max_length: {row.facts.usual_length}}}}}"


def _search(answers: Answers) -> list[Line]:
    trials = answers.trials or DEFAULT_TRIALS
    lines = [
        ("sampler: tpe", "or random, grid, qmc, gp, cmaes, nsga2"),
        (f"trials: {trials}", "configurations for each task"),
        ("stop_early: true", "weak trials end at a quarter or half of their schedules"),
    ]
    if answers.hours:
        lines.insert(2, (f"hours: {answers.hours:g}", "no new trial of the search after that"))
    return lines


def _aligned(lines: list[Line]) -> list[str]:
    width = max(len(text) for text, _ in lines)
    return [f"  {text:<{width}}  # {comment}" for text, comment in lines]
