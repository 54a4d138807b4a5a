"""What would do about the unusable rows of a task: a wrong list of labels, or rows to leave out.

It is apart from the checks because it reads files again, after they were refused.
"""

from pathlib import Path

from ..data import own_labels, readers
from ..data.readers.row_errors import RowErrors
from ..data.readers.table_files import OPEN_QUOTE
from ..errors import InputError, Problem
from ..study.own_tasks import PREFIX
from ..tasks import Split, Task
from ..tasks.own_forms import READER

_SHARE = 10  # at most one of so many rows is left out on our advice
_SHOWN = 12  # labels


def leave_out_hints(task: Task, split: Split, root: Path, max_bad_rows: int) -> list[Problem]:
    """Return the value of `leave_out` with which a training set could be read, as a hint.

    Args:
        task: the task.
        split: one of its training sets, which has been refused.
        root: the data folder.
        max_bad_rows: the value of `leave_out` so far.

    Returns:
        One problem that counts none; none if another cause would stay, for too many rows, or where
        further rows are lost with one.
    """
    skipped: list[RowErrors] = []
    usable = 0
    try:
        for _ in readers.read(task, split, root, max_bad_rows=2**63, on_skipped=skipped.append):
            usable += 1
    except InputError:
        return []
    count = sum(errors.skipped() for errors in skipped)
    swallowed = any(OPEN_QUOTE in problem.text for errors in skipped for problem in errors.problems)
    if swallowed or not 0 < _SHARE * count <= usable + count:
        return []
    rows = "this row" if count == 1 else f"these {count:,} rows"
    so_far = f"; it is {max_bad_rows}" if max_bad_rows else ""
    text = f"`leave_out: {count}` in the study, or `--leave-out {count}` of init, would leave"
    text = f"{text} {rows} out{so_far}"
    return [Problem(location=f"{task.name} {split.name}", text=text, count=0)]


def without_label_rows(
    task: Task, root: Path, problems: list[Problem]
) -> tuple[list[Problem], list[Problem]]:
    """Return the problems of an own task's rows, with one problem in the place of wrong labels.

    Args:
        task: the task.
        root: the data folder.
        problems: of its files.

    Returns:
        The problems that remain, and that of the study's list, if many training rows have labels
        that are not in it.
    """
    if task.reader != READER:
        return problems, []
    rows = [problem for problem in problems if own_labels.is_unknown_label(problem.text)]
    counts = own_labels.training_labels(task, root) if rows else {}
    unknown = {name: count for name, count in counts.items() if name not in task.labels}
    if _SHARE * sum(unknown.values()) <= sum(counts.values()):
        return problems, []
    absent = [f"'{name}'" for name in task.labels if name not in counts]
    named = ", ".join(f"'{name[:40]}' ({count:,})" for name, count in [*unknown.items()][:_SHOWN])
    more = f" and {len(unknown) - _SHOWN:,} more" if len(unknown) > _SHOWN else ""
    text = f"these labels of training rows are not in the list: {named}{more}"
    if absent:
        text += f"; no row has {', '.join(absent[:_SHOWN])}"
    text += "; without the list the labels are those of the data"
    location = f"own.{task.name.removeprefix(PREFIX)}.{own_labels.LOCATION}"
    return [p for p in problems if p not in rows], [Problem(location=location, text=text)]
