"""How a command ends: what a user can cause is printed, never raised, and sets the exit code.

0 all trials ended, 1 some failed, 2 something to mend, by the user or in raysearch itself, 130
interrupted."""

import errno
import logging
import os
import platform
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

import typer
import typer.core

from .. import __version__
from ..errors import RaysearchError, printable, shorten

# What typer itself ends a command with. The class of its messages has no public name in all of its
# versions.
_Message = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
_TYPER_ENDS = (typer.Exit, typer.Abort, _Message)


class CommandGroup(typer.core.TyperGroup):
    """The commands, whose messages about arguments echo nothing raw that a shell found in files'
    names."""

    def invoke(self, ctx: typer.Context) -> Any:
        """Run a command; what is wrong with its arguments is told escaped."""
        try:
            return super().invoke(ctx)
        except _Message as error:
            error.message = printable(error.message, lines=True)
            raise


def guarded(command: Callable[..., int | None]) -> Callable[..., None]:
    """A command that prints its problems; what it returns is the exit code."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            code = command(*args, **options)
            sys.stdout.flush()
        except RaysearchError as error:
            print(printable(error, lines=True), file=sys.stderr)
            raise typer.Exit(2) from None
        except BrokenPipeError:  # `raysearch list | head`: nobody reads on
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except OSError as error:
            print(f"raysearch: {printable(_refused(error), lines=True)}", file=sys.stderr)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(130) from None
        except _TYPER_ENDS:
            raise
        except Exception as error:  # a mistake of ours, or memory or the stack that ran out
            print(unexpected(error), file=sys.stderr)
            raise typer.Exit(2) from None
        raise typer.Exit(code or 0)

    return run


def unexpected(error: Exception) -> str:
    """Return what to tell of an exception that nothing foresaw: what was being done, its first
    line, and where its traceback was written."""
    about = getattr(error, "__notes__", ())
    doing = f"while reading {about[0]}" if about else f"in `{shorten(_command())}`"
    lines = str(error).strip().splitlines() or ["no further word"]
    cause = f"{type(error).__name__}: {shorten(lines[0])}"
    if isinstance(error, MemoryError):
        cause = "out of memory"
    if isinstance(error, RecursionError):
        cause = "nested too deeply"
    text = f"raysearch: unexpected {printable(cause)}, {printable(doing)}"
    return f"{text}\n{_where(error)}; please report this, with that file where you may share it"


def _where(error: Exception) -> str:
    """Write the traceback to a new file of an unpredictable name; return where it is."""
    head = f"raysearch {__version__}, Python {platform.python_version()}: {_command()}\n\n"
    try:
        content = head + "".join(traceback.format_exception(error))
        descriptor, path = tempfile.mkstemp(prefix="raysearch-", suffix=".traceback.txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(content)
    except (OSError, MemoryError, RecursionError):
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"its traceback cannot be written; it ends in {last.filename} line {last.lineno}"
    return f"its traceback is in {printable(path)}"


def _command() -> str:
    """Return the command line, as it was given."""
    return " ".join(["raysearch", *sys.argv[1:]])


def guard_output() -> None:
    """Make the process's output safe for foreign text: what an encoding cannot print is escaped,
    and so is what a terminal would obey, in log lines and warnings of any library."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    make = logging.getLogRecordFactory()

    def escaped(*args: Any, **options: Any) -> logging.LogRecord:
        record = make(*args, **options)
        record.msg, record.args = printable(record.getMessage(), lines=True), ()
        return record

    logging.setLogRecordFactory(escaped)
    spell = warnings.formatwarning
    warnings.formatwarning = lambda *args, **options: printable(spell(*args, **options), lines=True)


def _refused(error: OSError) -> str:
    """What the system refused, and what would do."""
    text = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        text += "\nmake room; what has ended is kept, `raysearch resume` goes on with the rest"
    return text
