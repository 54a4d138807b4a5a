"""Draws the README's picture from a run folder: python docs/picture.py RUN docs/run.svg"""

import sys
from pathlib import Path
from types import SimpleNamespace

from raysearch.display import Display
from rich.console import Console
from rich.markdown import Markdown

import raysearch
from raysearch import journal, standing


def main() -> None:
    """Show the run's trials as they ended, its panel and its table."""
    folder, target = map(Path, sys.argv[1:])
    study, records = raysearch.load(folder / "study.yaml"), journal.read(folder)
    agenda = SimpleNamespace(
        study=study,
        journal=records,
        live=set(),
        planned=lambda task: standing.planned(study, records, task),
    )
    display = Display(agenda, lambda: 2)
    console = Console(record=True, width=112, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(f"[bold]$ raysearch run search_spaces/{study.name}.yaml[/bold]")
    for record in sorted(records.trials.values(), key=lambda r: r.ended or 0):
        console.print(display._ended(record), overflow="ellipsis", no_wrap=True)
    console.print(display._panel())
    table = (folder / "table.md").read_text(encoding="utf-8").partition("**Cost**")[0]
    console.print(Markdown(table))
    console.save_svg(str(target), title="raysearch")


if __name__ == "__main__":
    main()
