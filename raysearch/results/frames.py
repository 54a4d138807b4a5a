"""A run's trials and reports as pandas data frames, with the columns of the parquet files.

It is apart from `parquet` because it imports pandas, which neither a run nor a table needs.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd
import pyarrow as pa

from ..run_folder import Records
from ..study import Study
from .parquet import reports_table, trials_table

# A column with null keeps its type: whole numbers do not become fractions.
_TYPES = {
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(),
}


def trials_frame(study: Study, records: Records, tasks: Iterable[str]) -> pd.DataFrame:
    """Return the trials of tasks, one row each, in the order of tasks and of their numbers."""
    return _joined(lambda name: trials_table(study.resolve(name), records.of(name)), tasks)


def reports_frame(study: Study, records: Records, tasks: Iterable[str]) -> pd.DataFrame:
    """Return the reports of tasks, one row each; their first column is the task."""

    def table(name: str) -> pa.Table:
        reports = reports_table(study.resolve(name).row, records.of(name))
        return reports.add_column(0, "task", pa.array([name] * reports.num_rows, pa.string()))

    return _joined(table, tasks)


def _joined(table: Callable[[str], Any], tasks: Iterable[str]) -> pd.DataFrame:
    """Return the tables of tasks below each other; a column that a task lacks is null there."""
    frames = [table(name).to_pandas(types_mapper=_TYPES.get) for name in tasks]
    return pd.concat(frames, ignore_index=True)
