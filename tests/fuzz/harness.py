"""Run the inputs of one kind, and tell what became of each. Knows no kind.

An input may be accepted, or refused by a RaysearchError. Everything else is a failure: another
exception, too much time, a message that cannot be printed, a file written outside of the sandbox,
code of the input that ran."""

import builtins
import os
import signal
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol

from raysearch.errors import RaysearchError

SECONDS = 30.0  # of one input, by the wall clock: a pipe takes no other time
LONGEST = 200_000  # letters of a message
SHOWN = 600  # letters of an input in a failure


@dataclass(frozen=True, kw_only=True)
class Input:
    """One broken thing, ready to be read.

    Attributes:
        shown: what it is, for a failure.
        read: reads it; what it returns is of no interest.
    """

    shown: str
    read: Callable[[], Any]


class Kind(Protocol):
    """The inputs of one boundary."""

    def __init__(self, folder: Path) -> None:
        """Prepare what the inputs are made from, in a folder of the kind's own."""

    def draw(self, random: Random) -> Input:
        """Return one input, the same for the same state of `random`."""


@dataclass(kw_only=True)
class Report:
    """What became of the inputs of one kind.

    Attributes:
        outcomes: outcome -> how many.
        failures: what went wrong and where -> how many.
        examples: what went wrong and where -> number and text of the first such input.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    examples: dict[str, tuple[int, str]] = field(default_factory=dict)


class _TooSlow(BaseException):
    """No Exception: nothing that reads foreign bytes may swallow it."""


class _Watch:
    """Notices what is written outside of a folder, or started as a program."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.seen: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at one event of Python's runtime."""
        if self.folder is None:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes or (isinstance(mode, str) and set(mode) & set("wax+")):
                self._look(event, path)
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"):
            folder = arguments[-1] if event != "os.truncate" else None
            self._look(event, arguments[0], folder)
        elif event in ("os.rename", "os.link", "os.symlink"):
            self._look(event, arguments[1])
        elif event in ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen"):
            self.seen.append(f"{event} {arguments[0]!r:.200}")

    def _look(self, event: str, path: Any, folder: Any = None) -> None:
        """Note a path that is outside; `folder` is the descriptor of what it is relative to."""
        if isinstance(path, int) or path is None:
            return
        name = os.fsdecode(path)
        if isinstance(folder, int) and folder >= 0:
            name = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name)
        name = os.path.realpath(name)
        if not name.startswith((self.folder + os.sep, "/dev/")) and name != self.folder:
            self.seen.append(f"{event} {name}")


_watch: _Watch | None = None


@contextmanager
def _watched(folder: Path) -> Iterator[list[str]]:
    """Give the list of what is done outside of a folder meanwhile."""
    global _watch
    _watch = _watch or _Watch()
    _watch.seen.clear()
    _watch.folder = os.path.realpath(folder)
    try:
        yield _watch.seen
    finally:
        _watch.folder = None


@contextmanager
def _agreeable() -> Iterator[None]:
    """Answer every question with yes, as a user in a hurry does."""
    before, builtins.input = builtins.input, lambda *_: "y"
    try:
        yield
    finally:
        builtins.input = before


@contextmanager
def _timed(seconds: float) -> Iterator[None]:
    """Raise _TooSlow after some seconds."""

    def ring(*_: Any) -> None:
        raise _TooSlow

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def marker(folder: Path) -> Path:
    """Return the file that code in an input would write."""
    return folder / "code-of-the-input-ran"


def run(kind: Callable[[Path], Kind], seed: int, numbers: range, folder: Path) -> Report:
    """Read some inputs of a kind.

    Args:
        kind: makes them.
        seed, numbers: the same two give the same input.
        folder: of the kind; the sandbox is the folder that it lies in.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report, inputs = Report(), kind(folder)
    with _watched(folder.parent) as outside, _agreeable():
        for number in numbers:
            drawn = inputs.draw(Random(f"{seed} {number}"))
            outside.clear()
            outcome, failure = _outcome(drawn)
            if outside:
                failure = f"reached out: {outside[0].replace(str(folder.parent), '.')}"
            if marker(folder).exists():
                failure = "code of the input ran"
                marker(folder).unlink()
            report.outcomes["failed" if failure else outcome] += 1
            if failure:
                report.failures[failure] += 1
                report.examples.setdefault(failure, (number, drawn.shown[:SHOWN]))
    return report


def _outcome(drawn: Input) -> tuple[str, str]:
    """Return what became of an input, and what is wrong with that."""
    try:
        with warnings.catch_warnings(), _timed(SECONDS):
            warnings.simplefilter("ignore")
            drawn.read()
    except RaysearchError as error:
        return "refused", _wrong_message(str(error))
    except _TooSlow as error:
        return "", f"longer than {SECONDS:g} s{_place(error)}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return "", f"{type(error).__name__}: {str(error)[:70]!a}{_place(error)}"
    return "accepted", ""


def _wrong_message(text: str) -> str:
    """Return why a message cannot be printed; empty if it can."""
    if len(text) > LONGEST:
        return f"a message of more than {LONGEST:,} letters"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "a message that is no UTF-8"
    return ""


def _place(error: BaseException) -> str:
    """Return where in the package an error was raised, or in the test."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if f"{os.sep}raysearch{os.sep}" in frame.filename] or frames
    package = own[-1].filename.rpartition(f"{os.sep}raysearch{os.sep}")[2]
    return f" in {package}:{own[-1].lineno} ({own[-1].name})"
