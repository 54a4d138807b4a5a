"""The statement of a run: what a reproducibility checklist asks, filled from its files."""

from .build import statement
from .document import Point, Statement, to_latex, to_markdown

__all__ = ["Point", "Statement", "statement", "to_latex", "to_markdown"]
