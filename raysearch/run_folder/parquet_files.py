"""Parquet files of a run folder, read as a stranger's: whole, of a bounded size, and validated.

It is apart from the predictions because the tables of trials and reports are read the same way.
"""

from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from ..storage import open_regular

MAX_ROWS = 10**7  # no dev split and no search is near it
MAX_BYTES = 2**30  # of all columns, without compression


def read_table(path: Path) -> pa.Table:
    """Return the table of a parquet file.

    Raises:
        InputError: it is a link or a special file.
        OSError, pa.ArrowException, UnicodeDecodeError: it cannot be read, is damaged, or would take
            more memory than any file of a run.
    """
    with open_regular(path) as file:
        content = pa.BufferReader(file.read())
    metadata = parquet.read_metadata(content)
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    size = sum(group.total_byte_size for group in groups)
    if metadata.num_rows > MAX_ROWS or size > MAX_BYTES:
        raise OSError(f"{metadata.num_rows:,} rows in {size:,} bytes are too many")
    table = parquet.read_table(content)
    table.validate(full=True)  # texts are UTF-8, offsets of lists lie inside
    return table
