"""All commands of `raysearch`, in the order of its help."""

from . import study_commands, result_commands, model_commands  # noqa: I001 the order of the help
from .app import app
from .exit_codes import guard_output

__all__ = ["app", "main", "model_commands", "result_commands", "study_commands"]


def main() -> None:
    """Run the `raysearch` command."""
    guard_output()
    app()
