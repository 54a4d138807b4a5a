"""The identity of the data that the trials of a task read: hashes of what its files hold.

It is apart from the survey, which reads the same files for what is wrong with them.
"""

from pathlib import Path

from ..data import readers
from ..study import TaskStudy


def data_fingerprints(task: TaskStudy, data: Path) -> dict[str, str]:
    """Return the hashes of the splits that the trials of a task read: training sets, then dev.

    Args:
        task: the task of a study.
        data: the data folder.

    Raises:
        InputError: files are missing.
    """
    present = readers.present_splits(task.row, data)
    splits = [s for s in (*task.training_splits, *task.row.dev) if s.name in present]
    return {split.name: readers.fingerprint(task.row, split, data) for split in splits}
