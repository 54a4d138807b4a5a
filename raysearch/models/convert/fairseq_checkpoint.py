"""Checkpoints of torch as tensors and plain settings. Nothing that a file pickles is ever run: it
becomes an inert object. Knows no model."""

import io
import json
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch._weights_only_unpickler import _get_allowed_globals
from torch.serialization import safe_globals

from ...data.readers.text_lines import GIT_LFS
from ...errors import InputError, Problem
from .inert_pickle import BYTES, Contents, InertObject, TensorSketch, walk_pickle
from .problem_texts import listed

WOULD_DO = "a checkpoint of fairseq (model.pt), or a folder with pytorch_model.bin, would do"
PLACES = ("args", "cfg")  # of the training's arguments, before and since fairseq 1.0
CONFIG = 16 * 2**20  # bytes of a config.json; the largest published has some thousand
TAR = (257, b"ustar")  # where and how an archive of tar is told, which old versions of torch wrote
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


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint file, or a folder with pytorch_model.bin and config.json.

    Raises:
        InputError: it is no such thing, is cut short, or cannot be read without running it.
    """
    file = path / "pytorch_model.bin" if path.is_dir() else path
    if not file.is_file():
        what = "no pytorch_model.bin in this folder" if path.is_dir() else "no such file"
        what = "no regular file" if file.exists() else what  # but a pipe, a device, a folder
        raise _refusal(path, f"{what}; {WOULD_DO}")
    try:
        with file.open("rb") as opened:
            start = opened.read(512)
    except OSError as error:
        raise _refusal(file, f"cannot be read: {error.strerror}") from error
    for opening, text in OPENINGS.items():
        if start.startswith(opening):
            raise _refusal(file, text)
    if start[TAR[0] :].startswith(TAR[1]):
        raise _refusal(file, f"an archive of tar; {WOULD_DO}")
    zipped = start.startswith(b"PK")
    contents = _contents(file, zipped)
    _check_sizes(file, contents.held)
    allowed = _get_allowed_globals()
    inert = {
        named: kind for named, kind in contents.named.items() if not allowed.keys() & _names(*named)
    }
    try:
        with safe_globals([(inert[named], name) for named in inert for name in _names(*named)]):
            held = torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # foreign bytes: torch, zipfile and pickle each have their own
        raise _unreadable(file, error) from error
    tensors = _tensors(file, held)
    settings = _settings({"cfg": _config(path)} if path.is_dir() else held)
    aside = sorted({_names(*named)[0] for named in inert})
    return Checkpoint(path=file, tensors=tensors, settings=settings, set_aside=tuple(aside))


def _contents(file: Path, zipped: bool) -> Contents:
    """Return what a file's pickles hold, once all of it can lie in the file."""
    contents = Contents()
    try:
        if zipped:
            with zipfile.ZipFile(file) as archive:
                records = _records(archive)
                name = next(name for name in records if name.endswith("/data.pkl"))
                if records[name] > BYTES:
                    raise ValueError(f"{name} has {records[name]:,} bytes besides the tensors")
                walk_pickle(io.BytesIO(archive.read(name)), contents)
        else:
            records = None
            with file.open("rb") as opened:
                for _ in range(4):  # magic number, version, the machine's facts, the object
                    walk_pickle(opened, contents)
    except Exception as error:
        raise _unreadable(file, error) from error
    room = file.stat().st_size
    for key, storage in contents.storages.items():
        size = storage.count * storage.size
        stored = room if records is None else records.get(f"{name.split('/')[0]}/data/{key}", 0)
        if size > stored:
            text = f"storage {key!r:.40} of {storage.count:,} elements has {stored:,} bytes"
            raise _refusal(file, f"not a whole checkpoint of torch ({text}); {WOULD_DO}")
    total = sum(storage.count * storage.size for storage in contents.storages.values())
    if total > room:
        text = f"its tensors take {total:,} bytes, and the file has {room:,}"
        raise _refusal(file, f"not a whole checkpoint of torch ({text}); {WOULD_DO}")
    return contents


def _records(archive: zipfile.ZipFile) -> dict[str, int]:
    """Return the size of every record of an archive of torch, which has one folder.

    Raises:
        ValueError: it is no such archive: torch compresses nothing and writes no name twice.
    """
    records = {entry.filename: entry.file_size for entry in archive.infolist()}
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise ValueError("it is compressed, as torch never is")
    if len(records) < len(archive.infolist()):
        raise ValueError("a name stands in it twice")
    if sum(name.endswith("/data.pkl") for name in records) != 1:
        raise ValueError("it holds no data.pkl, or several")
    return records


