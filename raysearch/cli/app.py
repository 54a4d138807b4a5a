"""The `raysearch` command, to which each module of commands adds its own."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__
from ..errors import printable
from ..storage.uris import is_remote
from .exit_codes import CommandGroup

app = typer.Typer(
    name="raysearch",
    cls=CommandGroup,
    pretty_exceptions_enable=False,
    help=(
        "Find fine-tuning hyperparameters of text encoders and write the paper's table.\n\n"
        "A study is a YAML file: tasks, a model, a search space, a search. Some studies ship with"
        " raysearch and are known by name."
    ),
    epilog=(
        "Example:\n\n"
        "raysearch list studies\n\n"
        "raysearch check quickstart\n\n"
        "raysearch run quickstart\n\n"
        "raysearch COMMAND --help shows the options of a command."
    ),
)


_FIRST_STEPS = f"""\
raysearch {__version__} finds fine-tuning hyperparameters of text encoders, and writes the paper's
table.

  raysearch doctor           what this machine has, what would not run here, and what would mend it
  raysearch run quickstart   a search on a generated task, in a minute or two
  raysearch init             a study of your own: asks for tasks, model and budget
  raysearch list studies     the studies of published systems, with their published rows
  raysearch --help           all commands"""


@app.callback(invoke_without_command=True)
def _without_command(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version of raysearch and exit.")
    ] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit(0)
    if context.invoked_subcommand is None:
        print(_FIRST_STEPS)


def print_note(text: str) -> None:
    """Print a note to the error output."""
    print(printable(f"note: {text}"), file=sys.stderr)


def print_line(line: object) -> None:
    """Print a line that may have names of files, or text from files."""
    print(printable(line))


def local_folder(source: str, *, weights: bool = False, seeds: bool = False) -> Path:
    """Return a path as it is, and of a URI the local copy of what is there, see `local_copy`."""
    if not is_remote(source):
        return Path(source)
    from ..run_folder.remote_files import local_copy  # imports pyarrow

    return local_copy(source, weights=weights, seeds=seeds, note=print_note)
