"""Exit codes and error output: an error that a user can cause is printed without a traceback.

The exit code is 0 if everything went well, 1 if some trials failed, 2 if something must be fixed by
the user or in raysearch itself, and 130 after an interrupt. This is apart from `commands` because
all commands end in the same way.
"""

import errno
import logging
import os
import platform
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, cast

import typer
import typer.core

from .. import __version__
from ..command_line import command_line
from ..error_pages import command_page, explained_in
from ..errors import RaysearchError, printable, shorten

# The base class of typer's messages about arguments has no public name in all versions of typer. As
# the public BadParameter it has a `message`.
_ClickException = cast(
    "type[typer.BadParameter]",
    next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException"),
)
_TYPER_EXITS = (typer.Exit, typer.Abort, _ClickException)


class CommandGroup(typer.core.TyperGroup):
    """A group of commands whose messages about arguments end with a page of the documentation.

    They escape what they quote from the command line: a shell may have put names of files there.
    """

    # The class of the bases' parameter has no public name; typer passes its own Context.
    def make_context(self, *args: Any, **options: Any) -> Any:
        """Read the options before the command."""
        with _completed_messages(None):
            return super().make_context(*args, **options)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run a command."""
        with _completed_messages(ctx):
            return super().invoke(ctx)


@contextmanager
def _completed_messages(context: typer.Context | None) -> Iterator[None]:
    """Complete the message of wrong arguments."""
    try:
        yield
    except _ClickException as error:
        command = (context and context.invoked_subcommand) or ""
        text = printable(f"{error.format_message()}\n{_explained_in(command)}", lines=True)
        error.format_message = lambda: text  # type: ignore[method-assign]
        raise


def guarded(command: Callable[..., int | None]) -> Callable[..., None]:
    """Wrap a command so that it prints its errors and ends with an exit code.

    Args:
        command: a function that returns its exit code; None is 0.
    """
    name = command.__name__.strip("_")

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            code = command(*args, **options)
            sys.stdout.flush()
        except RaysearchError as error:
            print_error(error, name)
            raise typer.Exit(2) from None
        except BrokenPipeError:  # `raysearch list | head`: the reader has closed the pipe
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except OSError as error:
            text = f"raysearch: {_system_error(error, name)}\n{_explained_in(name)}"
            print(printable(text, lines=True), file=sys.stderr)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(130) from None
        except _TYPER_EXITS:
            raise
        except Exception as error:  # a mistake in raysearch, or no memory or stack left
            print(unexpected(error), file=sys.stderr)
            raise typer.Exit(2) from None
        raise typer.Exit(code or 0)

    return run


def print_error(error: RaysearchError, command: str) -> None:
    """Print an error to the error output, with the page of the command if it names none itself."""
    text = str(error) if error.is_explained else f"{error}\n{_explained_in(command)}"
    print(printable(text, lines=True), file=sys.stderr)


def _explained_in(command: str) -> str:
    return explained_in([command_page(command)])


def unexpected(error: Exception) -> str:
    """Return the message for an exception that no code expects.

    It has the exception's first line, what was being done, and the file of the traceback.
    """
    notes = getattr(error, "__notes__", ())
    doing = f"while reading {notes[0]}" if notes else f"in `{shorten(command_line())}`"
    lines = str(error).strip().splitlines() or ["no further word"]
    cause = f"{type(error).__name__}: {shorten(lines[0])}"
    if isinstance(error, MemoryError):
        cause = "out of memory"
    if isinstance(error, RecursionError):
        cause = "nested too deeply"
    text = f"raysearch: unexpected {printable(cause)}, {printable(doing)}"
    return (
        f"{text}\n{_write_traceback(error)}; please report this, with that file if you may share it"
    )


def _write_traceback(error: Exception) -> str:
    """Write the traceback to a new file with an unpredictable name; return a text that names it."""
    head = f"raysearch {__version__}, Python {platform.python_version()}: {command_line()}\n\n"
    try:
        content = head + "".join(traceback.format_exception(error))
        descriptor, path = tempfile.mkstemp(prefix="raysearch-", suffix=".traceback.txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(content)
    except (OSError, MemoryError, RecursionError):
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"its traceback cannot be written; it ends in {last.filename} line {last.lineno}"
    return f"its traceback is in {printable(path)}"


def guard_output() -> None:
    """Escape unsafe text in everything that this process prints, logs or warns of.

    On standard output and error, characters that the encoding lacks are escaped. In log lines and
    warnings of all libraries, characters that a terminal would obey are escaped too.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    make_record = logging.getLogRecordFactory()

    def make_escaped_record(*args: Any, **options: Any) -> logging.LogRecord:
        record = make_record(*args, **options)
        record.msg, record.args = printable(record.getMessage(), lines=True), ()
        return record

    logging.setLogRecordFactory(make_escaped_record)
    format_warning = warnings.formatwarning

    def format_escaped(*args: Any, **options: Any) -> str:
        return printable(format_warning(*args, **options), lines=True)

    warnings.formatwarning = format_escaped


def _system_error(error: OSError, command: str) -> str:
    """Return the message of the operating system, and what to do about it."""
    text = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        kept = "; what has ended is kept, `raysearch resume` goes on with the rest"
        return f"{text}\nmake room{kept if command in ('run', 'resume') else ''}"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR):
        return f"{text}\nanother folder, or a copy of this one, would do"
    return text
