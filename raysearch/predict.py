"""Predictions of test splits with a run's winners or any transformers folder. No Ray."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from . import identity, journal, prepare, readers, run_folder, study, tasks
from .batches import Examples
from .errors import InputError, Problem
from .export import submission
from .fit import answers, decode, embeddings, outputs
from .models import finetuned
from .models.pretrained import read_tokenizer
from .readers.places import home
from .recipes import Hyper
from .storage import file_inside, inside, kind_of
from .tasks import Split, Task

EVERY = 10.0  # seconds between lines of progress


def predict(
    source: str | Path,
    *,
    to: str | Path,
    data: str | Path | None = None,
    names: Sequence[str] | None = None,
    note: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Write the benchmark's submission files.

    Args:
        source: a run folder, of which every task's best/ predicts, or a transformers folder.
        to: the folder for the files.
        data: the folder that holds the benchmark's folders; a run's own by default.
        names: only these tasks; needed with a transformers folder.
        note: called with a line of progress.

    Returns:
        The files, one for each test split whose data is there.

    Raises:
        InputError: unknown tasks, missing weights or data, all together; a run whose study is not
            the one that its trials were trained with.
    """
    source = Path(source)
    root, models, scales = _sources(source, data, names, note)
    jobs = [(t, folder) for name, folder in models.items() for t in _predicted(name, names)]
    asked = [task.name for task, _ in jobs if not task.model_of or task.name in (names or ())]
    problems = [
        problem
        for task, folder in jobs
        for problem in _problems(task, folder, root, needed=task.name in asked)
    ]
    if problems or not jobs:
        nothing = Problem(place="tasks", text="nothing to predict: no task has a best/ folder yet")
        raise InputError(str(source), problems or [nothing])
    return [path for task, folder in jobs
            for path in _files(task, folder, root, Path(to), scales, note)]  # fmt: skip


def _sources(
    source: Path,
    data: str | Path | None,
    names: Sequence[str] | None,
    note: Callable[[str], None],
) -> tuple[Path, dict[str, Path], dict[str, Any]]:
    """The data folder, the model folder of each task, and the hyperparameters that decode."""
    # A task that another one's model predicts has no model of its own.
    chosen = list(dict.fromkeys(tasks.get(n).model_of or tasks.get(n).name for n in names or ()))
    if (source / "config.json").is_file():
        if not chosen or data is None:
            text = "a transformers folder needs --tasks and --data"
            raise InputError(str(source), [Problem(place="tasks", text=text)])
        return Path(data), dict.fromkeys(chosen, source), {}
    for name in (run_folder.STUDY, run_folder.PROVENANCE):
        if kind_of(file_inside(source, name)) is None:
            text = f"neither a run folder (no {name}) nor a transformers folder (no config.json)"
            raise InputError(str(source), [Problem(place="source", text=text)])
    made = study.load(run_folder.study_file(source))
    root = Path(data or run_folder.recorded_data(source))
    for line in identity.check(source, made, journal.read(source)):
        note(line)
    models = {n: inside(source, tasks.get(n).slug, "best") for n in chosen or made.tasks}
    if not chosen:
        models = {name: folder for name, folder in models.items() if folder.is_dir()}
    winners = {n: file_inside(source, tasks.get(n).slug, "best.yaml") for n in models}
    hypers = {n: study.load(path).hyper(n, {}) for n, path in winners.items() if path.is_file()}
    return root, models, hypers


def _predicted(name: str, names: Sequence[str] | None) -> list[Task]:
    """The task itself, and those that its model predicts as well, as far as they are wanted."""
    found = [task for task in tasks.TASKS.values() if name in (task.name, task.model_of)]
    return [task for task in found if not names or {task.name, task.model_of} & set(names)]


def _asked(task: Task) -> list[Split]:
    """The splits of which predictions are taken; of SQuAD, whose test sets are hidden, dev."""
    return [split for split in (*task.test, *task.dev) if split.submission]


def _problems(task: Task, folder: Path, root: Path, *, needed: bool) -> Iterator[Problem]:
    if not folder.is_dir():
        yield Problem(place=task.name, text=f"no weights at '{folder}'")
    present = readers.present_splits(task, root)
    asked = _asked(task)
    if not asked:
        yield Problem(place=task.name, text="the benchmark takes no predictions of it")
    elif needed and not any(split.name in present for split in asked):
        wanted = ", ".join(file.path for split in asked[:3] for file in split.files)
        text = f"no test file under '{home(task, root)}'; looked for {wanted}"
        yield Problem(place=task.name, text=text)


def _files(
    task: Task, folder: Path, root: Path, to: Path, hypers: dict[str, Any],
    note: Callable[[str], None],
) -> Iterator[Path]:  # fmt: skip
    present = readers.present_splits(task, root)
    splits = [split for split in _asked(task) if split.name in present]
    if not splits:
        return
    tokenizer = read_tokenizer(str(folder), ())
    model = finetuned.load(folder, task, _device())
    own = getattr(model.config, "raysearch", None) or {}  # which of a task's heads a folder holds
    hyper = hypers.get(task.model_of or task.name) or Hyper(**own)
    for split in splits:
        made = prepare.prepare(task, split, root, tokenizer, hyper)
        examples = Examples(made.table, made.padding)
        read = embeddings if task.head == "thought" else None
        said = outputs(
            model, examples, task, hyper, autocast=nullcontext, read=read,
            beat=_progress(f"{task.name} {split.name}", len(examples), note),
        )  # fmt: skip
        found = decode(said, examples, task, hyper)
        note(f"{task.name} {split.name}: {len(examples):,} examples predicted")
        if task.head == "span":
            yield from submission.write_answers(to, split, answers.files(found, task, hyper))
        elif task.head == "tag":
            yield submission.write_tags(to, task, split, found)
        elif task.head == "thought":
            yield submission.write_embeddings(to, split, examples.ids(), found)
        else:
            yield submission.write(to, task, split, examples.ids(), found)


def _progress(name: str, examples: int, note: Callable[[str], None]) -> Callable[[int], None]:
    """Notes now and then how many examples are done."""
    told = time.monotonic()

    def beat(done: int) -> None:
        nonlocal told
        if time.monotonic() - told > EVERY:
            told = time.monotonic()
            note(f"{name}: {done:,} of {examples:,} examples")

    return beat


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
