"""Results of a run: tables, best.yaml, parquet and TensorBoard files.

It is apart because everything is made from study.yaml and the journal, without Ray or torch, at any
time, also during the run.
"""

from .export import write_exports
from .paper_table import paper_table
from .table_formats import to_csv, to_json, to_latex, to_markdown
from .table_rows import Row, Table
from .tensorboard import TensorBoardWriter

__all__ = [
    "Row",
    "Table",
    "TensorBoardWriter",
    "paper_table",
    "to_csv",
    "to_json",
    "to_latex",
    "to_markdown",
    "write_exports",
]
