"""From a run folder to tables, best.yaml, parquet and TensorBoard files. Needs neither Ray nor
torch: everything is made from study.yaml and the journal, at any time, also while a run goes on."""

from .events import Curves
from .folder import write
from .layouts import csv_text, json_text, latex, markdown
from .tables import Row, Table, table

__all__ = ["Curves", "Row", "Table", "csv_text", "json_text", "latex", "markdown", "table", "write"]