def _check_sizes(file: Path, held: Any) -> None:
    """Refuse parameters that ask for more elements than are stored, as strides of 0 do."""
    excess = [
        f"{name} {sketch.excess}"
        for name, sketch in _model(held).items()
        if isinstance(sketch, TensorSketch) and sketch.excess
    ]
    if excess:
        raise InputError(str(file), [listed("too large", excess)])


def _names(module: str, name: str) -> tuple[str, str]:
    """The full name in Python 3, and as written: torch reads some of Python 2's, not all."""
    now = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    return ".".join(now), f"{module}.{name}"


def _tensors(file: Path, held: Any) -> dict[str, torch.Tensor]:
    """The state dict in what was read: under `model`, or all of it."""
    tensors = {n: t for n, t in _model(held).items() if isinstance(t, torch.Tensor)}
    if not tensors:
        raise _refusal(file, f"no parameters in it; {WOULD_DO}")
    if strange := _unnamed(held):
        raise _refusal(file, f"the name of a tensor is no text: {strange[0]!r:.60}")
    if wrong := [f"{name} {_lack(x)}" for name, x in tensors.items() if _lack(x)]:
        raise InputError(str(file), [listed("no values", wrong)])
    return tensors


def _lack(tensor: torch.Tensor) -> str:
    """Return why a tensor is no dense array of values in memory; empty for one that is."""
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_quantized:
        return f"{list(tensor.shape)} of {tensor.dtype}, not dense floating-point"
    if tensor.device.type != "cpu":
        return f"{list(tensor.shape)} without values, on the device {tensor.device.type}"
    count, stored = tensor.numel(), tensor.untyped_storage().nbytes() // tensor.element_size()
    if count > stored:
        return f"{list(tensor.shape)} asks for {count:,} elements, and {stored:,} are stored"
    return ""


def _model(held: Any) -> dict[str, Any]:
    """Return what is named in a checkpoint: under `model`, or all of it; nothing if it is none."""
    model = held.get("model", held) if isinstance(held, Mapping) else None
    named = model.items() if isinstance(model, Mapping) else ()
    return {name: value for name, value in named if isinstance(name, str)}


def _unnamed(held: Any) -> list[Any]:
    """Return the names of tensors that are no text."""
    model = held.get("model", held)
    return [n for n, x in model.items() if isinstance(x, torch.Tensor) and not isinstance(n, str)]


def _settings(held: Any) -> dict[str, Any]:
    """The plain values of the arguments or configuration objects, by name; the outermost first."""
    found: dict[str, Any] = {}
    seen: set[int] = set()  # the parts of a configuration know the whole
    queue = [(name, held.get(name)) for name in PLACES] if isinstance(held, Mapping) else []
    for name, value in queue:  # which grows below
        if isinstance(value, str | int | float | bool):
            found.setdefault(name, value)
        elif isinstance(value, Mapping | InertObject) and id(value) not in seen:
            seen.add(id(value))
            below = value if isinstance(value, Mapping) else vars(value)
            queue += [(name if key == "_val" else str(key), item) for key, item in below.items()]
    return found


def _config(folder: Path) -> Any:
    """Return what a folder's config.json holds; nothing without one."""
    file = folder / "config.json"
    if not file.exists():
        return None
    if not file.is_file() or file.stat().st_size > CONFIG:
        raise _refusal(file, f"no file of at most {CONFIG:,} bytes")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _refusal(file, f"not JSON: {error}") from error
    except OSError as error:
        raise _refusal(file, f"cannot be read: {error.strerror}") from error
    if not isinstance(config, dict):
        raise _refusal(file, "not a JSON object of settings")
    return config


def _unreadable(file: Path, error: Exception) -> InputError:
    text = str(error)
    if "blocked" in text and "GLOBAL" in text:
        name = text.partition("GLOBAL ")[2].split()[0]
        return _refusal(file, f"it names {name}, which weights have no use for; refused unread")
    reason = text.partition("WeightsUnpickler error: ")[2] or text or type(error).__name__
    first = (reason.strip().splitlines() or [type(error).__name__])[0][:200]
    return _refusal(file, f"not a whole checkpoint of torch ({first}); {WOULD_DO}")


def _refusal(path: Path, text: str) -> InputError:
    return InputError(str(path), [Problem(location="checkpoint", text=text)])
