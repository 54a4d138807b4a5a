"""All commands of `raysearch`, in the order of its help."""

import gc  # noqa: I001 the order of the help

from . import first_commands, study_commands, result_commands, model_commands
from .app import app
from .exit_codes import guard_output

__all__ = ["app", "first_commands", "main", "model_commands", "result_commands", "study_commands"]


def main() -> None:
    """Run the `raysearch` command."""
    guard_output()
    gc.set_threshold(100_000)  # by default a third of the imports' time goes to it
    try:
        app()
    finally:
        # What is left ends with the process. Without this the interpreter looks through all of it
        # for unused objects once more, which takes a third of the time of a short command.
        gc.freeze()
