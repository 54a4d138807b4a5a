"""Run folders at a URI: how one is opened, and a local copy of one for the commands that read.

It is apart from `search.remote_sync`, which keeps the remote copy of a run that is going on, so
that tables and predictions are made without Ray.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

from pyarrow import fs

from ..data.encoding_cache import cache_folder
from ..errors import InputError, Problem, first_line, shorten
from ..storage import (
    component_problem,
    file_inside,
    folder_inside,
    inside,
    kind_of,
    parse_json,
    remove_file,
    replaced,
    write_atomically,
)

STREAMS = 8  # files that are fetched at the same time
BLOCK = 1 << 22  # bytes
WEIGHTS = (".safetensors", ".bin", ".pt")  # ends of files that tables do not read
UNFINISHED = {"checkpoints", "weights"}  # folders that only a running search reads
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_ENCODED = re.compile(r"(?:[A-Za-z0-9/:@!$&'()*+,;=~._-]|%[0-9A-Fa-f]{2})*")
_SAFE = "/:@!$&'()*+,;=~"
_S3_OPTIONS = ("endpoint_override", "region", "scheme")
_CONNECT_TIMEOUT, _REQUEST_TIMEOUT, _ATTEMPTS = 3.0, 20.0, 3  # seconds, seconds, number


def is_remote(storage: str) -> bool:
    """Return whether a storage path is a URI."""
    return _URI.match(storage) is not None


def join(storage: str, name: str) -> str:
    """Return the path or URI of a folder in a storage; options of a URI stay at its end."""
    path, query = _split_query(storage)
    return f"{path.rstrip('/') if query else path}/{name}{query}"


def normalize(uri: str) -> str:
    """Return a URI without slashes at the end of its path."""
    path, query = _split_query(uri)
    return path.rstrip("/") + query


def parse_uri(uri: str) -> str:
    """Return a URI in which every character of its path stands for itself.

    `#`, `%` and spaces are part of a path, and of a file's path `?` too; in other URIs it begins
    the options of the file system. Only the URI of a file that is already encoded, as by
    `Path.as_uri`, stays as it is.
    """
    match = _URI.match(uri)
    if match is None:
        return uri
    scheme, path = match.groups()
    if scheme.lower() == "file" and _ENCODED.fullmatch(path):
        return uri
    path, query = _split_query(uri)
    return f"{scheme}://{quote(path.partition('://')[2], safe=_SAFE)}{query}"


def open_uri(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a URI, and the path of the URI in it.

    Raises:
        InputError: there is no such file system, or an option is unknown.
        OSError: it does not answer.
    """
    path, query = _split_query(uri)
    if not path.lower().startswith("s3://"):
        system, root = fs.FileSystem.from_uri(parse_uri(uri))
        return system, root
    options: dict[str, Any] = dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))
    if unknown := [name for name in options if name not in _S3_OPTIONS]:
        text = (
            f"unknown option '{shorten(unknown[0])}' of an s3 URI: {', '.join(_S3_OPTIONS)} are"
            " known, and credentials are read from the environment"
        )
        raise InputError("storage", [Problem(location="storage", text=text)])
    root = path.partition("://")[2].strip("/")
    if not options.keys() & {"endpoint_override", "region"}:
        with suppress(OSError):  # reading then names what is wrong
            options["region"] = fs.resolve_s3_region(root.partition("/")[0])
    system = fs.S3FileSystem(
        **options,
        connect_timeout=_CONNECT_TIMEOUT,
        request_timeout=_REQUEST_TIMEOUT,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
    )
    return system, root


def unreachable(uri: str, error: Exception) -> InputError:
    """Return the error for a URI that does not answer."""
    text = f"cannot reach '{uri}': {first_line(error)[:300]}"
    return InputError("storage", [Problem(location="storage", text=text)])


def folder_of(uri: str, kind: str) -> Path:
    """Return the folder of the cache that belongs to a URI alone.

    Args:
        uri: the whole URI; its options count too.
        kind: the folder of the cache that holds it.
    """
    digest = hashlib.sha256(uri.encode()).hexdigest()[:16]
    last = _split_query(uri)[0].rpartition("/")[2]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", last)[:60].lstrip(".-")
    return cache_folder() / kind / f"{name or 'run'}-{digest}"


