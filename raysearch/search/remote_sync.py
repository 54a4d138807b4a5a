"""A run folder kept on a remote file system: whatever pyarrow reaches, S3 and GCS among them.

The run works on a local folder; its changed files are copied after it, the journal among them, so
that a run outlives its cluster. What a crash of the whole machine can lose is the last interval."""

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

EVERY = 20.0  # seconds between copies
STREAMS = 8  # files that are fetched at a time
BLOCK = 1 << 22  # bytes
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_ENCODED = re.compile(r"(?:[A-Za-z0-9/:@!$&'()*+,;=~._-]|%[0-9A-Fa-f]{2})*")
_SAFE = "/:@!$&'()*+,;=~"


class RemoteSync:
    """Copies a local run folder to a remote one while it changes.

    Args:
        uri: of the run folder, for example s3://bucket/runs/rte.

    Attributes:
        folder: the local run folder, one of this URI alone; it may be absent.
        exists: whether a run is there remotely.

    Raises:
        InputError: no file system of that kind, or it does not answer; or the local folder is of
            another URI.
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
        last = re.sub(r"[^A-Za-z0-9._-]+", "-", self.uri.rpartition("/")[2])[:60].lstrip(".-")
        self.folder = cache_folder() / "runs" / f"{last or 'run'}-{digest}"
        self._record = self.folder.with_name(f"{self.folder.name}.uri")
        self._refuse_other_uri()
        self._copied: dict[str, tuple[int, int]] = {}
        self._stop, self._copying = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def fetch(self) -> Path:
        """Bring the run folder on this machine up to what is there remotely; gives it.

        The longer of two journals stays, the other one is kept beside it. Where it is the local
        one, so are the other files that are here.

        Raises:
            InputError: a run goes on in the local folder; names that are no paths; the journals, or
                the runs, are two different ones.
            OSError: it cannot be read, or written here.
        """
        if kind_of(self.folder) is not None:
            refuse_running(self.folder)
        names = self._listed()
        self._refuse_other_run()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._record, self.uri + "\n")
        mine = self._merge_journal() if JOURNAL_NAME in names else True
        others = [name for name in names if name != JOURNAL_NAME]
        with ThreadPoolExecutor(STREAMS) as pool:
            list(pool.map(lambda name: self._download(name, over=not mine), others))
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
        """Copy what has changed since the last copy; what is gone here goes there.

        Nothing is done while there is no journal here: the folder was moved or removed, and what
        lies remotely may be all that is left.
        """
        with self._copying:
            if kind_of(self.folder / JOURNAL_NAME) != "a file":
                return
            present = {p.relative_to(self.folder).as_posix(): p for p in _files(self.folder)}
            for name, path in present.items():
                facts = path.stat()
                stamp = (facts.st_size, facts.st_mtime_ns)
                if self._copied.get(name) != stamp:
                    self._upload(path, name)
                    self._copied[name] = stamp
            self._delete(set(self._copied) - set(present))

    def withdraw(self) -> None:
        """Take away what was copied: the run never began."""
        with self._copying:
            self._delete(set(self._copied))

    def _delete(self, names: set[str]) -> None:
        for name in names:
            self._system.delete_file(f"{self._root}/{name}")
            del self._copied[name]

    def _keep(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                self.copy()
            except OSError:
                continue  # the next interval tries again, the last copy says what is wrong

    def _holds_files(self) -> bool:
        """Return whether anything lies at the URI; an empty folder is nothing."""
        selector = fs.FileSelector(self._root, recursive=True, allow_not_found=True)
        kinds = (info.type for info in self._system.get_file_info(selector))
        return any(kind != fs.FileType.Directory for kind in kinds)

    def _upload(self, path: Path, name: str) -> None:
        """Copy a file; a reader sees the old one or the new one, whole."""
        with open_regular(path) as source:
            if isinstance(self._system, fs.LocalFileSystem):  # as in a run folder: through no link
                root, parts = Path(self._root), name.split("/")
                root.mkdir(parents=True, exist_ok=True)
                folder_inside(root, *parts[:-1])
                with replaced(file_inside(root, *parts)) as staged, staged.open("wb") as sink:
                    shutil.copyfileobj(source, sink, BLOCK)
                return
            target = f"{self._root}/{name}"  # object stores show a file once it is whole
            self._system.create_dir(target.rpartition("/")[0], recursive=True)
            with self._system.open_output_stream(target) as sink:
                while block := source.read(BLOCK):
                    sink.write(block)

    def _listed(self) -> list[str]:
        """Return the names of the remote files, relative to the run folder.

        Raises:
            InputError: every name that would lead elsewhere on this machine.
        """
        selector = fs.FileSelector(self._root, recursive=True, allow_not_found=True)
        found = self._system.get_file_info(selector)
        paths = [info.path for info in found if info.type == fs.FileType.File]
        names = [path[len(self._root.rstrip("/")) + 1 :] for path in paths]
        problems = [
            Problem(location=shorten(repr(name)), text=f"is no path of a run folder: {problem}")
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
        """Keep the longer journal, and the other one beside it; whether the local one stays."""
        path, theirs = file_inside(self.folder, JOURNAL_NAME), self._content(JOURNAL_NAME)
        if kind_of(path) is None:
            write_atomically(path, theirs)
            return False
        with open_regular(path) as file:
            ours = file.readall()
        if ours == theirs or not _whole(ours):
            write_atomically(path, theirs)
            return False
        if _whole(ours).startswith(_whole(theirs)):
            write_atomically(free_name(self.folder, "journal.remote-{}.jsonl"), theirs)
            return True
        if not _whole(theirs).startswith(_whole(ours)):
            text = (
                f"the journal here, {path}, and the remote one went on in different ways; nothing"
                " was changed: move away the one that is not wanted, and try again"
            )
            raise InputError(self.uri, [Problem(location=JOURNAL_NAME, text=text)])
        write_atomically(free_name(self.folder, "journal.local-{}.jsonl"), ours)
        write_atomically(path, theirs)
        return False

    def _download(self, name: str, *, over: bool) -> None:
        """Fetch a file.

        Args:
            over: in the place of one that is here.
        """
        parts = name.split("/")
        path = file_inside(self.folder, *parts)
        if kind_of(path) is not None and not over:
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
            return source.read()

    def _refuse_other_uri(self) -> None:
        """Raise InputError where the local folder is recorded as another URI's."""
        if kind_of(self._record) is None:
            return
        with open_regular(self._record) as file:
            known = file.read(1 << 16).decode("utf-8", "replace").strip()
        if known != self.uri:
            text = f"is of '{shorten(known)}'; RAYSEARCH_CACHE can name another folder"
            raise InputError(str(self.folder), [Problem(location="storage", text=text)])

    def _refuse_other_run(self) -> None:
        """Raise InputError where the local folder and the remote one are of two runs."""
        mine = owner(self.folder)
        if mine is None or self._file(MARKER).type != fs.FileType.File:
            return
        if (theirs := run_named_in(self._content(MARKER)[: 1 << 12])) not in (None, mine):
            text = (
                f"holds run {theirs[:12]}, the copy on this machine, {self.folder}, is of run"
                f" {mine[:12]}: move that copy away to go on with the remote one"
            )
            raise InputError(self.uri, [Problem(location="storage", text=text)])

    def _file(self, name: str) -> fs.FileInfo:
        return self._system.get_file_info(f"{self._root}/{name}")


def is_remote(storage: str) -> bool:
    """Whether a storage path is a URI."""
    return _URI.match(storage) is not None


def parse_uri(uri: str) -> str:
    """Return a URI in which every character of its path stands for itself.

    `?`, `#`, `%` and spaces are part of a path. Only a file's URI that is properly encoded, as
    `Path.as_uri` gives it, stays as it is.
    """
    match = _URI.match(uri)
    if match is None:
        return uri
    scheme, path = match.groups()
    if scheme.lower() == "file" and _ENCODED.fullmatch(path):
        return uri
    return f"{scheme}://{quote(path, safe=_SAFE)}"


def _whole(content: bytes) -> bytes:
    """The whole lines of a journal."""
    return content[: content.rfind(b"\n") + 1]


def _files(folder: Path) -> Iterator[Path]:
    """Whole files: not links, and not those that are being written."""
    for path in sorted(folder.rglob("*")):
        parents = path.relative_to(folder).parents
        linked = any((folder / parent).is_symlink() for parent in parents)
        if path.suffix != ".writing" and kind_of(path) == "a file" and not linked:
            yield path
