"""Own tasks from Python: their tables may be data frames of pandas and tables of pyarrow.

It is apart from the study's schema because a study is a text file: a table becomes a file of the
cache, named by its content, so that a run can be resumed and repeated.
"""

import hashlib
import io
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from ..errors import InputError, Problem
from ..storage import write_atomically
from ..storage.uris import cache_folder
from ..study.own_tasks import OwnTask, field_problems

KIND = "tables"  # the folder of the cache


class Task(OwnTask):
    """A task on your own data, for the field `own` of a study.

    Its fields are those of an entry in a study's file, see docs/own_data.md. Wherever a file may
    stand, a pandas DataFrame or a pyarrow Table may stand too.

    Raises:
        InputError: fields that do not exist or have a wrong type, or a table that cannot be kept.
    """

    def __init__(self, **fields: Any) -> None:
        names = {"train", "dev", "test"} & {*fields}
        files = {name: _as_files(fields[name]) for name in names}
        try:
            super().__init__(**{**fields, **files})
        except ValueError as error:
            raise InputError("Task", field_problems(error)) from None


def _as_files(value: Any) -> Any:
    """Return files and tables with the tables written to the cache."""
    if isinstance(value, Mapping) and not _is_table(value):
        return {name: _as_files(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_as_files(part) for part in value]
    return _store(value) if _is_table(value) else value


def _is_table(value: Any) -> bool:
    return isinstance(value, pa.Table) or hasattr(value, "iloc")


def _store(table: Any) -> str:
    """Return the parquet file of a table; a file of the same content is written once.

    Raises:
        InputError: a column has values that parquet cannot hold, or the cache cannot be written.
    """
    try:
        is_arrow, stream = isinstance(table, pa.Table), io.BytesIO()
        arrow = table if is_arrow else _from_pandas(table, preserve_index=False)
        # Descriptions of pandas, which may differ for the same values, are left out.
        arrow = arrow.replace_schema_metadata(_features(arrow))
        parquet.write_table(arrow, stream, compression="zstd")
        content = stream.getvalue()
        path = cache_folder() / KIND / f"{hashlib.sha256(content).hexdigest()[:16]}.parquet"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
    except (pa.ArrowException, OSError, TypeError, ValueError) as error:
        text = f"the table cannot be kept as parquet: {str(error).splitlines()[0]}"
        raise InputError("Task", [Problem(location="table", text=text)]) from None
    return str(path.absolute())


def _from_pandas(frame: Any, preserve_index: bool) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=preserve_index)


def _features(table: pa.Table) -> dict[bytes, bytes]:
    """Return the names of classes, as `datasets` describes them."""
    metadata = table.schema.metadata or {}
    return {key: value for key, value in metadata.items() if key == b"huggingface"}