def files_below(system: fs.FileSystem, root: str, uri: str) -> dict[str, fs.FileInfo]:
    """Return the complete files below a remote folder: path relative to it -> file.

    Raises:
        InputError: every name that would lead out of the folder on this machine.
        OSError: it does not answer.
    """
    selector = fs.FileSelector(root, recursive=True, allow_not_found=True)
    infos = [i for i in system.get_file_info(selector) if i.type == fs.FileType.File]
    files = {info.path[len(root.rstrip("/")) + 1 :]: info for info in infos}
    problems = [
        Problem(location=shorten(repr(name)), text=f"is not a path of a run folder: {problem}")
        for name in files
        for problem in filter(None, map(component_problem, name.split("/")))
    ]
    if problems:
        raise InputError(uri, problems)
    if isinstance(system, fs.LocalFileSystem):
        for name in files:
            inside(Path(root), *name.split("/"))
    return {name: info for name, info in files.items() if not name.endswith(".writing")}


def download(system: fs.FileSystem, source: str, folder: Path, name: str) -> None:
    """Fetch a remote file.

    Args:
        system: the file system.
        source: the path of the file in it.
        folder: the local folder.
        name: of the local file, relative to `folder`.
    """
    parts = name.split("/")
    path = file_inside(folder, *parts)
    folder_inside(folder, *parts[:-1])
    with (
        replaced(path) as staged,
        staged.open("wb") as sink,
        system.open_input_stream(source) as stream,
    ):
        while block := stream.read(BLOCK):
            sink.write(block)


def local_copy(
    source: str | Path, *, weights: bool = False, note: Callable[[str], None] | None = None
) -> Path:
    """Return a local folder or file with what is at a URI; a path stays as it is.

    Nothing is ever written to the URI. A file that has not changed is not fetched again.

    Args:
        source: a path, or the URI of a run folder, of a folder in it, or of a file.
        weights: whether weights are fetched too.
        note: called with a line that says where the copy is.

    Raises:
        InputError: the URI cannot be reached, or nothing is there.
    """
    if not is_remote(str(source)):
        return Path(source)
    uri = normalize(str(source))
    try:
        system, root = open_uri(uri)
        info = system.get_file_info(root)
        is_file = info.type == fs.FileType.File
        files = {Path(root).name: info} if is_file else files_below(system, root, uri)
        wanted = [
            name
            for name in files
            if (weights or not name.endswith(WEIGHTS)) and not UNFINISHED & set(name.split("/"))
        ]
        if not files:
            raise InputError(uri, [Problem(location="storage", text="nothing is there")])
        folder = folder_of(uri, "copies")
        top = root.rpartition("/")[0] if is_file else root
        _fetch_changed(system, top, folder, files, wanted)
    except (OSError, ValueError) as error:
        raise unreachable(uri, error) from None
    path = folder / Path(root).name if is_file else folder
    if note is not None:
        note(f"{uri}: read from the local copy {path}, where files are written too")
    return path


def _fetch_changed(
    system: fs.FileSystem,
    root: str,
    folder: Path,
    files: Mapping[str, fs.FileInfo],
    wanted: Collection[str],
) -> None:
    """Fetch files that are new or have changed, and remove fetched ones that are gone.

    Args:
        system: the file system.
        root: the remote folder.
        folder: the local one.
        files: all remote files, by their paths relative to `root`.
        wanted: the names of those to fetch; others that were fetched before stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = folder.with_name(f"{folder.name}.fetched.json")
    known: Any = {}
    if kind_of(record) is not None:
        with suppress(ValueError):
            known = parse_json(record.read_bytes())
    known = known if isinstance(known, dict) else {}
    stamps = {name: [info.size, info.mtime_ns or 0] for name, info in files.items()}
    present = {
        name
        for name, stamp in stamps.items()
        if known.get(name) == stamp and kind_of(file_inside(folder, *name.split("/"))) is not None
    }
    for name in known.keys() - files.keys():
        remove_file(file_inside(folder, *name.split("/")))
    missing = [name for name in wanted if name not in present]
    with ThreadPoolExecutor(STREAMS) as pool:
        list(pool.map(lambda name: download(system, f"{root}/{name}", folder, name), missing))
    fetched = {name: stamp for name, stamp in stamps.items() if name in present or name in missing}
    write_atomically(record, json.dumps(fetched))


def _split_query(uri: str) -> tuple[str, str]:
    """Split a URI before the `?` of its options; of a path or a file's URI all is path."""
    match = _URI.match(uri)
    if match is None or match[1].lower() == "file":
        return uri, ""
    path, mark, query = uri.partition("?")
    return path, mark + query
