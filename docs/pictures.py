"""Draws the picture of a run's terminal output.

Usage: python docs/picture.py RUN docs/run.svg
"""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

from rich.console import Console
from rich.markdown import Markdown

import raysearch
from raysearch.cli.progress import ProgressDisplay
from raysearch.results import leaderboard
from raysearch.run_folder import read_journal


def main() -> None:
    """Show the run's trials as they ended, its panel and its table."""
    folder, target = map(Path, sys.argv[1:])
    study, journal = raysearch.load(folder / "study.yaml"), read_journal(folder)
    queue = SimpleNamespace(
        study=study,
        journal=journal,
        live=set(),
        planned_trials=lambda task: leaderboard.planned_trials(study.resolve(task), journal),
    )
    display = ProgressDisplay(queue, lambda: 2)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=112, file=nowhere)
        console.print(f"[bold]$ raysearch run {study.name}[/bold]")
        for record in sorted(journal.trials.values(), key=lambda record: record.ended or 0):
            console.print(display._end_line(record), overflow="ellipsis", no_wrap=True)
        console.print(display._panel())
        table = (folder / "table.md").read_text(encoding="utf-8").partition("**Cost**")[0]
        console.print(Markdown(table))
        console.save_svg(str(target), title="raysearch")


if __name__ == "__main__":
    main()
