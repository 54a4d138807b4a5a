"""How a command ends: what a user can cause is printed, never raised, and sets the exit code.

0 all trials ended, 1 some failed, 2 something to mend, 130 interrupted."""

import errno
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import typer

from .errors import RaysearchError


def guarded(command: Callable[..., int | None]) -> Callable[..., None]:
    """A command that prints its problems; what it returns is the exit code."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            code = command(*args, **options)
            sys.stdout.flush()
        except RaysearchError as error:
            print(error, file=sys.stderr)
            raise typer.Exit(2) from None
        except BrokenPipeError:  # `raysearch list | head`: nobody reads on
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except OSError as error:
            print(f"raysearch: {_refused(error)}", file=sys.stderr)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(130) from None
        raise typer.Exit(code or 0)

    return run


def _refused(error: OSError) -> str:
    """What the system refused, and what would do."""
    text = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        text += "\nmake room; what has ended is kept, `raysearch resume` goes on with the rest"
    return text
