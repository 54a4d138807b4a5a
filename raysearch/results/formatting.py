"""How papers spell names and values. Knows single values, no tables."""

import os
from collections.abc import Mapping
from typing import Any

from ..tasks import TASKS, Task

NONE = "-"  # what is not known, or not yet


def format_percent(fraction: float, digits: int = 1, *, sign: bool = False) -> str:
    """A fraction in percent: 0.9046 -> "90.5"."""
    text = f"{round(100 * fraction, digits) + 0.0:{'+' if sign else ''}.{digits}f}"
    return text.lstrip("+") if float(text) == 0 else text


def format_setting(setting: Any) -> str:
    """A hyperparameter as papers write it: "1e-5", "16", "50 steps"."""
    if setting is None:
        return "none"
    if isinstance(setting, bool):
        return str(setting).lower()
    if isinstance(setting, float):
        return _number(setting)
    if isinstance(setting, Mapping):
        return ", ".join(f"{format_setting(v)} {k.replace('_', ' ')}" for k, v in setting.items())
    if isinstance(setting, list | tuple):
        return ", ".join(format_setting(part) for part in setting)
    return str(setting)


def column_title(task: Task) -> str:
    """A task's name in a paper's table: its folder, several dev splits behind it.

    "SST-2"; "MNLI-m/mm" where predictions are handed in as MNLI-m.tsv and MNLI-mm.tsv.
    """
    name = (task.folder or task.name).rpartition("/")[2]
    if sum(other.folder == task.folder for other in TASKS.values()) > 1:
        name = task.name  # SQuAD's versions and RACE's levels share a folder
    if len(task.dev) < 2 or task.languages:
        return name
    handed_in = [os.path.splitext(split.submission or "")[0] for split in task.test]
    known = len(handed_in) == len(task.dev) and all(n.startswith(f"{name}-") for n in handed_in)
    parts = [n.removeprefix(f"{name}-") for n in handed_in] if known else [s.name for s in task.dev]
    return f"{name}-{'/'.join(parts)}"


def dev_names(task: Task, metric: str) -> list[str]:
    """What a metric is called in each dev split: "accuracy", "mismatched.accuracy"; of languages
    in the first alone, as the others have rows of their own."""
    splits = task.dev[:1] if task.languages else task.dev
    prefixes = ["" if not at else f"{split.name}." for at, split in enumerate(splits)]
    return [prefix + metric for prefix in prefixes]


def _number(setting: float) -> str:
    """Three digits, an exponent where there would be more than two zeros before them."""
    if setting == int(setting) and abs(setting) < 1e6:
        return str(int(setting))
    if 1e-3 <= abs(setting) < 1e3:
        return f"{setting:.3g}"
    digits, exponent = f"{setting:.2e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
