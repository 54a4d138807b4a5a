"""The points about what was used: model, code, machines, time, data, preprocessing, commands.

They are apart from those about the search because they come from the provenance.
"""

import shlex
import statistics
from pathlib import Path

from ... import tasks
from ...recipes import RECIPES
from ...recipes.field_metadata import Shared, fields_with
from ...run_folder.opening import LOCK
from ...run_folder.recorded_facts import Facts, SplitFacts
from ...tasks.sources import source_of
from .. import formatting
from ..duplicate_notes import duplicate_notes
from ..run_results import RunResults
from .document import NOT_RECORDED, Point
from .method_points import read_fields


def model_point(run: RunResults) -> Point:
    """Return the point about models and their sizes."""
    details = []
    for name in run.study.tasks:
        task, parameters = run.study.resolve(name), run.facts.parameters.get(name)
        sizes = f"parameters {NOT_RECORDED}"
        if parameters:
            sizes = f"{parameters.total:,} parameters, {parameters.trained:,} of them trained"
        variants = [f"{f} {getattr(task.shared, f)}" for f in task.row.facts.variant_fields]
        head = f"head '{task.row.head}' ({task.row.facts.output})"
        details.append(f"{name}: {', '.join([task.origin, head, *variants, sizes])}")
    model = run.study.model
    if Path(model).is_absolute() or model.startswith((".", "~")):  # of a reader's machine
        model = Path(model).name
    text = f"We fine-tune {model} with the recipe '{run.study.recipe}', "
    totals = {parameters.total for parameters in run.facts.parameters.values()}
    if not totals:
        return Point(
            title="Model and its parameters",
            text=f"{text}whose number of parameters was {NOT_RECORDED}.",
            details=tuple(details),
        )
    spread = " to ".join(f"{size / 1e6:,.2f}" for size in sorted({min(totals), max(totals)}))
    text += f"a model of {spread} million parameters with its head."
    return Point(title="Model and its parameters", text=text, details=tuple(details))


def code_point(run: RunResults) -> Point:
    """Return the point about code and dependencies."""
    facts = run.facts
    version = facts.raysearch or NOT_RECORDED
    recorded = [facts.commit, *(session.commit for session in facts.sessions)]
    commits = [*dict.fromkeys(commit or "of no git checkout" for commit in recorded)]
    commit = f"{'commits' if len(commits) > 1 else 'commit'} {', '.join(commits)}"
    known = [f"{name} {number}" for name, number in facts.packages.items() if number]
    has_lock = (run.folder / LOCK).is_file()
    packages = {session.packages for session in facts.sessions}
    lock = f"every installed package with its version: {LOCK}"
    if not has_lock:
        lock = f"the full list of packages: {NOT_RECORDED}"
    elif len(packages) > 1:
        lock += " (of the last session; the packages of earlier sessions differed)"
    where = f"; {LOCK} lists all dependencies" if has_lock else ""
    return Point(
        title="Code and dependencies",
        text=f"We use raysearch {version} ({commit}) with Python"
        f" {facts.python or NOT_RECORDED}, {', '.join(known) or NOT_RECORDED}{where}.",
        details=(commit.replace(" ", ": ", 1), lock),
    )


def machine_point(run: RunResults) -> Point:
    """Return the point about the computing infrastructure.

    Equal machines are named once and not counted: a node's id is new each time that Ray starts.
    """
    texts = list(dict.fromkeys(_machine(facts) for facts in run.facts.machines.values()))
    lanes = {n: x for n, x in run.facts.lanes.items() if x is not None and (x or n != "mps")}
    details = [f"workers' machine: {text}" for text in texts]
    drivers = dict.fromkeys(_machine(session.machine) for session in run.facts.sessions)
    details += [f"driver's machine: {text}" for text in drivers]
    if run.facts.machine:
        shown = ", ".join(f"{name} {value}" for name, value in run.facts.machine.items())
        details.append(f"resources at the start: {shown}")
    if lanes:
        words = (x if isinstance(x, str) else f"{x:g}" for x in lanes.values())
        shown = ", ".join(f"{name} {word}" for name, word in zip(lanes, words, strict=True))
        details.append(f"each trial runs in a lane of: {shown}")
    where = "; ".join(texts) or f"a machine whose hardware was {NOT_RECORDED}"
    return Point(
        title="Computing infrastructure", text=f"Trials ran on {where}.", details=tuple(details)
    )


def _machine(facts: Facts) -> str:
    """Return a machine in one line; what could not be found out is named as unknown."""
    gpus = facts.get("gpus")
    parts = [
        f"{facts.get('cpu', 'unknown')} CPU with {facts.get('cores', 'unknown')} cores",
        f"{facts.get('memory_gib', 'unknown')} GiB of RAM",
    ]
    if isinstance(gpus, list) and gpus:
        count = facts.get("gpus_on_node", len(gpus))
        parts.append(f"{count} GPUs ({'; '.join(dict.fromkeys(gpus))})")
        software = {"driver": "driver", "cuda": "CUDA", "cudnn": "cuDNN", "nccl": "NCCL"}
        parts += [f"{text} {facts.get(key, 'unknown')}" for key, text in software.items()]
    elif isinstance(gpus, list):
        parts.append("no GPU")
    parts += [f"{facts.get('system', 'unknown')}", f"Python {facts.get('python', 'unknown')}"]
    return ", ".join(parts)


