"""A run folder that is kept on a remote file system that pyarrow supports, such as S3 or GCS.

It is apart because a run works on a local folder: its changed files, with the journal, are copied
in the background, so that a run outlives its cluster. A crash of the whole machine loses at most
the last interval.
"""

import hashlib
import re
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from pyarrow import fs

from ..data.encoding_cache import cache_folder
from ..errors import InputError, Problem, shorten
from ..run_folder import JOURNAL_NAME, refuse_running
from ..storage import (
    MARKER,
    component_problem,
    file_inside,
    folder_inside,
    free_name,
    inside,
    kind_of,
    open_regular,
    owner,
    replaced,
    run_named_in,
    write_atomically,
)

INTERVAL = 20.0  # seconds between copies
STREAMS = 8  # files that are fetched at the same time
BLOCK = 1 << 22  # bytes
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_ENCODED = re.compile(r"(?:[A-Za-z0-9/:@!$&'()*+,;=~._-]|%[0-9A-Fa-f]{2})*")
_SAFE = "/:@!$&'()*+,;=~"


class RemoteSync:
    """A copy of a local run folder at a URI, updated while a `with` block runs.

    Args:
        uri: of the run folder, for example s3://bucket/runs/rte.

    Attributes:
        folder: the local run folder, which belongs to this URI alone; it may not exist yet.
        exists: whether there are files at the URI.

    Raises:
        InputError: there is no such file system, or it does not answer; or the local folder belongs
            to another URI.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        try:
            self._system, self._root = fs.FileSystem.from_uri(parse_uri(self.uri))
            self.exists = self._holds_files()
        except (OSError, ValueError) as error:
            text = f"cannot reach '{uri}': {str(error).splitlines()[0]}"
            raise InputError("storage", [Problem(location="storage", text=text)]) from None
        digest = hashlib.sha256(self.uri.encode()).hexdigest()[:16]
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.uri.rpartition("/")[2])[:60].lstrip(".-")
        self.folder = cache_folder() / "runs" / f"{name or 'run'}-{digest}"
        self._record = self.folder.with_name(f"{self.folder.name}.uri")
        self._refuse_other_uri()
        self._copied: dict[str, tuple[int, int]] = {}
        self._stop, self._copying = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._copy_repeatedly, daemon=True)

    def fetch(self) -> Path:
        """Update the local run folder from the URI, and return it.

        The longer one of the two journals stays, and the other one is kept beside it. If the local
        journal is the longer one, the other local files stay as well.

        Raises:
            InputError: a run is running in the local folder; remote names are not valid paths; or
                the journals, or the runs, are different ones.
            OSError: a file cannot be read, or written locally.
        """
        if kind_of(self.folder) is not None:
            refuse_running(self.folder)
        names = self._remote_names()
        self._refuse_other_run()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._record, self.uri + "\n")
        keep_local = self._merge_journal() if JOURNAL_NAME in names else True
        others = [name for name in names if name != JOURNAL_NAME]
        with ThreadPoolExecutor(STREAMS) as pool:
            list(pool.map(lambda name: self._download(name, overwrite=not keep_local), others))
        return self.folder

    def __enter__(self) -> Self:
        self._refuse_other_run()
        write_atomically(self._record, self.uri + "\n")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.copy()

    def copy(self) -> None:
        """Copy what has changed since the last copy, and delete remotely what was removed locally.

        Nothing is done while there is no local journal: the folder was moved or removed, and the
        remote files may be all that is left.

        Raises:
            OSError: a file cannot be copied.
        """
        with self._copying:
            if kind_of(self.folder / JOURNAL_NAME) != "a file":
                return
            present = {p.relative_to(self.folder).as_posix(): p for p in _files(self.folder)}
            for name, path in present.items():
                status = path.stat()
                stamp = (status.st_size, status.st_mtime_ns)
                if self._copied.get(name) != stamp:
                    self._upload(path, name)
                    self._copied[name] = stamp
            self._delete(set(self._copied) - set(present))

    def withdraw(self) -> None:
        """Delete what was copied, as the run never began."""
        with self._copying:
            self._delete(set(self._copied))

    def _delete(self, names: set[str]) -> None:
        for name in names:
            self._system.delete_file(f"{self._root}/{name}")
            del self._copied[name]

    def _copy_repeatedly(self) -> None:
        while not self._stop.wait(INTERVAL):
            try:
                self.copy()
            except OSError:
                continue  # the next interval tries again; the last copy raises the error

    def _holds_files(self) -> bool:
        """Return whether there are files at the URI; empty folders do not count."""
        selector = fs.FileSelector(self._root, recursive=True, allow_not_found=True)
        kinds = (info.type for info in self._system.get_file_info(selector))
        return any(kind != fs.FileType.Directory for kind in kinds)

    def _upload(self, path: Path, name: str) -> None:
        """Copy a file; a reader sees the complete old one or the complete new one."""
        with open_regular(path) as source:
            if isinstance(self._system, fs.LocalFileSystem):  # follow no link, as in a run folder
                root, parts = Path(self._root), name.split("/")
                root.mkdir(parents=True, exist_ok=True)
                folder_inside(root, *parts[:-1])
                with replaced(file_inside(root, *parts)) as staged, staged.open("wb") as sink:
                    shutil.copyfileobj(source, sink, BLOCK)
                return
            target = f"{self._root}/{name}"  # object stores show complete files only
            self._system.create_dir(target.rpartition("/")[0], recursive=True)
            with self._system.open_output_stream(target) as sink:
                while block := source.read(BLOCK):
                    sink.write(block)

    def _remote_names(self) -> list[str]:
        """Return the names of the remote files, relative to the run folder.

        Raises:
            InputError: every name that would lead out of the run folder on this machine.
        """
        selector = fs.FileSelector(self._root, recursive=True, allow_not_found=True)
        infos = self._system.get_file_info(selector)
        paths = [info.path for info in infos if info.type == fs.FileType.File]
        names = [path[len(self._root.rstrip("/")) + 1 :] for path in paths]
        problems = [
            Problem(location=shorten(repr(name)), text=f"is not a path of a run folder: {problem}")
            for name in names
            for problem in filter(None, map(component_problem, name.split("/")))
        ]
        if problems:
            raise InputError(self.uri, problems)
        if isinstance(self._system, fs.LocalFileSystem):
            for name in names:
                inside(Path(self._root), *name.split("/"))
        return [name for name in names if not name.endswith(".writing")]

    def _merge_journal(self) -> bool:
        """Keep the longer journal, and the other one beside it.

        Returns:
            Whether the local journal stays.

        Raises:
            InputError: neither journal is the beginning of the other one.
        """
        path, remote = file_inside(self.folder, JOURNAL_NAME), self._content(JOURNAL_NAME)
        if kind_of(path) is None:
            write_atomically(path, remote)
            return False
        with open_regular(path) as file:
            local = file.read()
        local_lines, remote_lines = _complete_lines(local), _complete_lines(remote)
        if local == remote or not local_lines:
            write_atomically(path, remote)
            return False
        if local_lines.startswith(remote_lines):
            write_atomically(free_name(self.folder, "journal.remote-{}.jsonl"), remote)
            return True
        if not remote_lines.startswith(local_lines):
            text = (
                f"the local journal, {path}, and the remote one continue differently; nothing"
                " was changed: move the one away that is not needed, and try again"
            )
            raise InputError(self.uri, [Problem(location=JOURNAL_NAME, text=text)])
        write_atomically(free_name(self.folder, "journal.local-{}.jsonl"), local)
        write_atomically(path, remote)
        return False

    def _download(self, name: str, *, overwrite: bool) -> None:
        """Fetch a remote file.

        Args:
            name: relative to the run folder.
            overwrite: whether a local file of this name is replaced.
        """
        parts = name.split("/")
        path = file_inside(self.folder, *parts)
        if kind_of(path) is not None and not overwrite:
            return
        folder_inside(self.folder, *parts[:-1])
        with (
            replaced(path) as staged,
            staged.open("wb") as sink,
            self._system.open_input_stream(f"{self._root}/{name}") as source,
        ):
            while block := source.read(BLOCK):
                sink.write(block)

    def _content(self, name: str) -> bytes:
        with self._system.open_input_stream(f"{self._root}/{name}") as source:
            content: bytes = source.read()
            return content

    def _refuse_other_uri(self) -> None:
        """Raise InputError if the local folder is recorded as another URI's."""
        if kind_of(self._record) is None:
            return
        with open_regular(self._record) as file:
            known = file.read(1 << 16).decode("utf-8", "replace").strip()
        if known != self.uri:
            text = f"belongs to '{shorten(known)}'; RAYSEARCH_CACHE can name another folder"
            raise InputError(str(self.folder), [Problem(location="storage", text=text)])

    def _refuse_other_run(self) -> None:
        """Raise InputError if the local folder and the remote one belong to different runs."""
        local = owner(self.folder)
        if local is None or self._file(MARKER).type != fs.FileType.File:
            return
        remote = run_named_in(self._content(MARKER)[: 1 << 12])
        if remote is not None and remote != local:
            text = (
                f"holds run {remote[:12]}, but the local copy, {self.folder}, belongs to run"
                f" {local[:12]}: move that copy away to go on with the remote run"
            )
            raise InputError(self.uri, [Problem(location="storage", text=text)])

    def _file(self, name: str) -> fs.FileInfo:
        return self._system.get_file_info(f"{self._root}/{name}")


def is_remote(storage: str) -> bool:
    """Return whether a storage path is a URI."""
    return _URI.match(storage) is not None


def parse_uri(uri: str) -> str:
    """Return a URI in which every character of its path stands for itself.

    `?`, `#`, `%` and spaces are part of a path. Only the URI of a file that is already encoded, as
    by `Path.as_uri`, stays as it is.
    """
    match = _URI.match(uri)
    if match is None:
        return uri
    scheme, path = match.groups()
    if scheme.lower() == "file" and _ENCODED.fullmatch(path):
        return uri
    return f"{scheme}://{quote(path, safe=_SAFE)}"


def _complete_lines(journal: bytes) -> bytes:
    """Return a journal without a last line that is incomplete."""
    return journal[: journal.rfind(b"\n") + 1]


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder, without links and without files that are being written."""
    for path in sorted(folder.rglob("*")):
        parents = path.relative_to(folder).parents
        linked = any((folder / parent).is_symlink() for parent in parents)
        if path.suffix != ".writing" and kind_of(path) == "a file" and not linked:
            yield path
