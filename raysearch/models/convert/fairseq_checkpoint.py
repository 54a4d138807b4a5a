"""The reading of torch's checkpoints as tensors and plain settings.

Code that a file pickles is not run; its objects become inert. It is apart from `weights` because it
knows no model.
"""

import io
import json
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch._weights_only_unpickler import _get_allowed_globals
from torch.serialization import safe_globals

from ...data.readers.text_lines import GIT_LFS
from ...errors import InputError, Problem
from .inert_pickle import BYTES, Contents, InertObject, TensorSketch, scan_pickle
from .problem_texts import listed

WOULD_DO = "a checkpoint of fairseq (model.pt), or a folder with pytorch_model.bin, would do"
ARGUMENT_KEYS = ("args", "cfg")  # of the training's arguments, before and since fairseq 1.0
_INNER = ("_val", "_content", "_name")  # fields of configuration objects that have no name
MAX_CONFIG = 16 * 2**20  # bytes of a config.json; the largest published ones have some thousand
# The offset and the magic bytes of a tar archive, which old versions of torch wrote.
TAR_OFFSET, TAR_MAGIC = 257, b"ustar"
# The first bytes of files that are no checkpoints.
OTHER_FILES = {
    GIT_LFS: "a Git LFS pointer in place of the file; `git lfs pull` fetches it",
    b"\x1f\x8b": "a compressed archive; unpack it and name the checkpoint in it",
    b"BZh": "a compressed archive; unpack it and name the checkpoint in it",
    b"<!DOCTYPE": "a web page in place of the file; download it again",
    b"<html": "a web page in place of the file; download it again",
}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The content of a checkpoint.

    Attributes:
        path: the file.
        tensors: name -> tensor, on the CPU, as stored; memory-mapped if the file allows it.
        settings: the plain values among the arguments of training or in config.json.
        skipped_globals: the pickled classes and functions that were not run.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    settings: dict[str, Any]
    skipped_globals: tuple[str, ...]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint file, or a folder with pytorch_model.bin and config.json.

    Args:
        path: the file or the folder.

    Raises:
        InputError: it is no checkpoint, incomplete, or cannot be read without running its code.
    """
    file = path / "pytorch_model.bin" if path.is_dir() else path
    zipped = _check_file(path, file)
    contents = _scan(file, zipped)
    _check_sizes(file, contents.value)
    allowed = _get_allowed_globals()
    inert = {
        key: stand_in
        for key, stand_in in contents.stand_ins.items()
        if not allowed.keys() & set(_global_names(*key))
    }
    stand_ins: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (inert[key], name) for key in inert for name in _global_names(*key)
    ]
    try:
        with safe_globals(stand_ins):
            value = torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # foreign bytes: torch, zipfile and pickle have errors of their own
        raise _unreadable(file, error) from error
    tensors = _tensors(file, value)
    settings = _settings({"cfg": _read_config(path)} if path.is_dir() else value)
    skipped = sorted({_global_names(*key)[0] for key in inert})
    return Checkpoint(path=file, tensors=tensors, settings=settings, skipped_globals=tuple(skipped))


def _check_file(path: Path, file: Path) -> bool:
    """Return whether a file is a zip archive, as torch writes them.

    Args:
        path: what the user names.
        file: the file that it stands for.

    Raises:
        InputError: the file cannot be a checkpoint.
    """
    if not file.is_file():
        fault = "no pytorch_model.bin in this folder" if path.is_dir() else "no such file"
        fault = "no regular file" if file.exists() else fault  # a pipe, a device or a folder
        raise _refusal(path, f"{fault}; {WOULD_DO}")
    try:
        with file.open("rb") as stream:
            start = stream.read(512)
    except OSError as error:
        raise _refusal(file, f"cannot be read: {error.strerror}") from error
    for first_bytes, text in OTHER_FILES.items():
        if start.startswith(first_bytes):
            raise _refusal(file, text)
    if start[TAR_OFFSET:].startswith(TAR_MAGIC):
        raise _refusal(file, f"an archive of tar; {WOULD_DO}")
    return start.startswith(b"PK")


def _scan(file: Path, zipped: bool) -> Contents:
    """Return the content of a file's pickles.

    Raises:
        InputError: the file cannot be read, or has fewer bytes than its tensors take.
    """
    contents = Contents()
    records: dict[str, int] | None = None
    name = ""
    try:
        if zipped:
            with zipfile.ZipFile(file) as archive:
                records = _record_sizes(archive)
                name = next(name for name in records if name.endswith("/data.pkl"))
                if records[name] > BYTES:
                    raise ValueError(f"{name} has {records[name]:,} bytes besides the tensors")
                scan_pickle(io.BytesIO(archive.read(name)), contents)
        else:
            with file.open("rb") as stream:
                for _ in range(4):  # magic number, version, facts about the machine, the object
                    scan_pickle(stream, contents)
    except Exception as error:
        raise _unreadable(file, error) from error
    file_size = file.stat().st_size
    for key, storage in contents.storages.items():
        size = storage.count * storage.size
        folder = name.split("/")[0]
        stored = file_size if records is None else records.get(f"{folder}/data/{key}", 0)
        if size > stored:
            text = f"storage {key!r:.40} of {storage.count:,} elements has {stored:,} bytes"
            raise _refusal(file, f"not a whole checkpoint of torch ({text}); {WOULD_DO}")
    total = sum(storage.count * storage.size for storage in contents.storages.values())
    if total > file_size:
        text = f"its tensors take {total:,} bytes, and the file has {file_size:,}"
        raise _refusal(file, f"not a whole checkpoint of torch ({text}); {WOULD_DO}")
    return contents


def _record_sizes(archive: zipfile.ZipFile) -> dict[str, int]:
    """Return the size of every record of an archive of torch.

    Raises:
        ValueError: torch has not written it: torch does not compress, and writes no name twice.
    """
    sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise ValueError("it is compressed, as torch never is")
    if len(sizes) < len(archive.infolist()):
        raise ValueError("a name stands in it twice")
    if sum(name.endswith("/data.pkl") for name in sizes) != 1:
        raise ValueError("it holds no data.pkl, or several")
    return sizes


def _check_sizes(file: Path, value: Any) -> None:
    """Raise InputError for parameters with more elements than are stored, as by strides of 0."""
    excess = [
        f"{name} {sketch.excess}"
        for name, sketch in _state_dict(value).items()
        if isinstance(sketch, TensorSketch) and sketch.excess
    ]
    if excess:
        raise InputError(str(file), [listed("too large", excess)])


def _global_names(module: str, name: str) -> tuple[str, str]:
    """Return the full name of a class or function in Python 3, and its name in the file.

    torch maps some of Python 2's names to those of Python 3, not all.
    """
    mapped = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    return ".".join(mapped), f"{module}.{name}"


def _tensors(file: Path, value: Any) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint's state dict.

    Raises:
        InputError: there are none, a name is no text, or a tensor has no values.
    """
    tensors = {n: t for n, t in _state_dict(value).items() if isinstance(t, torch.Tensor)}
    if not tensors:
        raise _refusal(file, f"no parameters in it; {WOULD_DO}")
    if names := _names_without_text(value):
        raise _refusal(file, f"the name of a tensor is no text: {names[0]!r:.60}")
    faults = {name: _tensor_fault(tensor) for name, tensor in tensors.items()}
    if texts := [f"{name} {fault}" for name, fault in faults.items() if fault]:
        raise InputError(str(file), [listed("no values", texts)])
    return tensors


