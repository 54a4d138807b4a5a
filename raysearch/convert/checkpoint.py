"""Checkpoints of torch as tensors and plain settings. Nothing that a file pickles is ever run: it
becomes an inert object. Knows no model."""

import json
import pickle
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch.serialization import safe_globals

from ..errors import InputError, Problem
from ..readers.lines import GIT_LFS

WOULD_DO = "a checkpoint of fairseq (model.pt), or a folder with pytorch_model.bin, would do"
PLACES = ("args", "cfg")  # of the training's arguments, before and since fairseq 1.0
OWN = ("torch", "collections", "_codecs")  # what weights themselves are pickled with
OPENINGS = {
    GIT_LFS: "a Git LFS pointer in place of the file; `git lfs pull` fetches it",
    b"\x1f\x8b": "a compressed archive; unpack it and name the checkpoint in it",
    b"BZh": "a compressed archive; unpack it and name the checkpoint in it",
    b"<!DOCTYPE": "a web page in place of the file; download it again",
    b"<html": "a web page in place of the file; download it again",
}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        path: the file.
        tensors: name -> tensor, on the CPU, as stored; mapped from the file where it allows.
        settings: the plain values among the training's arguments or in config.json.
        set_aside: the pickled classes and functions that were not run.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    settings: dict[str, Any]
    set_aside: tuple[str, ...]


class Inert:
    """Stands for any pickled class or function: takes what it is given and does nothing."""

    filled: type | None = None  # list or OrderedDict: what the file fills such an object like

    def __new__(cls, *given: Any, **named: Any) -> Any:
        return object.__new__(cls) if cls.filled is None else cls.filled()

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, Mapping):
                self.__dict__.update((str(name), value) for name, value in part.items())

    def append(self, item: Any) -> None:
        """An item of a class that is a list."""
        type(self).filled = list

    def __setitem__(self, key: Any, item: Any) -> None:
        type(self).filled = OrderedDict


class _Rehearsal(pickle.Unpickler):
    """Walks one pickle with everything inert, to learn which globals it names and how their
    objects are filled."""

    def __init__(self, file: BinaryIO, met: dict[tuple[str, str], type]) -> None:
        super().__init__(file, encoding="bytes")
        self.met = met

    def find_class(self, module: str, name: str) -> type:
        """A stand-in, whatever the name; one for each."""
        return self.met.setdefault((module, name), type(name, (Inert,), {}))

    def persistent_load(self, storage: Any) -> None:
        """Weights are not read yet."""


def read(path: Path) -> Checkpoint:
    """Read a checkpoint file, or a folder with pytorch_model.bin and config.json.

    Raises:
        InputError: it is no such thing, is cut short, or cannot be read without running it.
    """
    file = path / "pytorch_model.bin" if path.is_dir() else path
    if not file.is_file():
        what = "no pytorch_model.bin in this folder" if path.is_dir() else "no such file"
        raise _refusal(path, f"{what}; {WOULD_DO}")
    with file.open("rb") as opened:
        start = opened.read(64)
    for opening, text in OPENINGS.items():
        if start.startswith(opening):
            raise _refusal(file, text)
    zipped = start.startswith(b"PK")
    inert = _globals(file, zipped)
    try:
        with safe_globals([(inert[named], name) for named in inert for name in _names(*named)]):
            held = torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # foreign bytes: torch, zipfile and pickle each have their own
        raise _unreadable(file, error) from error
    tensors = _tensors(file, held)
    settings = _settings({"cfg": _config(path)} if path.is_dir() else held)
    aside = sorted(_names(*named)[0] for named in inert if named[0].split(".")[0] not in OWN)
    return Checkpoint(path=file, tensors=tensors, settings=settings, set_aside=tuple(aside))


def _globals(file: Path, zipped: bool) -> dict[tuple[str, str], type]:
    """A stand-in for every class and function that a file names, by module and name."""
    met: dict[tuple[str, str], type] = {}
    try:
        if zipped:
            with zipfile.ZipFile(file) as archive:
                name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
                with archive.open(name) as opened:
                    _Rehearsal(opened, met).load()
        else:
            with file.open("rb") as opened:
                for _ in range(4):  # magic number, version, the machine's facts, the object
                    _Rehearsal(opened, met).load()
    except Exception as error:
        raise _unreadable(file, error) from error
    return met


def _names(module: str, name: str) -> tuple[str, str]:
    """The full name in Python 3, and as written: torch reads some of Python 2's, not all."""
    now = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    return ".".join(now), f"{module}.{name}"


def _tensors(file: Path, held: Any) -> dict[str, torch.Tensor]:
    """The state dict in what was read: under `model`, or all of it."""
    model = held.get("model", held) if isinstance(held, Mapping) else None
    if not isinstance(model, Mapping):
        raise _refusal(file, f"no parameters in it; {WOULD_DO}")
    found = {n: t for n, t in model.items() if isinstance(n, str) and isinstance(t, torch.Tensor)}
    if not found:
        raise _refusal(file, f"no parameters in it; {WOULD_DO}")
    return found


def _settings(held: Any) -> dict[str, Any]:
    """The plain values of the arguments or configuration objects, by name; the outermost first."""
    found: dict[str, Any] = {}
    seen: set[int] = set()  # the parts of a configuration know the whole
    queue = [(name, held.get(name)) for name in PLACES] if isinstance(held, Mapping) else []
    for name, value in queue:  # which grows below
        if isinstance(value, str | int | float | bool):
            found.setdefault(name, value)
        elif isinstance(value, Mapping | Inert) and id(value) not in seen:
            seen.add(id(value))
            below = value if isinstance(value, Mapping) else vars(value)
            queue += [(name if key == "_val" else str(key), item) for key, item in below.items()]
    return found


def _config(folder: Path) -> Any:
    try:
        return json.loads((folder / "config.json").read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise _refusal(folder / "config.json", f"not JSON: {error}") from error


def _unreadable(file: Path, error: Exception) -> InputError:
    text = str(error)
    if "blocked" in text and "GLOBAL" in text:
        name = text.partition("GLOBAL ")[2].split()[0]
        return _refusal(file, f"it names {name}, which weights have no use for; refused unread")
    reason = text.partition("WeightsUnpickler error: ")[2] or text or type(error).__name__
    first = reason.strip().splitlines()[0]
    return _refusal(file, f"not a whole checkpoint of torch ({first}); {WOULD_DO}")


def _refusal(path: Path, text: str) -> InputError:
    return InputError(str(path), [Problem(place="checkpoint", text=text)])
