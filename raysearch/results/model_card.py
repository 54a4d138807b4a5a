"""The model card of a winner: the README.md in TASK/best, with metadata that the Hub reads.

It is apart from the statement because it describes one model, and from `models`, which writes a
plain README.md with the weights, because only the results know a score's interval.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..run_folder import Record
from ..run_folder.report import is_gap, splits_of
from ..storage import file_inside, inside, kind_of, open_regular, read_json, write_atomically
from ..study import TaskStudy
from ..study.model_names import is_hub_name, plain_name
from ..tasks.sources import source_of
from . import formatting
from .leaderboard import RankedConfiguration
from .paper_table import hyperparameter_values
from .score_cells import format_interval
from .score_intervals import Intervals
from .table_formats import escape_markdown

CARD = "README.md"
_MAX_BYTES = 2**20
# The last line of a card holds a hash of what stands above it, which an edit changes.
_SEAL = re.compile(r"<!-- raysearch ([0-9a-f]{16}): .*-->\n?\Z")
# What models/training_record.py writes together with the weights.
_PLAIN = re.compile(
    r"# \S+, fine-tuned from [^\n]+\n\n(?:[^\n]+\n){1,4}"
    r"All settings are in config\.json, field `raysearch`; `raysearch predict` reads them\.\n"
    r"Written by raysearch [^\n]+\.\n"
)
# Kind of output, as tasks/head.py says it -> the Hub's name of the task.
_PIPELINES = {
    "a class": "text-classification",
    "a number": "text-classification",
    "an option": "multiple-choice",
    "a tag for each word": "token-classification",
    "a part of the context": "question-answering",
    "the masked tokens": "fill-mask",
}


def write_card(
    folder: Path,
    task: TaskStudy,
    leader: RankedConfiguration,
    intervals: Intervals,
    start: str = "",
    duplicates: str = "",
) -> str:
    """Write the card of a task's winner, if its weights are there.

    Args:
        folder: the run folder.
        task: the task.
        leader: its leading configuration.
        intervals: returns the interval of a score.
        start: what it started from, see `start_notes.start_text`.
        duplicates: of its data, see `duplicate_notes.duplicate_text`.

    Returns:
        A note if the card is not written although there are weights: they are of another
        configuration, or the card was edited. Else "".
    """
    names = (task.row.slug, "best")
    if kind_of(inside(folder, *names, "config.json")) is None:
        return ""
    column, place = formatting.column_title(task.row), f"{'/'.join(names)}/{CARD}"
    trial = trial_of(file_inside(folder, *names, "config.json"))
    if trial not in {record.id for record in leader.trials}:
        return f"{column}: {place} is not rewritten: the weights are of another configuration."
    path = file_inside(folder, *names, CARD)
    if kind_of(path) is not None and not is_ours(_text_of(path)):
        return f"{column}: {place} was edited and is kept; without it `table` writes a model card."
    kept = next(record for record in leader.trials if record.id == trial)
    write_atomically(path, _seal(card(task, leader, kept, intervals, start, duplicates)))
    return ""


def _text_of(path: Path) -> str:
    """Return the beginning of a card; one that is longer is none of ours."""
    with open_regular(path) as file:
        content: bytes = file.read(_MAX_BYTES)
    return content.decode("utf-8", "replace")


def is_ours(text: str) -> bool:
    """Return whether a card is as it was written, by this module or together with the weights."""
    seal = _SEAL.search(text)
    if seal is None:
        return _PLAIN.fullmatch(text) is not None
    return seal[1] == _hash(text[: seal.start()])


def card(
    task: TaskStudy,
    leader: RankedConfiguration,
    kept: Record,
    intervals: Intervals,
    start: str = "",
    duplicates: str = "",
) -> str:
    """Return the card of a task's winner, as Markdown with YAML metadata.

    Args:
        task: the task.
        leader: its leading configuration.
        kept: the trial of it whose weights are kept.
        intervals: returns the interval of a score.
        start: see `write_card`.
        duplicates: see `write_card`.
    """
    from huggingface_hub import ModelCardData

    base = plain_name(task.model) if is_hub_name(task.model) else ""
    values: dict[str, Any] = {
        "base_model": base if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", base) else None,
        "datasets": source_of(task.row).hub or None,
        # The languages of own files are known only where the study states them.
        "language": list(task.row.languages) or (None if task.row.is_own else "en"),
        "library_name": "transformers",
        "pipeline_tag": _PIPELINES.get(task.row.facts.output),
        "tags": ["raysearch", task.study.recipe, task.row.slug],
        "metrics": list(task.row.metrics),
        "model_name": f"{task.study.name} {task.name}",
        "eval_results": _results(task, leader, intervals),
    }
    data = ModelCardData(**{name: value for name, value in values.items() if value})
    lines = _lines(task, leader, kept, intervals)
    if duplicates:
        lines.insert(3, escape_markdown(f"- In the data {duplicates}."))
    if start:
        lines.insert(2, escape_markdown(f"- Started {start}."))
    text = "\n".join(lines)
    return f"---\n{data.to_yaml()}\n---\n\n{text}\n"


def _results(task: TaskStudy, leader: RankedConfiguration, intervals: Intervals) -> list[Any]:
    """Return the Hub's entries of the scores of the dev splits, as fractions."""
    from huggingface_hub import EvalResult

    source, results = source_of(task.row), []
    dev = [split.name for split in task.row.dev]
    for name, value in leader.scores.items():
        metric = name.rpartition(".")[2]
        if not name.startswith("dev.") or metric not in task.row.metrics or is_gap(name):
            continue
        interval = intervals(task, leader, name)
        arguments = {
            "statistic": _over(task, leader),
            "seeds": [record.seed for record in leader.trials],
            "interval_95": [interval.low, interval.high] if interval else None,
        }
        splits = splits_of(name, dev)
        results.append(
            EvalResult(
                task_type=_PIPELINES.get(task.row.facts.output, "other"),
                dataset_type=source.hub or task.row.slug,
                dataset_name=task.name,
                dataset_config=source.hub_config or None,
                dataset_split=splits[0] if len(splits) == 1 else "mean",
                metric_type=metric,
                metric_name=metric,
                metric_value=value,
                metric_args={key: x for key, x in arguments.items() if x},
            )
        )
    return results


