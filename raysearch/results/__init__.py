"""From a run folder to tables, best.yaml, parquet and TensorBoard files. Needs neither Ray nor
torch: everything is made from study.yaml and the journal, at any time, also while a run goes on."""

from .export import write
from .paper_table import table
from .table_formats import csv_text, json_text, latex, markdown
from .table_rows import Row, Table
from .tensorboard import Curves

__all__ = ["Curves", "Row", "Table", "csv_text", "json_text", "latex", "markdown", "table", "write"]
