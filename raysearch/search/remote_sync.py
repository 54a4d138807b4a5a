"""A run folder that is kept on a remote file system that pyarrow supports, such as S3 or GCS.

It is apart because a run works on a local folder: its changed files, with the journal, are copied
in the background, so that a run outlives its cluster. Small files follow the journal within two
seconds and weights come after them, in a thread of their own.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pyarrow import fs

from ..errors import InputError, Problem, first_line, shorten
from ..run_folder import JOURNAL_NAME, refuse_running
from ..run_folder.remote_files import (
    BLOCK,
    PROBE,
    STREAMS,
    download,
    files_below,
    open_uri,
    recorded_uri,
    refuse_missing_bucket,
    resume_command,
    unreachable,
    uri_record,
    write_problems,
)
from ..storage import (
    MARKER,
    file_inside,
    folder_inside,
    free_name,
    kind_of,
    open_regular,
    owner,
    replaced,
    run_named_in,
    write_atomically,
)
from ..storage.uris import folder_of, normalize
from .copied_files import CONFIG, files_in, is_large, stamp_of, upload_order

INTERVAL = 20.0  # seconds between copies of files that change without the journal
POLL = 0.5  # seconds between looks at the journal
JOURNAL_RATE = 4 << 20  # bytes/s that copies of the journal take at most: it is copied whole
WALK_SHARE = 0.1  # of a core, which looking for changed files takes at most
PATIENCE = 60.0  # seconds for which a store is waited for at the end


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
        self.uri = normalize(uri)
        try:
            self._system, self._root = open_uri(self.uri)
            refuse_missing_bucket(self._system, self._root)
            self.exists = self._holds_files()
        except (OSError, ValueError) as error:
            raise unreachable(uri, error) from None
        self.folder = folder_of(self.uri, "runs")
        self._record = uri_record(self.folder)
        self._refuse_other_uri()
        self.note: Callable[[str], None] = lambda line: None
        # Name -> stamp of the local file that was copied; None of one that was there before.
        self._copied: dict[str, tuple[int, int] | None] = {}
        self._stop = threading.Event()
        self._failing: set[Callable[[], None]] = set()  # copies whose last attempt failed
        self._journal, self._small, self._large, self._noting = (threading.Lock() for _ in range(4))
        self._threads = [
            threading.Thread(target=target, daemon=True)
            for target in (self._follow_journal, self._follow_files, self._copy_repeatedly)
        ]

    def problems(self) -> list[Problem]:
        """Return the problem if no file can be written at the URI; a written one is deleted."""
        return write_problems(self._system, self._root, self.uri)

    def noting(self, watch: Callable[..., Any] | None) -> Callable[..., Any] | None:
        """Return `watch`, whose display then also shows when the store is away."""
        if watch is None:
            return None

        def create(*args: Any) -> Any:
            display = watch(*args)
            self.note = display.note
            return display

        return create

    def fetch(self) -> Path:
        """Update the local run folder from the URI, and return it.

        The longer one of the two journals stays, and the other one is kept beside it. Unless the
        remote journal is the longer one, the other local files stay as well.

        Raises:
            InputError: a run is running in the local folder; remote names are not valid paths; no
                file can be written; or the journals, or the runs, are different ones.
            OSError: a file cannot be read, or written locally.
        """
        if kind_of(self.folder) is not None:
            refuse_running(self.folder)
        names = files_below(self._system, self._root, self.uri)
        if not names and kind_of(self.folder) is None:
            raise InputError(self.uri, [Problem(location="storage", text="nothing is there")])
        if problems := self.problems():
            raise InputError("storage", problems)
        self._refuse_other_run()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._record, self.uri + "\n")
        remote = self._merge_journal() if JOURNAL_NAME in names else None
        wanted = [
            name
            for name in names
            if name != JOURNAL_NAME
            and (remote is not None or kind_of(file_inside(self.folder, *name.split("/"))) is None)
        ]
        with ThreadPoolExecutor(STREAMS) as pool:
            list(pool.map(self._download, wanted))
        if remote is not None:  # last: with a journal here, the local files are taken as complete
            write_atomically(file_inside(self.folder, JOURNAL_NAME), remote)
        # All of these are here now: of what is missing later, the remote file is deleted.
        self._copied = dict.fromkeys(names)
        self._copied |= {name: stamp_of(self.folder / name) for name in wanted}
        return self.folder

    def __enter__(self) -> Self:
        self._refuse_other_run()
        write_atomically(self._record, self.uri + "\n")
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._failing:
            self._failing = {self.copy}  # which sends what the others could not
        end = time.monotonic() + PATIENCE
        while not self._try(self.copy):
            if time.monotonic() > end:
                text = (
                    f"'{self.uri}' does not answer; everything is kept in {self.folder}, and"
                    f" `{resume_command(self.uri)}` on this machine sends it on"
                )
                raise InputError("storage", [Problem(location="storage", text=text)]) from error
            time.sleep(POLL)

    def copy(self) -> None:
        """Copy what has changed since the last copy, and delete remotely what was removed locally.

        Weights are listed before the journal is copied: what was removed by then was removed after
        an end that the copied journal has.

        Nothing is done while there is no local journal: the folder was moved or removed, and the
        remote files may be all that is left.

        Raises:
            OSError: a file cannot be copied.
        """
        with self._large:
            present = self._present(large=True)
            self._copy_journal()
            self._copy_small()
            if kind_of(self.folder / JOURNAL_NAME) != "a file":
                return
            gone = {name for name in list(self._copied) if is_large(name)} - set(present)
            changed = self._changed(present)
            # No reader takes a folder whose files change or go, until its last file is back.
            configs = {f"{name.rpartition('/')[0]}/{CONFIG}" for name in {*gone, *changed}}
            self._delete(gone | configs & set(self._copied))
            changed |= {name: present[name] for name in configs & set(present)}
            for name in sorted(changed, key=upload_order):
                self._upload_changed(name, present[name])

    def withdraw(self) -> None:
        """Delete what was copied, as the run never began."""
        with self._large, self._small, self._journal:
            self._delete(set(self._copied))

    def _copy_small(self) -> None:
        """Copy the files that do not belong to weights, without the journal."""
        with self._small:
            if kind_of(self.folder / JOURNAL_NAME) != "a file":
                return
            present = self._present(large=False)
            changed = self._changed(present)
            changed.pop(JOURNAL_NAME, None)
            with ThreadPoolExecutor(STREAMS) as pool:
                list(pool.map(self._upload_changed, changed, changed.values()))
            self._delete({name for name in list(self._copied) if not is_large(name)} - set(present))

    def _copy_journal(self) -> None:
        """Copy the journal if it has changed."""
        path = self.folder / JOURNAL_NAME
        with self._journal:
            if kind_of(path) == "a file" and self._copied.get(JOURNAL_NAME) != stamp_of(path):
                self._upload_changed(JOURNAL_NAME, path)

    def _present(self, *, large: bool) -> dict[str, Path]:
        """Return the local files that belong to weights, or those that do not."""
        paths = {p.relative_to(self.folder).as_posix(): p for p in files_in(self.folder)}
        return {name: path for name, path in paths.items() if is_large(name) == large}

    def _changed(self, present: dict[str, Path]) -> dict[str, Path]:
        """Return the files that have changed since they were copied, or were removed since."""
        return {n: p for n, p in present.items() if self._copied.get(n) != stamp_of(p)}

    def _upload_changed(self, name: str, path: Path) -> None:
        """Copy a file, unless it was removed in the meantime."""
        if (stamp := stamp_of(path)) is not None:
            self._upload(path, name)
            self._copied[name] = stamp

    def _delete(self, names: Iterable[str]) -> None:
        """Delete remote files, in the order opposite to that in which they are copied."""
        for name in sorted(names, key=upload_order, reverse=True):
            if self._file(name).type == fs.FileType.File:
                self._system.delete_file(f"{self._root}/{name}")
            del self._copied[name]

    def _follow_journal(self) -> None:
        """Copy the journal as soon as it has changed, a large one less often.

        An object store cannot append to a file. JOURNAL_RATE bounds what whole copies take.
        """
        due, seen = 0.0, None
        while not self._stop.wait(POLL):
            stamp, now = stamp_of(self.folder / JOURNAL_NAME), time.monotonic()
            if stamp is None or stamp == seen or now < due:
                continue
            if self._try(self._copy_journal):
                seen, due = stamp, now + stamp[0] / JOURNAL_RATE

    def _follow_files(self) -> None:
        """Copy the small files after the journal has changed; with many files less often."""
        pause, seen = POLL, None
        while not self._stop.wait(pause):
            stamp, begin = self._copied.get(JOURNAL_NAME), time.thread_time()
            if stamp != seen and self._try(self._copy_small):
                seen = stamp
            pause = max(POLL, (time.thread_time() - begin) / WALK_SHARE)

    def _copy_repeatedly(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._try(self.copy)

    def _try(self, action: Callable[[], None]) -> bool:
        """Return whether a copy succeeded; note once when the store goes and when it is back.

        It is back when each copy that failed has succeeded: another one may have had nothing to
        send.
        """
        try:
            action()
        except OSError as error:
            with self._noting:
                if not self._failing:
                    reason = first_line(error)[:300]
                    self.note(f"{self.uri} does not answer, it is tried again: {reason}")
                self._failing.add(action)
            return False
        with self._noting:
            if action in self._failing:
                self._failing.remove(action)
                if not self._failing:
                    self.note(f"{self.uri} answers again")
        return True

    def _holds_files(self) -> bool:
        """Return whether there are files at the URI; empty folders do not count."""
        selector = fs.FileSelector(self._root, recursive=True, allow_not_found=True)
        infos = self._system.get_file_info(selector)
        return any(i.type != fs.FileType.Directory and i.base_name != PROBE for i in infos)

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
            if not isinstance(self._system, fs.S3FileSystem):  # which has no folders
                self._system.create_dir(target.rpartition("/")[0], recursive=True)
            with self._system.open_output_stream(target) as sink:
                while block := source.read(BLOCK):
                    sink.write(block)

    def _merge_journal(self) -> bytes | None:
        """Keep the shorter one of two journals beside the longer one.

        Returns:
            The remote journal, if it is to replace the local one; None if the local one stays.

        Raises:
            InputError: neither journal is the beginning of the other one.
        """
        path, remote = file_inside(self.folder, JOURNAL_NAME), self._content(JOURNAL_NAME)
        if kind_of(path) is None:
            return remote
        with open_regular(path) as file:
            local = file.read()
        local_lines, remote_lines = _complete_lines(local), _complete_lines(remote)
        if local == remote:
            return None
        if not local_lines:
            return remote
        if local_lines.startswith(remote_lines):
            write_atomically(free_name(self.folder, "journal.remote-{}.jsonl"), remote)
            return None
        if not remote_lines.startswith(local_lines):
            text = (
                f"the local journal, {path}, and the remote one continue differently; nothing"
                " was changed: move the one away that is not needed, and try again"
            )
            raise InputError(self.uri, [Problem(location=JOURNAL_NAME, text=text)])
        write_atomically(free_name(self.folder, "journal.local-{}.jsonl"), local)
        return remote

    def _download(self, name: str) -> None:
        download(self._system, f"{self._root}/{name}", self.folder, name)

    def _content(self, name: str) -> bytes:
        with self._system.open_input_stream(f"{self._root}/{name}") as source:
            content: bytes = source.read()
            return content

    def _refuse_other_uri(self) -> None:
        """Raise InputError if the local folder is recorded as another URI's."""
        known = recorded_uri(self.folder)
        if known is not None and known != self.uri:
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


def _complete_lines(journal: bytes) -> bytes:
    """Return a journal without a last line that is incomplete."""
    return journal[: journal.rfind(b"\n") + 1]