def _over(task: TaskStudy, leader: RankedConfiguration) -> str:
    count = len(leader.trials)
    return f"{task.study.confirm.report} of {count} seeds" if count > 1 else "one seed"


def _lines(
    task: TaskStudy, leader: RankedConfiguration, kept: Record, intervals: Intervals
) -> list[str]:
    """Return the lines of a card below its metadata."""
    study, metric = task.study, task.printed_metric
    score = formatting.format_percent(leader.score, 2)
    interval = intervals(task, leader, metric)
    within = "not known: dev predictions were not kept for every seed"
    if interval:
        within = format_interval(interval, 2)
    spread = formatting.format_percent(leader.standard_deviation, 2)
    several = len(leader.trials) > 1
    deviation = f", standard deviation {spread}" if several else ""
    seeds = ", ".join(str(record.seed) for record in leader.trials)
    settings = hyperparameter_values(task, leader.trials[0])
    shown = dict.fromkeys(("BSZ", "LR", "EPOCH", "WARMUP", "max_length", *task.space))
    search = study.search
    known = kept.scores_at(search.select) if kept.status != "diverged" else {}
    measured = known.get(metric, kept.score)
    own = formatting.format_percent(measured, 2) if measured is not None else "-"
    printed_on = formatting.printed_part(search.hold_out)
    searched_on = formatting.search_part(search.hold_out)
    best = f"that was best on {searched_on}, " if kept is leader.best_trial else ""
    texts = [
        f"# {task.name}, fine-tuned from {task.origin}",
        "",
        f"- Result on {printed_on}: {metric.removeprefix('dev.')} {score} percent,"
        f" {_over(task, leader)} ({seeds}){deviation}.",
        f"- 95 % interval over {'seeds and ' * several}examples: {within}.",
        f"- These weights are of the seed {best}{kept.seed}, which scored {own} on {printed_on}.",
        f"- Settings: {'; '.join(f'{k} {formatting.format_setting(settings[k])}' for k in shown)}.",
        f"- Search: {search.sampler}, at most {search.trials} configurations, the {search.select}"
        f" evaluation on {searched_on} counts; study '{study.name}', recipe '{study.recipe}'.",
        f"- Data: {task.name}, {source_of(task.row).link}; licence of the data:"
        f" {source_of(task.row).licence}.",
        "- License of this model: not given. It depends on the base model and the data; add"
        " `license` to the metadata before you publish it.",
        "- All settings are in config.json, field `raysearch`; `raysearch predict` reads them.",
    ]
    if count := task.shared.dev_examples:
        verb = "Scored on" if search.hold_out is None else "Divided:"
        texts.insert(3, f"- {verb} at most {count} examples of each dev split.")
    if leader.learned_nothing:
        texts.insert(2, "- WARNING: this training ended with nothing learned.")
    return [escape_markdown(text) for text in texts]


def trial_of(config: Path) -> str:
    """Return the id of the trial that a folder's weights are of; "" if it does not say."""
    try:
        value = read_json(config)
    except (InputError, OSError):
        return ""
    for name in ("raysearch", "trial", "id"):
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _seal(text: str) -> str:
    text = text.rstrip("\n") + "\n\n"
    seal = f"<!-- raysearch {_hash(text)}: rewritten by `raysearch table` until it is edited -->"
    return f"{text}{seal}\n"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
