"""Run folders at a URI: how one is opened, and a local copy of one for the commands that read.

It is apart from `search.remote_sync`, which keeps the remote copy of a run that is going on, so
that tables and predictions are made without Ray.
"""

import json
import re
import shlex
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

from pyarrow import fs

from ..errors import InputError, Problem, first_line, shorten
from ..storage import (
    component_problem,
    existing_part,
    file_inside,
    folder_inside,
    inside,
    kind_of,
    open_regular,
    parse_json,
    remove_file,
    replaced,
    write_atomically,
)
from ..storage.uris import URI, folder_of, is_remote, normalize, split_query
from ..study import Study
from .opening import SEEDS

STREAMS = 8  # files that are fetched at the same time
BLOCK = 1 << 22  # bytes
WEIGHTS = (".safetensors", ".bin", ".pt")  # ends of files that tables do not read
UNFINISHED = {"checkpoints", "weights"}  # folders that only a running search reads
_ENCODED = re.compile(r"(?:[A-Za-z0-9/:@!$&'()*+,;=~._-]|%[0-9A-Fa-f]{2})*")
_SAFE = "/:@!$&'()*+,;=~"
_S3_OPTIONS = ("endpoint_override", "region", "scheme")
_USER = re.compile(r"[^:/]+://[^/]*:[^/]*@")  # the begin of a URI with a password
_ENVIRONMENT = "credentials are read from the environment"
_HINTS = (  # in a store's error -> what would do
    ("SSL connect", "a server without TLS needs the option scheme=http"),
    ("Could not connect", "start the server, or correct endpoint_override"),
    ("resolve host", "without a network, connect first; else correct endpoint_override or region"),
    ("credentials", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"),
    ("ACCESS_DENIED", "check the credentials of the environment and what they allow"),
    ("INVALID_ACCESS_KEY_ID", "check AWS_ACCESS_KEY_ID"),
    ("INVALID_CLIENT_TOKEN_ID", "check AWS_ACCESS_KEY_ID"),
    ("SIGNATURE_DOES_NOT_MATCH", "check AWS_SECRET_ACCESS_KEY"),
    ("NO_SUCH_BUCKET", "make the bucket first, or name another"),
)
PROBE = ".raysearch-probe"
_SILENCE = 3.0  # seconds without an answer after which a command says what it waits for
_LARGE = 1 << 24  # bytes, from which a command says what it fetches
_CONNECT_TIMEOUT, _REQUEST_TIMEOUT, _ATTEMPTS = 3.0, 20.0, 3  # seconds, seconds, number
_RETRY_LIMIT = "retry_limit_seconds"  # of Google's stores; pyarrow's is a quarter of an hour


def parse_uri(uri: str) -> str:
    """Return a URI in which every character of its path stands for itself.

    `#`, `%` and spaces are part of a path, and of a file's path `?` too; in other URIs it begins
    the options of the file system. Only the URI of a file that is already encoded, as by
    `Path.as_uri`, stays as it is.
    """
    match = URI.match(uri)
    if match is None:
        return uri
    scheme, path = match.groups()
    if scheme.lower() == "file" and _ENCODED.fullmatch(path):
        return uri
    path, query = split_query(uri)
    return f"{scheme}://{quote(path.partition('://')[2], safe=_SAFE)}{query}"


def open_uri(uri: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a URI, and the path of the URI in it.

    Raises:
        InputError: there is no such file system, or an option is unknown.
        OSError: it does not answer.
    """
    path, query = split_query(uri)
    if not path.lower().startswith("s3://"):
        if not path.lower().startswith("file:") and _USER.match(path):
            raise _refusal(f"a password stands in the URI; leave it out, as {_ENVIRONMENT}")
        limit = ""
        if path.lower().startswith(("gs://", "gcs://")) and _RETRY_LIMIT not in query:
            limit = f"{'&' if query else '?'}{_RETRY_LIMIT}=20"
        system, root = fs.FileSystem.from_uri(parse_uri(uri) + limit)
        return system, root
    options: dict[str, Any] = dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))
    if unknown := [name for name in options if name not in _S3_OPTIONS]:
        text = (
            f"unknown option '{shorten(unknown[0])}' of an s3 URI: {', '.join(_S3_OPTIONS)} are"
            f" known, and {_ENVIRONMENT}"
        )
        raise _refusal(text)
    root = path.partition("://")[2].rstrip("/")
    bucket = root.partition("/")[0]
    if ":" in bucket or "@" in bucket:  # in no name of a bucket; it is not printed
        raise _refusal(f"a key stands in the s3 URI; leave it out, as {_ENVIRONMENT}")
    if not bucket:
        raise _refusal("the s3 URI names no bucket; s3://BUCKET/FOLDER would do")
    if not options.keys() & {"endpoint_override", "region"}:
        with suppress(OSError):  # reading then names what is wrong
            options["region"] = fs.resolve_s3_region(bucket)
    system = fs.S3FileSystem(
        **options,
        allow_delayed_open=True,  # a small file is one request
        connect_timeout=_CONNECT_TIMEOUT,
        request_timeout=_REQUEST_TIMEOUT,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
    )
    return system, root


def _refusal(text: str) -> InputError:
    return InputError("storage", [Problem(location="storage", text=text)])


def unreachable(uri: str, error: Exception) -> InputError:
    """Return the error for a URI that does not answer."""
    return _refusal(f"cannot reach '{uri}': {_reason(error)}")


def _reason(error: Exception) -> str:
    """Return in one line why a store refused, and what would do if that is known."""
    reason = first_line(error)[:300]
    hints = [hint for part, hint in _HINTS if part in str(error)]
    return f"{reason}; {hints[0]}" if hints else reason


def refuse_missing_bucket(system: fs.FileSystem, root: str) -> None:
    """Raise InputError if the bucket of an S3 path does not exist."""
    bucket = root.partition("/")[0]
    if not isinstance(system, fs.S3FileSystem):
        return
    if system.get_file_info(bucket).type == fs.FileType.NotFound:
        raise _refusal(f"there is no bucket '{bucket}'; make it first, or name another")


def write_problems(system: fs.FileSystem, root: str, uri: str) -> list[Problem]:
    """Return the problem if no file can be written at a URI; a written one is deleted."""
    path = f"{root}/{PROBE}"
    try:
        if isinstance(system, fs.LocalFileSystem):
            _write_beside(Path(root))
            return []
        with system.open_output_stream(path) as sink:
            sink.write(b"raysearch\n")
        system.delete_file(path)
    except OSError as error:
        return [Problem(location="storage", text=f"cannot write to '{uri}': {_reason(error)}")]
    return []


def _write_beside(folder: Path) -> None:
    """Write a file where a folder would be made, which is not: nothing may begin there.

    Raises:
        OSError: no file can be written there.
    """
    place = existing_part(folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            return
    except OSError as error:
        raise OSError(f"{place}: {error.strerror}") from None  # the name of the file says nothing


def check_storage(uri: str) -> None:
    """Refuse a URI at which no run can be kept; a path is not looked at.

    Commands call it before they import Ray and torch, which takes many seconds.

    Raises:
        InputError: the store does not answer, there is no such bucket, or no file can be written.
    """
    if not is_remote(uri):
        return
    try:
        system, root = open_uri(uri)
        refuse_missing_bucket(system, root)
        problems = write_problems(system, root, uri)
    except (OSError, ValueError) as error:
        raise unreachable(uri, error) from None
    if problems:
        raise InputError("storage", problems)


def uri_record(folder: Path) -> Path:
    """Return the file beside a local run folder that records its URI."""
    return folder.with_name(f"{folder.name}.uri")


def recorded_uri(folder: Path) -> str | None:
    """Return the URI that a local run folder is a copy of; None if it is no copy."""
    record = uri_record(folder)
    if kind_of(record) is None:
        return None
    with open_regular(record) as file:
        return file.read(1 << 16).decode("utf-8", "replace").strip()


def resume_command(place: str | Path) -> str:
    """Return the command that goes on with a run, to be pasted into a shell.

    Args:
        place: a run folder, or a URI. For the local copy of a URI the command names the URI.
    """
    uri = recorded_uri(place) if isinstance(place, Path) else None
    return f"raysearch resume {shlex.quote(uri or str(place))}"


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
    return {name: info for name, info in files.items() if not name.endswith((".writing", PROBE))}


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
    source: str | Path,
    *,
    weights: bool = False,
    seeds: bool = False,
    note: Callable[[str], None] | None = None,
) -> Path:
    """Return a local folder or file with what is at a URI; a path stays as it is.

    Nothing is ever written to the URI. A file that has not changed is not fetched again.

    Args:
        source: a path, or the URI of a run folder, of a folder in it, or of a file.
        weights: whether weights are fetched too.
        seeds: whether those of the winners' further seeds are, which only an ensemble reads.
        note: called with lines that say where the copy is, and what takes long.

    Raises:
        InputError: the URI cannot be reached, or nothing is there.
    """
    if not is_remote(str(source)):
        return Path(source)
    uri, say = normalize(str(source)), note or (lambda line: None)
    skipped = UNFINISHED if seeds else UNFINISHED | {SEEDS}
    try:
        with _waiting(f"{uri}: waiting for the store to answer", say):
            system, root = open_uri(uri)
            info = system.get_file_info(root)
            is_file = info.type == fs.FileType.File
            files = {Path(root).name: info} if is_file else files_below(system, root, uri)
        wanted = [
            name
            for name in files
            if (weights or not name.endswith(WEIGHTS)) and not skipped & set(name.split("/")[:-1])
        ]
        if not files:
            refuse_missing_bucket(system, root)
            raise InputError(uri, [Problem(location="storage", text="nothing is there")])
        folder = folder_of(uri, "copies")
        top = root.rpartition("/")[0] if is_file else root
        _fetch_changed(system, top, folder, files, wanted, lambda line: say(f"{uri}: {line}"))
    except (OSError, ValueError) as error:
        raise unreachable(uri, error) from None
    path = folder / Path(root).name if is_file else folder
    say(f"{uri}: read from its local copy {path}")
    return path


@contextmanager
def _waiting(line: str, note: Callable[[str], None]) -> Iterator[None]:
    """Call `note` with a line if a block takes long."""
    timer = threading.Timer(_SILENCE, note, [line])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _fetch_changed(
    system: fs.FileSystem,
    root: str,
    folder: Path,
    files: Mapping[str, fs.FileInfo],
    wanted: Collection[str],
    note: Callable[[str], None],
) -> None:
    """Fetch files that are new or have changed, and remove fetched ones that are gone.

    Args:
        system: the file system.
        root: the remote folder.
        folder: the local one.
        files: all remote files, by their paths relative to `root`.
        wanted: the names of those to fetch; others that were fetched before stay.
        note: called with a line if much is to be fetched.
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
    size = sum(files[name].size or 0 for name in missing)
    if size >= _LARGE:
        note(f"fetching {len(missing):,} files, {size / 1e6:,.0f} MB")
    with ThreadPoolExecutor(STREAMS) as pool:
        list(pool.map(lambda name: download(system, f"{root}/{name}", folder, name), missing))
    fetched = {name: stamp for name, stamp in stamps.items() if name in present or name in missing}
    write_atomically(record, json.dumps(fetched))


def fetch_models(study: Study, note: Callable[[str], None] | None = None) -> None:
    """Fetch models and teachers of a study that are named by URIs: they are folders here then.

    Args:
        study: the study.
        note: see `local_copy`.

    Raises:
        InputError: a URI cannot be reached, or nothing is there.
    """
    for uri in study.remote_models:
        local_copy(uri, weights=True, note=note)