def _tensor_fault(tensor: torch.Tensor) -> str:
    """Return why a tensor is no dense array of values in memory; empty if it is one."""
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_quantized:
        return f"{list(tensor.shape)} of {tensor.dtype}, not dense floating-point"
    if tensor.device.type != "cpu":
        return f"{list(tensor.shape)} without values, on the device {tensor.device.type}"
    count, stored = tensor.numel(), tensor.untyped_storage().nbytes() // tensor.element_size()
    if count > stored:
        return f"{list(tensor.shape)} asks for {count:,} elements, and {stored:,} are stored"
    return ""


def _state_dict(value: Any) -> dict[str, Any]:
    """Return the named values of a checkpoint: those in `model`, or all; empty if it has none."""
    model = value.get("model", value) if isinstance(value, Mapping) else None
    items = model.items() if isinstance(model, Mapping) else ()
    return {name: item for name, item in items if isinstance(name, str)}


def _names_without_text(value: Any) -> list[Any]:
    """Return the names of tensors that are no text."""
    model = value.get("model", value)
    return [n for n, x in model.items() if isinstance(x, torch.Tensor) and not isinstance(n, str)]


def _settings(value: Any) -> dict[str, Any]:
    """Return the plain values of the arguments or configuration objects, by name.

    Of several values of one name, the outermost is taken. What a part of a configuration is called
    in it (`task._name` since fairseq 1.0) has the name of the part, as in older arguments (`task`).
    """
    settings: dict[str, Any] = {}
    visited: set[int] = set()  # ids; the parts of a configuration refer to the configuration
    queue = [(key, value.get(key)) for key in ARGUMENT_KEYS] if isinstance(value, Mapping) else []
    for name, item in queue:  # it grows below
        if isinstance(item, str | int | float | bool):
            settings.setdefault(name, item)
        elif isinstance(item, Mapping | InertObject) and id(item) not in visited:
            visited.add(id(item))
            parts = item if isinstance(item, Mapping) else vars(item)
            queue += [(name if key in _INNER else str(key), part) for key, part in parts.items()]
    return settings


def _read_config(folder: Path) -> dict[str, Any] | None:
    """Return the content of a folder's config.json; None if there is no such file."""
    file = folder / "config.json"
    if not file.exists():
        return None
    if not file.is_file() or file.stat().st_size > MAX_CONFIG:
        raise _refusal(file, f"no file of at most {MAX_CONFIG:,} bytes")
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
    """Return the error of a file that torch or the scan cannot read."""
    text = str(error)
    if "blocked" in text and "GLOBAL" in text:
        name = text.partition("GLOBAL ")[2].split()[0]
        return _refusal(file, f"it names {name}, which weights have no use for; refused unread")
    reason = text.partition("WeightsUnpickler error: ")[2] or text or type(error).__name__
    first = (reason.strip().splitlines() or [type(error).__name__])[0][:200]
    return _refusal(file, f"not a whole checkpoint of torch ({first}); {WOULD_DO}")


def _refusal(path: Path, text: str) -> InputError:
    return InputError(str(path), [Problem(location="checkpoint", text=text)])
