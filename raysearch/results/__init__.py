"""Results of a run: tables, best.yaml, parquet and TensorBoard files.

It is apart because everything is made from study.yaml and the journal, without Ray or torch, at any
time, also during the run.
"""

from importlib import import_module
from typing import Any

# Name -> the module that defines it. It is imported when the name is first used: what only shows a
# study loads nothing that reads runs.
_DEFINED_IN = {
    "Row": "table_rows",
    "Table": "table_rows",
    "TensorBoardWriter": "tensorboard",
    "to_csv": "table_formats",
    "to_json": "table_formats",
    "to_latex": "table_formats",
    "to_markdown": "table_formats",
    "write_exports": "export",
}

__all__ = sorted(_DEFINED_IN)


def __getattr__(name: str) -> Any:
    if name not in _DEFINED_IN:
        raise AttributeError(f"module 'raysearch.results' has no attribute '{name}'")
    return getattr(import_module(f".{_DEFINED_IN[name]}", __name__), name)