def time_point(run: RunResults) -> Point:
    """Return the point about run times and the total budget."""
    trained = [record for record in run.records.trials.values() if not record.reused_from]
    ended = [record for record in trained if record.is_over]
    hours, details = sum(record.device_hours for record in ended), []
    for name in run.study.tasks:
        of_task = [record for record in ended if record.task == name]
        for status in dict.fromkeys(record.status for record in of_task):
            group = [record for record in of_task if record.status == status]
            mean = statistics.fmean(record.seconds for record in group)
            details.append(f"{name}: {len(group)} trials {status}, on average {mean:.1f} s")
    mean = statistics.fmean([record.seconds for record in ended]) if ended else 0.0
    subject = f"all {len(ended)} trials"
    if len(trained) < len(run.records.trials):
        subject = f"the {len(ended)} trained here"
    text = (
        f"A trial took {mean:.1f} seconds on average; {subject} together took"
        f" {hours:.2f} device hours, training and evaluation included."
    )
    return Point(title="Run time and total budget", text=text, details=tuple(details))


def data_point(run: RunResults) -> Point:
    """Return the point about the data sets."""
    details, sizes = [], []
    for name in run.study.tasks:
        task, splits = run.study.task(name), run.facts.splits.get(name, {})
        source = source_of(task)
        unnamed = "not stated" if task.is_own else "en (the data set's own)"
        languages = ", ".join(task.languages) or unnamed
        details.append(f"{name}: {source.link}; licence: {source.licence}; languages: {languages}")
        details.append(f"{name} hashes of model and files: {run.facts.content.get(name, '-')}")
        details += [f"{name} {split}: {_split(facts)}" for split, facts in splits.items()]
        if not splits:
            details.append(f"{name}: numbers of examples and labels {NOT_RECORDED}")
        counts = [f"{split} {facts.examples:,}" for split, facts in splits.items()]
        sizes.append(f"{formatting.column_title(task)} ({', '.join(counts) or NOT_RECORDED})")
    own = all(run.study.task(name).is_own for name in run.study.tasks)
    division = "of our own files" if own else "in the benchmark's own division"
    text = f"We use {'; '.join(sizes)}: examples per split, {division}."
    text = " ".join([text, *duplicate_notes(run.study, run.facts)])
    return Point(title="Data", text=text, details=tuple(details))


def _split(facts: SplitFacts) -> str:
    texts = [f"{facts.examples:,} examples"]
    if facts.used != facts.examples:
        texts.append(f"{facts.used:,} of them used")
    if facts.rows != facts.examples:
        texts.append(f"{facts.rows:,} rows")
    if facts.language:
        texts.append(f"language {facts.language}")
    if total := sum(facts.labels.values()):
        counts = (f"{n} {c:,} ({100 * c / total:.1f} %)" for n, c in facts.labels.items())
        texts.append(f"labels: {', '.join(counts)}")
    if facts.label_statistics:
        values = (f"{name} {value:.3g}" for name, value in facts.label_statistics.items())
        texts.append(f"labels: {', '.join(values)}")
    texts.append(f"left out: {facts.left_out or 'none'}")
    return "; ".join(texts)


def preprocessing_point(run: RunResults) -> Point:
    """Return the point about the settings that shape the prepared data."""
    names = fields_with(RECIPES[run.study.recipe].hyper, Shared)
    details, lengths = [], []
    for name in run.study.tasks:
        task = run.study.resolve(name)
        values = task.shared.model_dump(mode="json")
        unused = task.shared.ineffective_fields()
        shown = [
            f"{field} = {formatting.format_setting(values[field])}"
            for field in read_fields(task)
            if field in names and field not in unused and values[field] is not None
        ]
        details.append(f"{name}: {'; '.join(shown)}")
        lengths.append(task.shared.max_length)
    left = "no unusable example was left out"
    if run.study.leave_out:
        left = (
            f"up to {run.study.leave_out} unusable training examples could be left out, none of dev"
        )
    text = (
        f"Texts are tokenized with the model's own tokenizer to at most"
        f" {' or '.join(map(str, sorted(set(lengths))))} tokens; {left}."
    )
    return Point(title="Preprocessing", text=text, details=tuple(details))


def command_point(run: RunResults) -> Point:
    """Return the point about the commands that made the results and make them again."""
    commands = [f"{s.began}: {s.command}" for s in run.facts.sessions if s.command]
    details = [f"session of {command}" for command in commands]
    if not details:
        details = [f"the command lines of the sessions: {NOT_RECORDED}"]
    again = "raysearch run study.yaml --data DATA"
    details.append(f"the whole study again: {again}")
    for name, leader in run.leaders.items():
        if leader:
            path = shlex.quote(f"{tasks.slug_of(name)}/best.yaml")
            details.append(f"the winner of {name} again: raysearch run {path} --data DATA")
    text = f"The run folder repeats the study with '{again}', and each winner with its best.yaml."
    return Point(title="Command lines", text=text, details=tuple(details))
