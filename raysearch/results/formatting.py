"""Names and values as papers print them.

It is apart because it works on single values; tables, parquet and TensorBoard files share it.
"""

import os
from collections.abc import Mapping, Sequence

from ..tasks import TASKS, Task

UNKNOWN_TEXT = "-"  # a value that is not known, or not yet


def format_percent(fraction: float, digits: int = 1, *, sign: bool = False) -> str:
    """Return a fraction in percent: 0.9046 -> "90.5".

    Args:
        fraction: the score.
        digits: the number of decimals.
        sign: whether a positive number has a plus sign.
    """
    text = f"{round(100 * fraction, digits) + 0.0:{'+' if sign else ''}.{digits}f}"
    return text.lstrip("+") if float(text) == 0 else text


def format_setting(setting: object) -> str:
    """Return a hyperparameter as papers write it: "1e-5", "16", "50 steps"."""
    if setting is None:
        return "none"
    if isinstance(setting, bool):
        return str(setting).lower()
    if isinstance(setting, float):
        return _format_number(setting)
    if isinstance(setting, Mapping):
        return ", ".join(f"{format_setting(v)} {k.replace('_', ' ')}" for k, v in setting.items())
    if isinstance(setting, list | tuple):
        return ", ".join(format_setting(part) for part in setting)
    return str(setting)


def aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Return rows of texts as lines with aligned columns.

    Args:
        rows: the texts, as many in each row.
        left: how many columns begin at the same place; the others end at it.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: "1 trial", "2,000 trials"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def name_seeds(numbers: Sequence[int]) -> str:
    """Return seeds by their numbers: "seed 11", "seeds 11, 12"."""
    return f"seed{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def printed_part(hold_out: float | None) -> str:
    """Return on what results are printed, in words: dev, or a part of it."""
    return "dev" if hold_out is None else "the held-out part of dev"


def search_part(hold_out: float | None) -> str:
    """Return on what trials are compared, in words: dev, or a part of it."""
    return "dev" if hold_out is None else "the search part of dev"


def column_title(task: Task) -> str:
    """Return a task's name as the title of a column: its folder, then several dev splits.

    "SST-2"; "MNLI-m/mm" because predictions are submitted as MNLI-m.tsv and MNLI-mm.tsv.
    """
    name = (task.folder or task.name).rpartition("/")[2]
    # SQuAD's versions and RACE's levels share a folder; SuperGLUE's RTE has the name of GLUE's.
    benchmark = task.name.partition("/")[0]
    same = [other.name for other in TASKS.values() if other.folder == task.folder]
    if (
        task.is_own
        or task.name in same[1:]
        or any(name.startswith(f"{benchmark}/") for name in same[1:])
    ):
        name = task.name
    if len(task.dev) < 2 or task.languages:
        return name
    files = [os.path.splitext(split.submission or "")[0] for split in task.test]
    matching = len(files) == len(task.dev) and all(n.startswith(f"{name}-") for n in files)
    parts = [n.removeprefix(f"{name}-") for n in files] if matching else [s.name for s in task.dev]
    return f"{name}-{'/'.join(parts)}"


def dev_names(task: Task, metric: str) -> list[str]:
    """Return the names of a metric in each dev split: "accuracy", "mismatched.accuracy".

    A task with languages has only the name in the first one, as tables show the others in rows of
    their own.
    """
    splits = task.dev[:1] if task.languages else task.dev
    prefixes = ["" if not index else f"{split.name}." for index, split in enumerate(splits)]
    return [prefix + metric for prefix in prefixes]


def _format_number(number: float) -> str:
    """Return a number with three digits, and with an exponent if it is below 0.001."""
    if number == int(number) and abs(number) < 1e6:
        return str(int(number))
    if 1e-3 <= abs(number) < 1e3:
        return f"{number:.3g}"
    digits, exponent = f"{number:.2e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
