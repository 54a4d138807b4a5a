"""The report of a run: one HTML file with the table and the charts, which loads nothing.

It is apart from the other results because it draws. The charts are SVG that is written here, so
that the page needs no library, works without scripts and prints as it looks;
benchmarks/RESULTS.md compares it with libraries.
"""

from .writing import REPORT, is_running, watch_report, write_report

__all__ = ["REPORT", "is_running", "watch_report", "write_report"]
